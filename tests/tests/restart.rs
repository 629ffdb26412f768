//! Logins outlive the process: with the same key and the same database, a new server knows them.

#![allow(clippy::unwrap_used)]

use jwt_knox::{Knox, SigningKey, Subject};
use jwt_knox_http::KnoxHttp;
use jwt_knox_sea_orm::SeaOrmStore;
use jwt_knox_tests::{
    Call, Framework, Server,
    world::{KEY, on_another_thread, sqlite, temporary_file},
};

fn handle(key: [u8; 32], store: SeaOrmStore) -> Knox {
    Knox::builder(SigningKey::hs256(key).unwrap()).store(store).build().unwrap()
}

fn verify(knox: &Knox, framework: Framework, token: &str) -> u16 {
    let server = Server::start(framework, KnoxHttp::builder(knox.clone()).build().unwrap());
    Call::get("/verify").bearer(token).send(server.address).status
}

#[test]
fn logins_and_logouts_survive_a_restart() {
    let file = temporary_file();
    let before = handle(KEY, sqlite(&file));
    let (kept, ended) = on_another_thread(async move {
        let subject = Subject::new("alice").unwrap();
        let kept = before.issue(subject.clone()).await.unwrap();
        let ended = before.issue(subject).await.unwrap();
        assert!(before.revoke(&ended.session.session_ref()).await.unwrap().is_revoked());
        (kept.token.expose().to_owned(), ended.token.expose().to_owned())
    });
    for framework in Framework::ALL {
        let after = handle(KEY, sqlite(&file));
        assert_eq!(verify(&after, framework, &kept), 204);
        assert_eq!(verify(&after, framework, &ended), 401);
        let with_another_key = handle([b'x'; 32], sqlite(&file));
        assert_eq!(verify(&with_another_key, framework, &kept), 401);
    }
}

/// What one server ends, another on the same database does not let in.
#[test]
fn two_servers_on_one_database_agree() {
    let file = temporary_file();
    let (one, other) = (handle(KEY, sqlite(&file)), handle(KEY, sqlite(&file)));
    let issuer = one.clone();
    let issued = on_another_thread(async move { issuer.issue(Subject::new("alice").unwrap()).await.unwrap() });
    assert_eq!(verify(&other, Framework::Axum, issued.token.expose()), 204);
    let server = Server::start(Framework::Rocket, KnoxHttp::builder(other).build().unwrap());
    let logout = Call::post("/logout").bearer(issued.token.expose());
    assert_eq!(logout.send(server.address).status, 204);
    assert_eq!(verify(&one, Framework::Actix, issued.token.expose()), 401);
}
