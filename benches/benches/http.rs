//! What a guarded route costs beside a bare one and the guards of others: 32 connections over loopback, clients and
//! server on one core, and, on Linux, without threads that interrupt each other. The time is what both take for a
//! request.
//!
//! Each route takes turns with the bare one, so that what else the machine does hits both, and its time is given for a
//! machine on which the bare one takes as long as it did at first.

#![allow(missing_docs, clippy::unwrap_used)]

use std::{net::SocketAddr, sync::LazyLock, time::Duration};

use actix_web::{App, HttpServer, web};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    routing::get,
};
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
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
    let (key, validation) = &*DECODING;
    let claims = jsonwebtoken::decode::<Claims>(bearer(&headers)?, key, validation);
    Ok(if claims.map_err(|_| StatusCode::UNAUTHORIZED)?.claims.sub.is_empty() { "" } else { HELLO })
}

/// The same by the core alone: what a guard costs beyond this is the adapter's.
async fn authenticated(State(knox): State<KnoxHttp>, headers: HeaderMap) -> Result<&'static str, StatusCode> {
    let auth = knox.knox().authenticate(bearer(&headers)?).await.map_err(|_| StatusCode::UNAUTHORIZED)?;
    Ok(if auth.subject().as_str().is_empty() { "" } else { HELLO })
}

fn bearer(headers: &HeaderMap) -> Result<&str, StatusCode> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)
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
            .merge(Router::new().route("/core", get(authenticated)).with_state(asked.clone()))
            .merge(Router::new().route("/asked", get(guarded)).with_state(asked))
            .merge(Router::new().route("/remembered", get(guarded)).with_state(remembered))
            .merge(Router::new().route("/log_in", get(log_in)).route("/session", get(in_session)).layer(sessions)),
    );
    let cookie = cookie(server);
    let mut routes = Routes::new(criterion, "Axum", load(server, "/bare", &bearer));
    routes.measure("jsonwebtoken in the handler, no store", load(server, "/jsonwebtoken", &bearer));
    routes.measure("Knox in the handler, the store asked", load(server, "/core", &bearer));
    routes.measure("KnoxAuth, the store asked", load(server, "/asked", &bearer));
    routes.measure("KnoxAuth, max_age", load(server, "/remembered", &remembered_bearer));
    routes.measure("tower-sessions, in memory", Load::new(32, server, "/session", &[("cookie", &cookie)], 200));
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
    let mut routes = Routes::new(criterion, "Actix Web", load(server, "/bare", &bearer));
    routes.measure("KnoxAuth, the store asked", load(server, "/asked", &bearer));
    routes.measure("KnoxAuth, max_age", load(server, "/remembered", &remembered_bearer));
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
    let mut routes = Routes::new(criterion, "Rocket", load(asked, "/", &bearer));
    routes.measure("KnoxAuth, the store asked", load(asked, "/guarded", &bearer));
    routes.measure("KnoxAuth, max_age", load(remembered, "/guarded", &remembered_bearer));
}

fn load(server: SocketAddr, path: &str, bearer: &str) -> Load {
    Load::new(32, server, path, &[("authorization", bearer)], 200)
}

/// The routes of a framework, beside a bare one.
struct Routes<'a> {
    group: BenchmarkGroup<'a, WallTime>,
    bare: Load,
    /// How long a request to the bare one took at first, in seconds.
    first: f64,
}

impl<'a> Routes<'a> {
    /// How many requests a turn has.
    const TURN: u64 = 640;

    fn new(criterion: &'a mut Criterion, framework: &str, mut bare: Load) -> Self {
        let mut group = criterion.benchmark_group(framework);
        let mut times = Vec::new();
        group.bench_function("bare", |bencher| {
            bencher.iter_custom(|requests| {
                let time = bare.send(requests);
                times.push(time.as_secs_f64() / requests as f64);
                time
            });
        });
        times.sort_by(f64::total_cmp);
        // None, if the benchmark is left out.
        let first = times.get(times.len() / 2).copied().unwrap_or(1e-5);
        Self { group, bare, first }
    }

    fn measure(&mut self, name: &str, mut load: Load) {
        let Self { group, bare, first } = self;
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|requests| {
                let (mut guarded, mut unguarded, mut left) = (Duration::ZERO, Duration::ZERO, requests);
                while left > 0 {
                    let turn = left.min(Self::TURN);
                    unguarded += bare.send(turn);
                    guarded += load.send(turn);
                    left -= turn;
                }
                let ratio = guarded.as_secs_f64() / unguarded.as_secs_f64();
                Duration::from_secs_f64(ratio * *first * requests as f64)
            });
        });
    }
}

criterion_group!(group, axum, actix, rocket);
criterion_main!(group);
