//! Runs one command: `cargo run --example cli -- login alice`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{env, process::ExitCode};

use example_cli::{is_unanswered, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments).await {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(if is_unanswered(&*error) { 75 } else { 1 })
        }
    }
}
