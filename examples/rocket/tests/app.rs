//! The application, without a socket: requests go straight into it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use example_rocket::{app, connect, settings::Settings};
use jwt_knox_rocket::jwt_knox::{Cache, Lifetime, SigningKey};
use rocket::{
    Config,
    config::LogLevel,
    http::{ContentType, Header, Method},
    local::asynchronous::{Client, LocalRequest},
};
use serde_json::{Value, json};

async fn send(request: LocalRequest<'_>) -> (u16, Value) {
    let response = request.dispatch().await;
    (
        response.status().code,
        serde_json::from_str(&response.into_string().await.unwrap_or_default()).unwrap_or_default(),
    )
}

#[rocket::async_test]
async fn a_session_lasts_from_the_login_to_the_logout() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example-rocket.sqlite");
    // One that an earlier run has left.
    let _ = std::fs::remove_file(&file);
    let knox = connect(Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        database_url: format!("sqlite:{}", file.display()),
        store_url: None,
        feed: false,
        cache: Cache::default(),
        key: SigningKey::hs256("a key of the tests, 32 bytes or more!").unwrap(),
        limit: None,
        lifetime: Lifetime::default(),
        rotation_grace: std::time::Duration::from_secs(10),
        cookies: false,
        debug_verify: false,
    });
    let config = Config { log_level: LogLevel::Off, ..Config::debug_default() };
    let client = Client::tracked(app(config, knox.await.unwrap()).unwrap()).await.unwrap();

    let login = |password| {
        let body = json!({"username": "alice", "password": password});
        client.post("/get_token").header(ContentType::JSON).body(body.to_string())
    };
    assert_eq!(send(login("builder")).await.0, 401);
    let (status, answer) = send(login("wonderland")).await;
    assert_eq!(status, 200);

    let authorization = format!("Bearer {}", answer["access_token"].as_str().unwrap());
    let with_token =
        |method, path| client.req(method, path).header(Header::new("authorization", authorization.clone()));
    let (status, me) = send(with_token(Method::Get, "/me")).await;
    assert_eq!((status, &me["session_id"]), (200, &answer["session_id"]));
    let (_, sessions) = send(with_token(Method::Get, "/sessions")).await;
    assert_eq!(sessions[0]["id"], answer["session_id"]);
    assert_eq!(send(with_token(Method::Post, "/logout")).await.0, 204);
    assert_eq!(send(with_token(Method::Get, "/me")).await.0, 401);
}
