//! What a guarded route costs over a loopback connection that stays open, beside a bare one and the guards of others.

#![allow(missing_docs, clippy::unwrap_used)]

use std::{net::SocketAddr, sync::LazyLock, time::Duration};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    routing::get,
};
use criterion::{Criterion, criterion_group, criterion_main};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{DecodingKey, Validation};
use jwt_knox::{Algorithm, Cache, MemoryStore};
use jwt_knox_axum::{KnoxAuth, KnoxHttp};
use jwt_knox_benches::{KEY, issue, key, knox};
use serde::Deserialize;
use tokio::runtime::Builder;
use tower_sessions::{Session, SessionManagerLayer};

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

async fn bare() -> &'static str {
    "hello"
}

async fn guarded(auth: KnoxAuth) -> &'static str {
    if auth.subject().as_str().is_empty() { "" } else { "hello" }
}

/// Made once, as an application should.
static DECODING: LazyLock<(DecodingKey, Validation)> =
    LazyLock::new(|| (DecodingKey::from_secret(KEY).unwrap(), Validation::new(jsonwebtoken::Algorithm::HS256)));

/// What an application writes that decodes the token itself, and asks no store.
async fn decoded(headers: HeaderMap) -> Result<&'static str, StatusCode> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
    let (key, validation) = &*DECODING;
    let claims = jsonwebtoken::decode::<Claims>(token, key, validation).map_err(|_| StatusCode::UNAUTHORIZED)?;
    Ok(if claims.claims.sub.is_empty() { "" } else { "hello" })
}

async fn log_in(session: Session) {
    session.insert("user", 42).await.unwrap();
}

async fn in_session(session: Session) -> Result<&'static str, StatusCode> {
    session.get::<u64>("user").await.ok().flatten().map(|_| "hello").ok_or(StatusCode::UNAUTHORIZED)
}

async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn connect(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(sender: &mut SendRequest<Empty<Bytes>>, path: &str, name: &str, value: &str) -> (StatusCode, HeaderMap) {
    let request = Request::get(path).header("host", "localhost").header(name, value).body(Empty::new()).unwrap();
    sender.ready().await.unwrap();
    let response = sender.send_request(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    response.into_body().collect().await.unwrap();
    (status, headers)
}

fn routes(criterion: &mut Criterion) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let handle = |cache| {
        let knox = knox(key(Algorithm::Hs256), MemoryStore::new(), cache);
        KnoxHttp::builder(knox).build().unwrap()
    };
    let asked = handle(Cache::default());
    let remembered = handle(Cache::default().max_age(Duration::from_secs(3600)));
    let bearer = |knox: &KnoxHttp| format!("Bearer {}", runtime.block_on(issue(knox)).token.expose());
    let (asked_bearer, remembered_bearer) = (bearer(&asked), bearer(&remembered));

    let sessions = SessionManagerLayer::new(tower_sessions::MemoryStore::default()).with_secure(false);
    let app = Router::new()
        .route("/bare", get(bare))
        .route("/jsonwebtoken", get(decoded))
        .merge(Router::new().route("/asked", get(guarded)).with_state(asked))
        .merge(Router::new().route("/remembered", get(guarded)).with_state(remembered))
        .merge(Router::new().route("/log_in", get(log_in)).route("/session", get(in_session)).layer(sessions));
    let mut sender = runtime.block_on(async { connect(serve(app).await).await });
    let (_, headers) = runtime.block_on(send(&mut sender, "/log_in", "accept", "*/*"));
    let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();

    let mut group = criterion.benchmark_group("a route over loopback");
    for (name, path, header, value) in [
        ("bare", "/bare", "authorization", asked_bearer.as_str()),
        ("jsonwebtoken in the handler, no store", "/jsonwebtoken", "authorization", &asked_bearer),
        ("tower-sessions, in memory", "/session", "cookie", &cookie),
        ("KnoxAuth, the store asked each time", "/asked", "authorization", &asked_bearer),
        ("KnoxAuth, max_age", "/remembered", "authorization", &remembered_bearer),
    ] {
        let (status, _) = runtime.block_on(send(&mut sender, path, header, value));
        assert_eq!(status, StatusCode::OK, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(send(&mut sender, path, header, value)));
        });
    }
    group.finish();
}

criterion_group!(group, routes);
criterion_main!(group);
