//! The signing key is replaced while clients log in, verify and rotate: no request fails, and nobody is logged out.

#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use jwt_knox::{Algorithm, KeyRing, SigningKey};
use jwt_knox_tests::{Call, Framework, Server, StoreKind, World, forge};

fn key(algorithm: Algorithm, name: &str) -> SigningKey {
    SigningKey::generate(algorithm).unwrap().with_key_id(name).unwrap()
}

fn the_signing_key_is_replaced_under_load(framework: Framework) {
    let ring = KeyRing::new(key(Algorithm::Hs256, "hs256"));
    let world = World::with_keys(StoreKind::Sqlite, ring.clone(), |core| core, |http| http);
    let address = Server::start(framework, world.knox.clone()).address;
    let kept = Call::login("alice", "wonderland").send(address).token();

    let (is_done, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (is_done, count) = (is_done.clone(), count.clone());
            thread::spawn(move || {
                while !is_done.load(SeqCst) {
                    let token = Call::login("bob", "builder").send(address).token();
                    assert_eq!(Call::get("/verify").bearer(&token).send(address).status, 204);
                    let rotated = Call::post("/rotate").bearer(&token).send(address).token();
                    assert_eq!(Call::get("/verify").bearer(&rotated).send(address).status, 204);
                    assert_eq!(Call::post("/logout").bearer(&rotated).send(address).status, 204);
                    for ended in [&token, &rotated] {
                        assert_eq!(Call::get("/verify").bearer(ended).send(address).status, 401);
                    }
                    count.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    // Some of the load happens under each key.
    let wait_for_clients = || {
        let before = count.load(SeqCst);
        while count.load(SeqCst) < before + 8 && clients.iter().any(|client| !client.is_finished()) {
            thread::yield_now();
        }
    };
    let successors =
        [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Es384, Algorithm::Hs512, Algorithm::MlDsa44, Algorithm::Es256];
    wait_for_clients();
    for (number, algorithm) in successors.into_iter().enumerate() {
        let name = format!("{algorithm}-{number}");
        ring.stage(key(algorithm, &name)).unwrap();
        wait_for_clients();
        ring.promote(&name).unwrap();
        wait_for_clients();
        assert_eq!(Call::get("/verify").bearer(&kept).send(address).status, 204, "the first token is still good");
    }
    is_done.store(true, SeqCst);
    for client in clients {
        client.join().unwrap();
    }
    let last = Call::login("alice", "wonderland").send(address).token();
    assert_eq!(forge::header(&last)["kid"], "ES256-5");
    ring.retire("hs256").unwrap();
    assert_eq!(Call::get("/verify").bearer(&kept).send(address).status, 401, "a retired key verifies nothing");
    assert_eq!(Call::get("/verify").bearer(&last).send(address).status, 204);
}

#[test]
fn on_axum() {
    the_signing_key_is_replaced_under_load(Framework::Axum);
}

#[test]
fn on_actix() {
    the_signing_key_is_replaced_under_load(Framework::Actix);
}

#[test]
fn on_rocket() {
    the_signing_key_is_replaced_under_load(Framework::Rocket);
}
