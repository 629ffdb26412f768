//! Tells the tests which servers and programs there are, so that those that need one can be ignored without it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    // Without this, a change of any file of the package runs this again.
    println!("cargo::rerun-if-changed=build.rs");
    for (name, variable) in [
        ("knox_postgres", "KNOX_TEST_POSTGRES_URL"),
        ("knox_mysql", "KNOX_TEST_MYSQL_URL"),
        ("knox_redis", "KNOX_TEST_REDIS_URL"),
    ] {
        set(name, variable_of(variable).is_some());
    }
    set("knox_redis_server", redis_server().is_some_and(|program| is_there(&program)));

    // Where `install.sh` leaves what it installs, and what says that it is done.
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop");
    let is_done = |part: &str| is_there(&installed.join(format!("{part}.stamp")));

    let is_required = variable_of("KNOX_TEST_PROXIES").is_some_and(|value| value == "required");
    set("knox_more_proxies", is_required || is_done("proxies"));
    for proxy in ["nginx", "caddy", "haproxy"] {
        let is_installed = in_path(proxy).is_some_and(|program| is_there(&program));
        set(&format!("knox_{proxy}"), is_required || is_installed);
    }

    let has_programs = postgres_programs().is_some_and(|folder| is_there(&folder.join("postgres")));
    set("knox_postgres_programs", has_programs && variable_of("KNOX_TEST_POSTGRES_URL").is_some());

    // If it must be there, the tests run and fail without it.
    let is_required = variable_of("KNOX_TEST_INTEROP").is_some_and(|value| value == "required");
    let is_installed = ["python", "node"].map(is_done) == [true; 2];
    set("knox_interop", is_required || is_installed);
}

/// Sets `cfg(name)`, or only makes the name known.
fn set(name: &str, is_set: bool) {
    println!("cargo::rustc-check-cfg=cfg({name})");
    if is_set {
        println!("cargo::rustc-cfg={name}");
    }
}

fn variable_of(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok()
}

/// The program in `KNOX_TEST_REDIS_SERVER`, or the first `redis-server` in `PATH`.
fn redis_server() -> Option<PathBuf> {
    let program = variable_of("KNOX_TEST_REDIS_SERVER").unwrap_or_else(|| "redis-server".to_owned());
    if program.contains('/') {
        return Some(program.into());
    }
    in_path(&program)
}

/// The first program of that name in `PATH`.
fn in_path(program: &str) -> Option<PathBuf> {
    let path = variable_of("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The folder of the newest installed PostgreSQL server's programs.
fn postgres_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    folders.filter(|folder| folder.join("initdb").exists() && folder.join("postgres").exists()).max()
}

/// Whether the file exists. If it does, this runs again when it changes or goes away. If it does not, this does not
/// watch it, since Cargo would build everything again each time: touch `tests/build.rs` after an installation.
fn is_there(file: &Path) -> bool {
    if file.exists() {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    file.exists()
}
