//! Tells the tests which engines may be started, so that the tests of the others can be ignored.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=KNOX_TEST_ENGINES");
    let named = env::var("KNOX_TEST_ENGINES").unwrap_or_default();
    for engine in ["redis-cluster", "redis-pair", "postgres-standby", "pgbouncer", "galera"] {
        let name = format!("knox_engine_{}", engine.replace('-', "_"));
        println!("cargo::rustc-check-cfg=cfg({name})");
        if named.split(',').any(|word| word == engine || word == "all") {
            println!("cargo::rustc-cfg={name}");
        }
    }
}
