//! A chat over WebSocket. A connection ends when the session does: at a logout, a revocation, or when it expires.
//!
//! `cargo run --example websocket`, then follow what it prints.
//!
//! There are three ways for a client to show who it is:
//!
//! | client | route | credential |
//! |---|---|---|
//! | a page of this server | `/chat` | the cookie. The browser sends it along with the upgrade, whichever page opens the connection, so a page of another origin gets a 403 |
//! | a program | `/chat` | `Authorization: Bearer …` |
//! | a page that has a token and no cookie | `/chat/token` | the token as the first message, since a page cannot set headers |
//!
//! When the server closes a connection, the code tells the client what to do: after 1008 it logs in again, after 1013
//! it connects again later.

use std::{sync::Arc, time::Duration};

use axum::{
    Error, Router,
    extract::{
        FromRef, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code},
    },
    http::header::CONTENT_TYPE,
    response::{AppendHeaders, Response},
    routing::{MethodRouter, any, get},
};
use jwt_knox_axum::{
    Cookies, HttpConfigError, KnoxAuth, KnoxHttp, KnoxRejection, LoginError,
    jwt_knox::{AuthenticateError, Authenticated, Knox, NewSession},
    login_fn, routes,
};
use tokio::{
    sync::{
        Semaphore,
        broadcast::{Sender, error::RecvError},
    },
    time::timeout,
};

/// How long a message of a client may be, in bytes.
const MAX_MESSAGE: usize = 4096;

/// How long a client may take for its first message.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);

/// How many connections may wait for a first message at the same time. Nobody knows whose they are.
const MAX_WAITING: usize = 100;

/// How long a client may take to take note of the end.
const FAREWELL: Duration = Duration::from_secs(1);

#[derive(Clone, FromRef)]
struct AppState {
    knox: KnoxHttp,
    room: Sender<Utf8Bytes>,
    waiting: Arc<Semaphore>,
}

/// The routes of the application. What is sent into `room`, by a client or by another part of the server, goes to every
/// connection.
///
/// # Errors
///
/// [`HttpConfigError`] if a setting is wrong.
pub fn app(knox: Knox, room: Sender<Utf8Bytes>) -> Result<Router, HttpConfigError> {
    // Replace this: find the user, and check the password by `Passwords`, which hashes where it blocks no other request
    // and takes as long for an unknown user; `examples/axum/src/users.rs` shows how. Limit how often one may be tried.
    // The subject is the user's id, which never changes.
    let login = login_fn(|credentials| async move {
        match (credentials.username(), credentials.password()) {
            ("alice", "wonderland") => Ok(NewSession::new(1)),
            ("bob", "builder") => Ok(NewSession::new(2)),
            _ => Err(LoginError::InvalidCredentials),
        }
    });
    let knox = KnoxHttp::builder(knox).login(login).cookies(Cookies::new()).build()?;
    Ok(Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("chat.html")))
        .route("/chat.js", file("text/javascript; charset=utf-8", include_str!("chat.js")))
        // A GET, and with HTTP/2 a CONNECT.
        .route("/chat", any(chat))
        .route("/chat/token", any(chat_with_token))
        // /login for pages, /get_token for programs, /logout and so on
        .merge(routes(knox.clone()))
        .with_state(AppState { knox, room, waiting: Arc::new(Semaphore::new(MAX_WAITING)) }))
}

/// A file of the page for browsers.
fn file(content_type: &'static str, text: &'static str) -> MethodRouter<AppState> {
    get(move || async move { ([(CONTENT_TYPE, content_type)], AppendHeaders(example_page::HEADERS), text) })
}

/// For a client that sends its credential with the upgrade. Without a valid one this does not run, and the client gets
/// a 401.
async fn chat(auth: KnoxAuth, upgrade: WebSocketUpgrade, State(app): State<AppState>) -> Response {
    bounded(upgrade, MAX_MESSAGE).on_upgrade(move |socket| serve(socket, auth.into_inner(), app))
}

/// For a client that sends its token as the first message.
async fn chat_with_token(upgrade: WebSocketUpgrade, State(app): State<AppState>) -> Result<Response, KnoxRejection> {
    let permit = Arc::clone(&app.waiting).try_acquire_owned().map_err(|_| app.knox.for_status(503))?;
    let upgrade = bounded(upgrade, MAX_MESSAGE.max(app.knox.max_token_bytes()));
    Ok(upgrade.on_upgrade(move |mut socket| async move {
        let Ok(Some(Ok(Message::Text(token)))) = timeout(FIRST_MESSAGE, socket.recv()).await else { return };
        let outcome = app.knox.knox().authenticate(token.as_str()).await;
        drop((token, permit));
        match outcome {
            Ok(auth) => serve(socket, auth, app).await,
            Err(reason) => close(socket, &reason).await,
        }
    }))
}

/// An upgrade to a connection that takes no longer messages, and no more memory than it needs.
fn bounded(upgrade: WebSocketUpgrade, max_message: usize) -> WebSocketUpgrade {
    upgrade.max_message_size(max_message).max_frame_size(max_message).read_buffer_size(MAX_MESSAGE)
}

/// One connection, from the greeting to the end.
async fn serve(mut socket: WebSocket, auth: Authenticated, app: AppState) {
    // The end of the session ends the conversation whatever it is doing: waiting for a message, or for a client that
    // reads none.
    let reason = tokio::select! {
        biased;
        reason = app.knox.ended(&auth) => reason,
        // The client has gone, or does not speak the protocol.
        _ = converse(&mut socket, &auth, &app.room) => return,
    };
    close(socket, &reason).await;
}

/// Passes messages on in both directions, until the client goes.
async fn converse(socket: &mut WebSocket, auth: &Authenticated, room: &Sender<Utf8Bytes>) -> Result<(), Error> {
    let mut messages = room.subscribe();
    socket.send(format!("hello {}", auth.subject()).into()).await?;
    loop {
        tokio::select! {
            message = socket.recv() => match message.transpose()? {
                // This connection is a listener itself, so there is one.
                Some(Message::Text(text)) => drop(room.send(format!("{}: {text}", auth.subject()).into())),
                // Pings and a close are answered by the library.
                Some(_) => {}
                None => return Ok(()),
            },
            message = messages.recv() => match message {
                Ok(text) => socket.send(Message::Text(text)).await?,
                // It reads too slowly, and has missed some.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

/// Closes a connection whose token is not valid, or is no longer.
async fn close(mut socket: WebSocket, reason: &AuthenticateError) {
    let (code, text) = match reason {
        // Why is for the log only.
        AuthenticateError::Rejected(_) => (close_code::POLICY, "log in again"),
        // Nobody can tell, so nobody is served.
        AuthenticateError::Store(_) => (close_code::AGAIN, "try again later"),
    };
    let farewell = async {
        socket.send(Message::Close(Some(CloseFrame { code, reason: text.into() }))).await?;
        // If the connection were dropped with something unread, the client might not get the last message. What it
        // still says does not count.
        while socket.recv().await.transpose()?.is_some() {}
        Ok::<_, Error>(())
    };
    // A client that reads nothing gets no more time.
    let _ = timeout(FAREWELL, farewell).await;
}
