//! The application, without a socket: requests go straight into it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use actix_web::{
    App,
    http::{Method, StatusCode},
    test::{self, TestRequest},
};
use example_actix::{configure, connect, settings::Settings};
use jwt_knox_actix::jwt_knox::{Cache, Lifetime, SigningKey};
use serde_json::{Value, json};

#[actix_web::test]
async fn a_session_lasts_from_the_login_to_the_logout() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example-actix.sqlite");
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
    let app = test::init_service(App::new().configure(configure(knox.await.unwrap()))).await;
    let send = async |request: TestRequest| -> (StatusCode, Value) {
        let response = test::call_service(&app, request.to_request()).await;
        (response.status(), serde_json::from_slice(&test::read_body(response).await).unwrap_or_default())
    };

    let login =
        |password| TestRequest::post().uri("/get_token").set_json(json!({"username": "alice", "password": password}));
    assert_eq!(send(login("builder")).await.0, 401);
    let (status, answer) = send(login("wonderland")).await;
    assert_eq!(status, 200);

    let authorization = format!("Bearer {}", answer["access_token"].as_str().unwrap());
    let with_token = |method, path| {
        TestRequest::default().method(method).uri(path).insert_header(("authorization", authorization.as_str()))
    };
    let (status, me) = send(with_token(Method::GET, "/me")).await;
    assert_eq!((status, &me["session_id"]), (StatusCode::OK, &answer["session_id"]));
    let (_, sessions) = send(with_token(Method::GET, "/sessions")).await;
    assert_eq!(sessions[0]["id"], answer["session_id"]);
    assert_eq!(send(with_token(Method::POST, "/logout")).await.0, 204);
    assert_eq!(send(with_token(Method::GET, "/me")).await.0, 401);
}
