//! The chat, with real clients on real sockets.
//!
//! `cargo test` builds the examples of a package together with its tests.

#![allow(clippy::unwrap_used)]

use std::{net::SocketAddr, time::Duration};

use axum::{
    extract::ws::Utf8Bytes,
    http::{HeaderMap, HeaderName, Request, Response, StatusCode},
};
use example_websocket::app;
use futures_util::{SinkExt, StreamExt};
use hyper_util::{client::legacy::Client as HttpClient, rt::TokioExecutor};
use jwt_knox_axum::jwt_knox::{
    Knox, KnoxBuilder, Lifetime, ManualClock, MemoryStore, SessionRef, SigningKey, Timestamp,
};
use jwt_knox_test_program::{Program, command};
use jwt_knox_testkit::app::Faults;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast::Sender,
    task::yield_now,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

/// How long a test waits for what must come at once. It is less than the 30 seconds after which a session is looked up
/// without a reason, so what a test sees before was noticed by itself.
const PATIENCE: Duration = Duration::from_secs(20);

const RECHECK: Duration = Duration::from_millis(10);

/// What ends the connections of a session that is over, and those of a server that cannot tell.
const LOG_IN_AGAIN: (u16, &str) = (1008, "log in again");
const TRY_AGAIN_LATER: (u16, &str) = (1013, "try again later");

type Headers<'a> = &'a [(&'static str, &'a str)];

/// The chat inside the test, which has the handle and the room.
struct Server {
    address: SocketAddr,
    knox: Knox,
    room: Sender<Utf8Bytes>,
}

impl Server {
    async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(set: impl FnOnce(KnoxBuilder) -> KnoxBuilder) -> Self {
        let builder = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new());
        let knox = set(builder).build().unwrap();
        let room = Sender::new(64);
        let app = app(knox.clone(), room.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, knox, room }
    }

    async fn log_in(&self, user: i64) -> Session {
        let issued = self.knox.issue(user).await.unwrap();
        Session { user, token: issued.token.expose().to_owned(), reference: issued.session.session_ref() }
    }

    async fn open(&self, headers: Headers<'_>) -> Result<Client, StatusCode> {
        Client::open(self.address, "/chat", headers).await
    }

    /// A connection of a program.
    async fn join(&self, session: &Session) -> Client {
        self.open(&[("authorization", &session.bearer())]).await.unwrap().greeted(session).await
    }

    /// A connection that is asked for a first message.
    async fn wait(&self) -> Result<Client, StatusCode> {
        Client::open(self.address, "/chat/token", &[]).await
    }

    async fn join_by_message(&self, session: &Session) -> Client {
        let mut client = self.wait().await.unwrap();
        client.say(&session.token).await;
        client.greeted(session).await
    }
}

struct Session {
    user: i64,
    token: String,
    reference: SessionRef,
}

impl Session {
    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn cookie(&self) -> String {
        format!("theme=dark; __Host-session={}", self.token)
    }
}

/// The end of a connection that a user has.
struct Client(WebSocketStream<TcpStream>);

impl Client {
    /// Opens a connection, or gives the status of the answer if the server rejects it before it is a WebSocket.
    async fn open(address: SocketAddr, path: &str, headers: Headers<'_>) -> Result<Self, StatusCode> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        request.headers_mut().extend(header_map(headers));
        match client_async(request, TcpStream::connect(address).await.unwrap()).await {
            Ok((stream, _)) => Ok(Self(stream)),
            Err(Error::Http(response)) => Err(response.status()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn greeted(mut self, session: &Session) -> Self {
        assert_eq!(self.hears().await, format!("hello {}", session.user));
        self
    }

    async fn say(&mut self, text: &str) {
        self.0.send(text.into()).await.unwrap();
    }

    async fn next(&mut self) -> Option<Result<Message, Error>> {
        timeout(PATIENCE, self.0.next()).await.unwrap()
    }

    async fn hears(&mut self) -> String {
        match self.next().await {
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the server to close the connection, with this code and reason.
    async fn ends_with(&mut self, farewell: (u16, &str)) {
        match self.next().await {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!((frame.code.into(), frame.reason.as_str()), farewell),
            other => panic!("{other:?}"),
        }
        assert!(self.next().await.is_none());
    }

    async fn is_dropped(&mut self) {
        assert!(matches!(self.next().await, None | Some(Err(_))));
    }

    async fn stays(&mut self, session: &Session) {
        self.say("still here").await;
        assert_eq!(self.hears().await, format!("{}: still here", session.user));
    }
}

fn header_map(headers: Headers<'_>) -> HeaderMap {
    headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

/// A plain request, on a connection of its own.
async fn send(address: SocketAddr, method: &str, path: &str, headers: Headers<'_>, body: String) -> Response<()> {
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}")).body(body).unwrap();
    request.headers_mut().extend(header_map(headers));
    let client = HttpClient::builder(TokioExecutor::new()).build_http();
    client.request(request).await.unwrap().map(|_| ())
}

#[tokio::test]
async fn a_client_with_a_session_is_greeted_and_hears_what_is_said() {
    let server = Server::start().await;
    let (alice, bob) = (server.log_in(1).await, server.log_in(2).await);
    let origin = format!("http://{}", server.address);
    let mut program = server.join(&alice).await;
    let mut by_message = server.join_by_message(&alice).await;
    let page = [("cookie", &*bob.cookie()), ("origin", &origin)];
    let mut page = server.open(&page).await.unwrap().greeted(&bob).await;
    let new_page = [("cookie", &*bob.cookie()), ("sec-fetch-site", "same-origin")];
    let mut new_page = server.open(&new_page).await.unwrap().greeted(&bob).await;

    page.say("good morning").await;
    for client in [&mut program, &mut by_message, &mut page, &mut new_page] {
        assert_eq!(client.hears().await, "2: good morning");
    }
    server.room.send("the server says hello".into()).unwrap();
    for client in [&mut program, &mut by_message, &mut page, &mut new_page] {
        assert_eq!(client.hears().await, "the server says hello");
    }
}

#[tokio::test]
async fn without_a_valid_credential_there_is_no_connection() {
    let server = Server::start().await;
    let session = server.log_in(1).await;
    let (bearer, cookie) = (session.bearer(), session.cookie());
    assert!(server.knox.revoke(&session.reference).await.unwrap().is_revoked());
    let cases: [Headers<'_>; 5] = [
        &[],
        &[("authorization", "Bearer a.b.c")],
        &[("authorization", &bearer)],
        &[("cookie", "__Host-session=a.b.c"), ("sec-fetch-site", "same-origin")],
        &[("cookie", &cookie), ("sec-fetch-site", "same-origin")],
    ];
    for headers in cases {
        assert_eq!(server.open(headers).await.err(), Some(StatusCode::UNAUTHORIZED), "{headers:?}");
    }
    for token in ["", "a.b.c", &session.token] {
        let mut client = server.wait().await.unwrap();
        client.say(token).await;
        client.ends_with(LOG_IN_AGAIN).await;
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_rejected_although_the_browser_sends_the_cookie() {
    let server = Server::start().await;
    let session = server.log_in(1).await;
    let (cookie, origin) = (session.cookie(), format!("http://{}", server.address));
    let cases: [Headers<'_>; 5] = [
        &[("cookie", &cookie), ("origin", "https://evil.example")],
        &[("cookie", &cookie), ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("cookie", &cookie), ("origin", &origin), ("sec-fetch-site", "cross-site")],
        &[("cookie", &cookie), ("origin", "null")],
        &[("cookie", &cookie)],
    ];
    for headers in cases {
        assert_eq!(server.open(headers).await.err(), Some(StatusCode::FORBIDDEN), "{headers:?}");
    }
    // Where the token is the first message, a cookie opens nothing.
    let headers = [("cookie", &*cookie), ("origin", "https://evil.example")];
    let mut client = Client::open(server.address, "/chat/token", &headers).await.unwrap();
    client.say("hello").await;
    client.ends_with(LOG_IN_AGAIN).await;
}

/// They all say nothing in the meantime.
#[tokio::test]
async fn a_logout_ends_all_connections_of_its_session_and_no_other() {
    let server = Server::start().await;
    let (session, other_session, bob) = (server.log_in(1).await, server.log_in(1).await, server.log_in(2).await);
    let mut first = server.join(&session).await;
    let mut second = server.join_by_message(&session).await;
    let mut other = server.join(&other_session).await;
    let mut other_user = server.join(&bob).await;

    let response =
        send(server.address, "POST", "/logout", &[("authorization", &session.bearer())], String::new()).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    first.ends_with(LOG_IN_AGAIN).await;
    second.ends_with(LOG_IN_AGAIN).await;
    other.stays(&other_session).await;
    assert_eq!(other_user.hears().await, "1: still here");
}

#[tokio::test]
async fn a_revocation_ends_the_connections_of_the_sessions_that_it_ends() {
    let server = Server::start().await;
    let (session, other_session) = (server.log_in(1).await, server.log_in(1).await);
    let mut client = server.join(&session).await;
    let mut other = server.join(&other_session).await;
    assert!(server.knox.revoke(&session.reference).await.unwrap().is_revoked());
    client.ends_with(LOG_IN_AGAIN).await;
    other.stays(&other_session).await;

    // A new password, for example.
    server.knox.revoke_all(&1.into()).await.unwrap();
    other.ends_with(LOG_IN_AGAIN).await;
}

#[tokio::test]
async fn a_connection_ends_when_the_session_expires() {
    let clock = ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap());
    let hour = Duration::from_secs(3600);
    let lifetime = Lifetime::expires_after(hour).unwrap();
    let server =
        Server::with(|builder| builder.clock(clock.clone()).lifetime(lifetime).recheck_interval(RECHECK)).await;
    let early = server.log_in(1).await;
    clock.advance(hour / 2);
    let late = server.log_in(2).await;
    let (mut expiring, mut other) = (server.join(&early).await, server.join(&late).await);

    clock.advance(hour / 2);
    expiring.ends_with(LOG_IN_AGAIN).await;
    other.stays(&late).await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed_too() {
    let server = Server::start().await;
    let session = server.log_in(1).await;
    let _client = server.join(&session).await;
    // More than the buffers between the two can hold. From when the message is taken, the server is sending.
    server.room.send("x".repeat(32 << 20).into()).unwrap();
    wait_until(|| server.room.is_empty()).await;
    assert_eq!(server.room.receiver_count(), 1);

    assert!(server.knox.revoke(&session.reference).await.unwrap().is_revoked());
    wait_until(|| server.room.receiver_count() == 0).await;
}

async fn wait_until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_connection_and_reaches_nobody() {
    let server = Server::start().await;
    let session = server.log_in(1).await;
    let mut other = server.join(&session).await;
    let longest = "x".repeat(4096);
    let mut client = server.join(&session).await;
    client.say(&longest).await;
    assert_eq!(client.hears().await, format!("1: {longest}"));
    assert_eq!(other.hears().await, format!("1: {longest}"));
    client.say(&format!("{longest}x")).await;
    client.is_dropped().await;
    other.stays(&session).await;

    // As long as a token may be, and longer.
    let max = server.knox.max_token_bytes();
    let mut client = server.wait().await.unwrap();
    client.say(&"x".repeat(max)).await;
    client.ends_with(LOG_IN_AGAIN).await;
    let mut client = server.wait().await.unwrap();
    client.say(&"x".repeat(max + 1)).await;
    client.is_dropped().await;
}

#[tokio::test]
async fn connections_that_wait_for_a_first_message_are_bounded() {
    let server = Server::start().await;
    let session = server.log_in(1).await;
    let mut waiting = Vec::new();
    while waiting.len() < 100 {
        waiting.push(server.wait().await.unwrap());
    }
    assert_eq!(server.wait().await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    // Those that send their credential with the upgrade are not kept out.
    server.join(&session).await.stays(&session).await;

    let mut client = waiting.pop().unwrap();
    client.say(&session.token).await;
    let _client = client.greeted(&session).await;
    server.join_by_message(&session).await.stays(&session).await;
}

#[tokio::test]
async fn when_the_store_is_down_nobody_is_served() {
    let faults = Faults::new();
    let server = Server::with(|builder| builder.store(faults.wrap(MemoryStore::new())).recheck_interval(RECHECK)).await;
    let session = server.log_in(1).await;
    let mut client = server.join(&session).await;

    faults.set_down(true);
    client.ends_with(TRY_AGAIN_LATER).await;
    let rejection = server.open(&[("authorization", &session.bearer())]).await.err();
    assert_eq!(rejection, Some(StatusCode::SERVICE_UNAVAILABLE));
    let mut client = server.wait().await.unwrap();
    client.say(&session.token).await;
    client.ends_with(TRY_AGAIN_LATER).await;

    faults.set_down(false);
    server.join(&session).await.stays(&session).await;
}

#[tokio::test]
async fn the_program_serves_the_page_and_its_connections() {
    let mut program = Program::start(command("websocket").env("LISTEN", "127.0.0.1:0"));
    let line = program.line();
    let address = line.strip_prefix("Listening on http://").unwrap().split(". ").next().unwrap().parse().unwrap();

    for path in ["/", "/chat.js"] {
        let response = send(address, "GET", path, &[], String::new()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().contains_key("content-security-policy"));
    }
    let login = r#"{"username": "alice", "password": "wonderland"}"#.to_owned();
    let headers = [("content-type", "application/json"), ("sec-fetch-site", "same-origin")];
    let response = send(address, "POST", "/login", &headers, login).await;
    assert_eq!(response.status(), StatusCode::OK);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();

    // As Chromium does it: an `Origin`, and no `Sec-Fetch-Site`.
    let origin = format!("http://{address}");
    let headers = [("cookie", cookie), ("origin", &*origin)];
    let mut client = Client::open(address, "/chat", &headers).await.unwrap();
    assert_eq!(client.hears().await, "hello 1");
    let response = send(address, "POST", "/logout", &headers, String::new()).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    client.ends_with(LOG_IN_AGAIN).await;
}
