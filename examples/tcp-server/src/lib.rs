//! A TCP server that speaks lines: a client presents a token when it connects, and loses the connection soon after the
//! session has ended.
//!
//! `cargo run --example tcp_server`, then `nc 127.0.0.1 8000` and `login alice wonderland`. The answer
//! holds a token, for `token …` as the first line of a further connection. Other lines are `whoami`, `logout`,
//! `logout_others`, `logout_all`; the rest is sent back.
//!
//! `LISTEN` is the address. `RECHECK_MILLISECONDS` is how long a connection outlasts its session at most when another
//! process ends it.
//!
//! Left out, and needed on a network: TLS, and a limit on how often a password is tried.

use std::{io, sync::Arc, time::Duration};

use jwt_knox::{AuthenticateError, Authenticated, IssueError, Knox, Rejection, StoreError, Subject};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

/// How long a client may take for its first line.
const FIRST_LINE: Duration = Duration::from_secs(10);

/// How many clients may be connected at the same time. The others wait.
const MAX_CONNECTIONS: usize = 1000;

/// Serves connections forever.
pub async fn serve(listener: TcpListener, knox: Knox) {
    #![allow(clippy::print_stderr)]
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let knox = knox.clone();
                tokio::spawn(async move {
                    let _place = place;
                    if let Err(error) = converse(stream, &knox).await {
                        eprintln!("a connection failed: {error}");
                    }
                });
            }
            Err(error) => {
                eprintln!("no connection could be accepted: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One connection, from the first line to the last.
async fn converse(stream: TcpStream, knox: &Knox) -> io::Result<()> {
    let mut peer = Peer { stream: BufReader::new(stream), max_line: knox.max_token_bytes() as u64 + 16 };
    let Ok(line) = timeout(FIRST_LINE, peer.line()).await else { return Ok(()) };
    let Some(line) = line? else { return Ok(()) };
    let (token, auth) = match admit(&line, knox).await {
        Ok(admitted) => admitted,
        // The reason is for the log only.
        Err(IssueError::Rejected(_)) => return peer.say("rejected").await,
        Err(_) => return peer.say("try again later").await,
    };
    if line.starts_with("login ") {
        peer.say(&format!("token {token}")).await?;
    }
    peer.say(&format!("hello {}", auth.subject())).await?;

    // The end of the session ends the connection whatever it is doing: waiting for a line, or for a client that reads
    // none. A client that ends its own session is told so first.
    let farewell = tokio::select! {
        biased;
        outcome = answer_lines(&mut peer, knox, &auth) => return outcome,
        reason = wait_for_end(knox, &auth) => reason,
    };
    timeout(Duration::from_secs(1), peer.say(farewell)).await.unwrap_or(Ok(()))
}

/// Authenticates a client by its first line, which holds a token or earns one.
async fn admit(line: &str, knox: &Knox) -> Result<(String, Authenticated), IssueError> {
    let token = match line.split(' ').collect::<Vec<_>>()[..] {
        ["token", token] => token.to_owned(),
        ["login", name, password] => {
            let subject = check_password(name, password).await.ok_or(Rejection::SubjectUnknown)?;
            knox.issue(subject).await?.token.expose().to_owned()
        }
        _ => return Err(Rejection::Malformed("the first line is neither a token nor a login").into()),
    };
    let auth = knox.authenticate(&token).await?;
    Ok((token, auth))
}

/// Replace this: find the user, and check the password against a slow hash, in `spawn_blocking` and few at the same
/// time. Check an unknown user's against some fixed hash, so that the time does not tell who exists. The subject is the
/// user's id, which never changes.
async fn check_password(name: &str, password: &str) -> Option<Subject> {
    let user_id = match (name, password) {
        ("alice", "wonderland") => "user-1",
        ("bob", "builder") => "user-2",
        _ => return None,
    };
    Subject::new(user_id).ok()
}

/// Answers line by line, until the client goes or logs out.
async fn answer_lines(peer: &mut Peer, knox: &Knox, auth: &Authenticated) -> io::Result<()> {
    while let Some(line) = peer.line().await? {
        match answer(&line, knox, auth).await {
            Ok(Some(text)) => peer.say(&text).await?,
            Ok(None) => return peer.say("bye").await,
            // Not done, as far as we know. The client must not think that it is.
            Err(_) => peer.say("try again later").await?,
        }
    }
    Ok(())
}

/// The answer to a line; `None` if this session has been revoked.
async fn answer(line: &str, knox: &Knox, auth: &Authenticated) -> Result<Option<String>, StoreError> {
    match line {
        "whoami" => return Ok(Some(auth.subject().to_string())),
        "logout_others" => return Ok(Some(format!("{} ended", knox.revoke_others(auth).await?))),
        "logout_all" => drop(knox.revoke_all(auth.subject()).await?),
        // It has ended either way.
        "logout" => drop(knox.revoke(&auth.session_ref()).await?),
        _ => return Ok(Some(format!("you said {line}"))),
    }
    Ok(None)
}

/// Waits until the session has ended, and says what the client is told.
async fn wait_for_end(knox: &Knox, auth: &Authenticated) -> &'static str {
    match knox.ended(auth).await {
        AuthenticateError::Rejected(_) => "the session has ended",
        // Nobody can tell, so nobody is served.
        AuthenticateError::Store(_) => "try again later",
    }
}

/// The client at the other end.
struct Peer {
    stream: BufReader<TcpStream>,
    max_line: u64,
}

impl Peer {
    /// The next line, without its end. `None`: there is none, or it is longer than a client may make it.
    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        (&mut self.stream).take(self.max_line).read_line(&mut line).await?;
        Ok(line.strip_suffix('\n').map(|line| line.trim_end_matches('\r').to_owned()))
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("{text}\n").as_bytes()).await
    }
}
