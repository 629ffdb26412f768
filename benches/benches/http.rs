//! What a guarded route costs beside a bare one and the guards of others: 32 connections over loopback, clients and server on
//! one core. The time is what both take for a request.

#![allow(missing_docs, clippy::unwrap_used)]

use std::{net::SocketAddr, sync::LazyLock, time::Duration};

use actix_web::{App, HttpServer, web};
use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    routing::get,
};
use criterion::{Criterion, criterion_group, criterion_main};
use jsonwebtoken::{DecodingKey, Validation};
use jwt_knox::{Algorithm, Cache, MemoryStore};
use jwt_knox_axum::KnoxHttp;
use jwt_knox_benches::{KEY, issue, key, knox, load::Load, serve};
use rocket::routes;
use serde::Deserialize;
use tokio::runtime::Builder;
use tower_sessions::{Session, SessionManagerLayer};

const HELLO: &str = "hello";

#[derive(Deserialize)]
struct Claims {
    sub: String,
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
    Ok(if claims.claims.sub.is_empty() { "" } else { HELLO })
}

async fn log_in(session: Session) {
    session.insert("user", 42).await.unwrap();
}

async fn in_session(session: Session) -> Result<&'static str, StatusCode> {
    session.get::<u64>("user").await.ok().flatten().map(|_| HELLO).ok_or(StatusCode::UNAUTHORIZED)
}

/// A handle that asks the store each time, and one that remembers its answers, each with the header of a session.
fn handles() -> [(KnoxHttp, String); 2] {
    let runtime = Builder::new_current_thread().build().unwrap();
    [Cache::default(), Cache::default().max_age(Duration::from_secs(3600))].map(|cache| {
        let knox = KnoxHttp::builder(knox(key(Algorithm::Hs256), MemoryStore::new(), cache)).build().unwrap();
        let bearer = format!("Bearer {}", runtime.block_on(issue(&knox)).token.expose());
        (knox, bearer)
    })
}

fn axum(criterion: &mut Criterion) {
    serve::on_one_core();
    async fn guarded(auth: jwt_knox_axum::KnoxAuth) -> &'static str {
        if auth.subject().as_str().is_empty() { "" } else { HELLO }
    }
    let [(asked, bearer), (remembered, remembered_bearer)] = handles();
    let sessions = SessionManagerLayer::new(tower_sessions::MemoryStore::default()).with_secure(false);
    let server = serve::axum(
        Router::new()
            .route("/bare", get(async || HELLO))
            .route("/jsonwebtoken", get(decoded))
            .merge(Router::new().route("/asked", get(guarded)).with_state(asked))
            .merge(Router::new().route("/remembered", get(guarded)).with_state(remembered))
            .merge(Router::new().route("/log_in", get(log_in)).route("/session", get(in_session)).layer(sessions)),
    );
    let routes = [
        ("bare", "/bare", bearer.as_str()),
        ("jsonwebtoken in the handler, no store", "/jsonwebtoken", &bearer),
        ("KnoxAuth, the store asked", "/asked", &bearer),
        ("KnoxAuth, max_age", "/remembered", &remembered_bearer),
    ];
    compare(criterion, "Axum", server, &routes);
    let cookie = cookie(server);
    let mut load = Load::new(32, server, "/session", &[("cookie", &cookie)], 200);
    let mut group = criterion.benchmark_group("Axum");
    group.bench_function("tower-sessions, in memory", |bencher| bencher.iter_custom(|requests| load.send(requests)));
    group.finish();
}

/// The cookie of a session of tower-sessions.
fn cookie(server: SocketAddr) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(server).unwrap();
    stream.write_all(b"GET /log_in HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

fn actix(criterion: &mut Criterion) {
    async fn guarded(auth: jwt_knox_actix::KnoxAuth) -> &'static str {
        if auth.subject().as_str().is_empty() { "" } else { HELLO }
    }
    let [(asked, bearer), (remembered, remembered_bearer)] = handles();
    let server = serve::actix(move |listener| {
        let app = move || {
            App::new()
                .route("/bare", web::get().to(async || HELLO))
                .service(web::scope("/asked").app_data(web::Data::new(asked.clone())).route("", web::get().to(guarded)))
                .service(
                    web::scope("/remembered")
                        .app_data(web::Data::new(remembered.clone()))
                        .route("", web::get().to(guarded)),
                )
        };
        Ok(HttpServer::new(app).workers(1).listen(listener)?.run())
    });
    let routes = [
        ("bare", "/bare", bearer.as_str()),
        ("KnoxAuth, the store asked", "/asked", &bearer),
        ("KnoxAuth, max_age", "/remembered", &remembered_bearer),
    ];
    compare(criterion, "Actix Web", server, &routes);
}

fn rocket(criterion: &mut Criterion) {
    #[rocket::get("/")]
    const fn bare() -> &'static str {
        HELLO
    }
    #[rocket::get("/")]
    fn guarded(auth: jwt_knox_rocket::KnoxAuth) -> &'static str {
        if auth.subject().as_str().is_empty() { "" } else { HELLO }
    }
    let [(asked, bearer), (remembered, remembered_bearer)] = handles();
    // A handle for each server, as Rocket keeps one of a type.
    let serve = |knox| {
        serve::rocket(|rocket| rocket.manage(knox).mount("/", routes![bare]).mount("/guarded", routes![guarded]))
    };
    let (asked, remembered) = (serve(asked), serve(remembered));
    compare(criterion, "Rocket", asked, &[("bare", "/", &bearer), ("KnoxAuth, the store asked", "/guarded", &bearer)]);
    compare(criterion, "Rocket", remembered, &[("KnoxAuth, max_age", "/guarded", &remembered_bearer)]);
}

fn compare(criterion: &mut Criterion, framework: &str, server: SocketAddr, routes: &[(&str, &str, &str)]) {
    let mut group = criterion.benchmark_group(framework);
    for (name, path, bearer) in routes {
        let mut load = Load::new(32, server, path, &[("authorization", bearer)], 200);
        group.bench_function(*name, |bencher| bencher.iter_custom(|requests| load.send(requests)));
    }
    group.finish();
}

criterion_group!(group, axum, actix, rocket);
criterion_main!(group);
