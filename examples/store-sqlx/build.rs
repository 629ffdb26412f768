//! Tells the tests whether there is a PostgreSQL server for them. Without one they are ignored.

#![allow(clippy::print_stdout)]

fn main() {
    println!("cargo::rustc-check-cfg=cfg(knox_postgres)");
    println!("cargo::rerun-if-env-changed=KNOX_TEST_POSTGRES_URL");
    if std::env::var_os("KNOX_TEST_POSTGRES_URL").is_some() {
        println!("cargo::rustc-cfg=knox_postgres");
    }
}
