//! The program, as a reader runs it. The files for the proxies are tested in `tests/tests/proxies.rs`.
//!
//! `cargo test` builds the examples of a package together with its tests.

#![allow(clippy::unwrap_used)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use jwt_knox_test_program::{Program, command};

struct Servers {
    _program: Program,
    auth: SocketAddr,
    app: SocketAddr,
}

impl Servers {
    fn start() -> Self {
        let variables = [("AUTH_LISTEN", "127.0.0.1:0"), ("APP_LISTEN", "127.0.0.1:0")];
        let mut program = Program::start(command("behind_proxy").envs(variables));
        let mut address = |start: &str| program.line().strip_prefix(start).unwrap().parse().unwrap();
        let (auth, app) = (address("jwt-knox listens on "), address("the application listens on "));
        Self { _program: program, auth, app }
    }
}

fn send(address: SocketAddr, line: &str, header: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n{header}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_proxy_is_told_who_it_is_and_the_application_believes_it() {
    let servers = Servers::start();
    let login = send(servers.auth, "POST /get_token", "Authorization: Basic YWxpY2U6d29uZGVybGFuZA==");
    let token = login.split(r#""access_token":""#).nth(1).unwrap().split('"').next().unwrap();
    let bearer = format!("Authorization: Bearer {token}");
    let answer = send(servers.auth, "GET /forward_auth", &bearer);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\nx-auth-subject: 1\r\n"), "{answer}");
    assert!(send(servers.auth, "GET /forward_auth?scope=admin", &bearer).starts_with("HTTP/1.1 403 "));
    assert!(send(servers.auth, "GET /forward_auth", "X-Auth-Subject: 1").starts_with("HTTP/1.1 401 "));

    let answer = send(servers.app, "GET /", "X-Auth-Subject: Zo%C3%AB");
    assert!(answer.ends_with("Hello, user Zo\u{eb}\n"), "{answer}");
    let admin =
        |scopes: &str| send(servers.app, "GET /admin/", &format!("X-Auth-Subject: 1\r\nX-Auth-Scope: {scopes}"));
    assert!(admin("sessions admin").ends_with("Hello, user 1\n"));
    assert!(admin("sessions administrator").starts_with("HTTP/1.1 403 "));
    for header in ["X-Other: 1", "X-Auth-Subject: 1\r\nX-Auth-Subject: 2"] {
        assert!(send(servers.app, "GET /", header).starts_with("HTTP/1.1 500 "), "{header}");
    }
}
