//! A server of plain hyper with the adapter, and a client. `tests/tests/contract` puts it through the whole
//! contract.

#![allow(clippy::unwrap_used)]

use std::{convert::Infallible, net::SocketAddr};

use example_adapter_hyper::{authenticate, built_in_routes, translate_response};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client, server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use jwt_knox::{Knox, MemoryStore, NewSession, SigningKey};
use jwt_knox_http::{HttpRejection, KnoxHttp, LoginError, login_fn};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// The built-in routes, and `/me`, which any other path is as well.
async fn answer(knox: &KnoxHttp, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, HttpRejection> {
    let request = match built_in_routes(knox, request).await {
        Ok(response) => return Ok(response),
        Err(request) => request,
    };
    let (mut parts, _) = request.into_parts();
    let auth = authenticate(&mut parts, knox).await?;
    Ok(Response::new(Full::from(auth.subject().to_string())))
}

async fn serve(listener: TcpListener, knox: KnoxHttp) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let knox = knox.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| async {
                let answer = answer(&knox, request).await;
                Ok::<_, Infallible>(answer.unwrap_or_else(|rejection| translate_response(rejection.to_response())))
            });
            server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.unwrap();
        });
    }
}

/// Sends a request on a connection of its own, and gives the status and the body.
async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> (u16, Bytes) {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn a_session_lasts_from_the_login_to_the_logout() {
    let key = SigningKey::hs256("a key of the tests, 32 bytes or more!").unwrap();
    let knox = Knox::builder(key).store(MemoryStore::new()).build().unwrap();
    let login = login_fn(|credentials| async move {
        if (credentials.username(), credentials.password()) == ("alice", "wonderland") {
            Ok(NewSession::new(42))
        } else {
            Err(LoginError::InvalidCredentials)
        }
    });
    let knox = KnoxHttp::builder(knox).login(login).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, knox));

    let login = |password| {
        let body = json!({"username": "alice", "password": password}).to_string();
        Request::post("/get_token").header("content-type", "application/json").body(body.into()).unwrap()
    };
    assert_eq!(send(address, login("builder")).await.0, 401);
    let (status, body) = send(address, login("wonderland")).await;
    assert_eq!(status, 200);
    let token = serde_json::from_slice::<Value>(&body).unwrap()["access_token"].as_str().unwrap().to_owned();

    let with_token = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        request.body(Full::default()).unwrap()
    };
    assert_eq!(send(address, with_token("GET", "/me")).await, (200, Bytes::from("42")));
    assert_eq!(send(address, Request::get("/me").body(Full::default()).unwrap()).await.0, 401);
    assert_eq!(send(address, with_token("POST", "/logout")).await.0, 204);
    assert_eq!(send(address, with_token("GET", "/me")).await.0, 401);
}
