//! Uploads that a server rejects before it has read them, over real sockets: whether the client gets to read why.
//!
//! Set up as docs/choosing-an-adapter.md shows it, and without that where the difference is certain.

// The guide shows its functions as `pub`.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "uploads/on_actix.rs"]
mod on_actix;
#[path = "uploads/on_axum.rs"]
mod on_axum;
#[path = "uploads/on_rocket.rs"]
mod on_rocket;

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use jwt_knox_http::KnoxHttp;
use jwt_knox_tests::{Call, Framework, StoreKind, World, serve};

const FRAMEWORKS: [Framework; 3] = [Framework::Axum, Framework::Actix, Framework::Rocket];

/// More than the buffers of a connection hold, and than each server takes.
const LARGE: usize = 20_000_000;

/// More than a server reads for nothing.
const EXCESSIVE: usize = 100_000_000;

/// A server with `/upload`, whose handler has the guard, and on Axum and Actix Web `/guarded`, behind `RequireAuth`.
struct Site {
    framework: Framework,
    world: World,
    address: SocketAddr,
}

impl Site {
    /// As the guide shows it.
    fn start(framework: Framework) -> Self {
        let world = World::new(StoreKind::Memory);
        let knox = world.knox.clone();
        let address = match framework {
            Framework::Axum => serve::axum(axum_site(knox).layer(axum::middleware::from_fn(on_axum::read_the_rest))),
            Framework::Actix => {
                serve::actix(|listener| on_actix::server(move |config| actix_site(config, &knox), listener))
            }
            Framework::Rocket => start_rocket(knox, rocket::routes![on_rocket::upload]),
            Framework::Hyper => unreachable!("the guide has no uploads for it"),
        };
        Self { framework, world, address }
    }

    fn paths(&self) -> &'static [&'static str] {
        if self.framework == Framework::Rocket { &["/upload"] } else { &["/upload", "/guarded"] }
    }

    fn login(&self) -> String {
        Call::login("alice", "wonderland").send(self.address).token()
    }

    /// Tokens that are not valid. The clock is past the end of a session afterwards.
    fn bad_tokens(&self) -> [Option<String>; 3] {
        let expired = self.login();
        self.world.set_clock(36_001);
        [None, Some("a.b.c".to_owned()), Some(expired)]
    }
}

fn axum_site(knox: KnoxHttp) -> axum::Router {
    use axum::{Router, body::Bytes, routing::post};
    use jwt_knox_axum::{KnoxAuth, RequireAuth, routes};

    let guarded = Router::new().route("/guarded", post(|body: Bytes| async move { body.len().to_string() }));
    Router::new()
        .route("/upload", post(|_: KnoxAuth, body: Bytes| async move { body.len().to_string() }))
        .merge(guarded.route_layer(RequireAuth::new(knox.clone())))
        .merge(routes(knox.clone()))
        .with_state(knox)
}

fn actix_site(config: &mut actix_web::web::ServiceConfig, knox: &KnoxHttp) {
    use actix_web::web::{Bytes, Data, post, resource};
    use jwt_knox_actix::{KnoxAuth, RequireAuth, routes};

    let guarded = resource("/guarded").route(post().to(|body: Bytes| async move { body.len().to_string() }));
    config
        .app_data(Data::new(knox.clone()))
        .route("/upload", post().to(|_: KnoxAuth, body: Bytes| async move { body.len().to_string() }))
        .service(guarded.wrap(RequireAuth::new(knox.clone())))
        .configure(routes(knox.clone()));
}

fn start_rocket(knox: KnoxHttp, uploads: Vec<rocket::Route>) -> SocketAddr {
    use jwt_knox_rocket::{fairing, routes};

    serve::rocket(|rocket| rocket.attach(fairing(knox.clone())).mount("/", uploads).mount("/", routes(knox)))
}

/// An upload that goes on as a test wants.
struct Upload {
    stream: TcpStream,
    left: usize,
}

impl Upload {
    /// Sends the head of a request.
    fn begin(address: SocketAddr, path: &str, token: Option<&str>, length: usize, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{token}{headers}Content-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Self { stream, left: length }
    }

    /// Sends so much of the body.
    fn send(&mut self, length: usize) -> io::Result<()> {
        self.left -= length;
        io::copy(&mut io::repeat(b'x').take(length as u64), &mut self.stream)?;
        Ok(())
    }

    /// Sends the rest of the body.
    fn send_rest(&mut self) -> io::Result<()> {
        self.send(self.left)
    }

    /// Reads a whole answer: its status and its body.
    fn read(&mut self) -> io::Result<(u16, String)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length =
            head.split("content-length: ").nth(1).map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((head.split(' ').nth(1).unwrap().parse().unwrap(), String::from_utf8(body).unwrap()))
    }
}

/// The status that a client gets which reads nothing before it has written everything.
fn write_then_read(address: SocketAddr, path: &str, token: Option<&str>, length: usize) -> io::Result<u16> {
    let mut upload = Upload::begin(address, path, token, length, "");
    upload.send_rest()?;
    Ok(upload.read()?.0)
}

#[test]
fn an_upload_with_a_token_arrives() {
    for site in FRAMEWORKS.map(Site::start) {
        let token = site.login();
        for path in site.paths() {
            let status = write_then_read(site.address, path, Some(&token), 200_000).unwrap();
            assert_eq!(status, 200, "{:?} {path}", site.framework);
        }
    }
}

#[test]
fn a_client_that_writes_everything_first_reads_the_401() {
    for site in FRAMEWORKS.map(Site::start) {
        for token in site.bad_tokens() {
            for path in site.paths() {
                let status = write_then_read(site.address, path, token.as_deref(), LARGE).unwrap();
                assert_eq!(status, 401, "{:?} {path}", site.framework);
            }
        }
    }
}

#[test]
fn a_client_that_writes_everything_first_reads_the_413() {
    for site in FRAMEWORKS.map(Site::start) {
        let token = site.login();
        for path in site.paths() {
            let status = write_then_read(site.address, path, Some(&token), LARGE).unwrap();
            assert_eq!(status, 413, "{:?} {path}", site.framework);
        }
    }
}

/// On Axum and Actix Web the answer is there before the body is. Rocket answers once it has read it.
#[test]
fn a_client_that_reads_while_it_writes_gets_the_401() {
    for site in FRAMEWORKS.map(Site::start) {
        for path in site.paths() {
            let mut upload = Upload::begin(site.address, path, None, LARGE, "");
            upload.send(1_000_000).unwrap();
            if site.framework == Framework::Rocket {
                upload.send_rest().unwrap();
            }
            let (status, body) = upload.read().unwrap();
            assert_eq!(status, 401, "{:?} {path}", site.framework);
            assert!(body.contains(r#""code":"missing_token""#), "{body}");
            upload.send_rest().unwrap();
        }
    }
}

/// On Axum the connection goes on after the rest of the body.
#[test]
fn axum_keeps_the_connection_of_a_rejected_upload() {
    let site = Site::start(Framework::Axum);
    let mut upload = Upload::begin(site.address, "/upload", None, LARGE, "");
    upload.send_rest().unwrap();
    assert_eq!(upload.read().unwrap().0, 401);
    upload.stream.write_all(b"GET /verify HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(upload.read().unwrap().0, 401);
}

/// Only Axum rejects such a client before it has sent the body, which is what the header is for.
#[test]
fn a_client_that_expects_to_be_asked_reads_the_401() {
    for site in FRAMEWORKS.map(Site::start) {
        for path in site.paths() {
            let mut upload = Upload::begin(site.address, path, None, LARGE, "Expect: 100-continue\r\n");
            if site.framework != Framework::Axum {
                assert_eq!(upload.read().unwrap().0, 100, "{:?} {path}", site.framework);
                upload.send_rest().unwrap();
            }
            assert_eq!(upload.read().unwrap().0, 401, "{:?} {path}", site.framework);
        }
    }
}

/// Nobody makes a server read without end. (Actix Web has a limit of time only.)
#[test]
fn the_rest_of_a_body_is_read_up_to_a_bound() {
    for site in [Framework::Axum, Framework::Rocket].map(Site::start) {
        assert!(write_then_read(site.address, "/upload", None, EXCESSIVE).is_err(), "{:?}", site.framework);
    }
}

/// Why the guide says something: on Axum and Rocket, a client that writes everything first runs into a reset otherwise.
#[test]
fn axum_and_rocket_reset_the_connection_of_a_rejected_upload() {
    let world = World::new(StoreKind::Memory);
    let axum = serve::axum(axum_site(world.knox.clone()));
    let rocket = start_rocket(world.knox, rocket::routes![plain]);
    for address in [axum, rocket] {
        let error = write_then_read(address, "/upload", None, EXCESSIVE).unwrap_err();
        let kinds = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        assert!(kinds.contains(&error.kind()), "{error}");
    }
}

/// Rocket's own data guard for bytes calls a body that is too large a bad request.
#[test]
fn rockets_bytes_answer_400_for_a_body_that_is_too_large() {
    let world = World::new(StoreKind::Memory);
    let address = start_rocket(world.knox, rocket::routes![plain]);
    let token = Call::login("alice", "wonderland").send(address).token();
    for (length, status) in [(8 * 1024, 200), (8 * 1024 + 1, 400)] {
        assert_eq!(write_then_read(address, "/upload", Some(&token), length).unwrap(), status);
    }
}

/// An upload on Rocket as one writes it first.
#[rocket::post("/upload", data = "<body>")]
fn plain(_auth: jwt_knox_rocket::KnoxAuth, body: Vec<u8>) -> String {
    body.len().to_string()
}
