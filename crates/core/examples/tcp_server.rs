//! A TCP server that speaks lines: a client shows a token when it connects, and loses the connection soon after the
//! login has ended.
//!
//! `cargo run -p jwt-knox --example tcp_server`, then `nc 127.0.0.1 8000` and `login alice wonderland`. The answer
//! holds a token, for `token …` as the first line of a further connection. Other lines are `whoami`, `logout`,
//! `logout_others`, `logout_all`; the rest is sent back.
//!
//! `LISTEN` is the address. `RECHECK_MILLISECONDS` is how often an open connection's token is asked about again.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{env, error::Error, io, time::Duration};

use jwt_knox::{
    AuthError, AuthenticateError, Authenticated, IssueError, Knox, MemoryStore, SigningKey, StoreError, Subject,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

/// How long a client may take for its first line.
const FIRST_LINE: Duration = Duration::from_secs(10);

/// After so many questions in a row without an answer, a connection is closed.
const MAX_UNANSWERED: u32 = 5;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8000".to_owned());
    let recheck = env::var("RECHECK_MILLISECONDS").map_or(Ok(5_000), |millis| millis.parse())?;
    // Logins in memory end with the process, so the key may too.
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let knox = Knox::builder(SigningKey::hs256(key)?).store(MemoryStore::new()).build()?;

    let listener = TcpListener::bind(listen).await?;
    println!("Listening on {}", listener.local_addr()?);
    serve(listener, knox, Duration::from_millis(recheck)).await;
    Ok(())
}

pub(crate) async fn serve(listener: TcpListener, knox: Knox, recheck: Duration) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let knox = knox.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &knox, recheck).await {
                        eprintln!("a connection broke: {error}");
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
async fn converse(stream: TcpStream, knox: &Knox, recheck: Duration) -> io::Result<()> {
    let mut peer = Peer { stream: BufReader::new(stream), max_line: knox.max_token_bytes() as u64 + 16 };
    let Ok(line) = timeout(FIRST_LINE, peer.line()).await else { return Ok(()) };
    let Some(line) = line? else { return Ok(()) };
    let (token, auth) = match admit(&line, knox).await {
        Ok(admitted) => admitted,
        // The reason is for the log only.
        Err(IssueError::Refused(_)) => return peer.say("refused").await,
        Err(_) => return peer.say("try again later").await,
    };
    if line.starts_with("login ") {
        peer.say(&format!("token {token}")).await?;
    }
    peer.say(&format!("hello {}", auth.subject())).await?;

    // The end of the login ends the connection whatever it is doing: waiting for a line, or for a client that reads
    // none.
    let farewell = tokio::select! {
        outcome = answer_lines(&mut peer, knox, &auth) => return outcome,
        reason = wait_for_end(knox, &auth, recheck) => reason,
    };
    timeout(Duration::from_secs(1), peer.say(farewell)).await.unwrap_or(Ok(()))
}

/// Lets a client in by its first line, which shows a token or earns one.
async fn admit(line: &str, knox: &Knox) -> Result<(String, Authenticated), IssueError> {
    let token = match line.split(' ').collect::<Vec<_>>()[..] {
        ["token", token] => token.to_owned(),
        ["login", name, password] => {
            let subject = check_password(name, password).ok_or(AuthError::SubjectUnknown)?;
            knox.issue(subject).await?.token.expose().to_owned()
        }
        _ => return Err(AuthError::Missing.into()),
    };
    let auth = knox.authenticate(&token).await?;
    Ok((token, auth))
}

/// Yours: find the user, and check the password against a slow hash. The subject is the user's id, which never changes.
fn check_password(name: &str, password: &str) -> Option<Subject> {
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

/// The answer to a line; `None` if this login is to end.
async fn answer(line: &str, knox: &Knox, auth: &Authenticated) -> Result<Option<String>, StoreError> {
    match line {
        "whoami" => return Ok(Some(auth.subject().to_string())),
        "logout_others" => return Ok(Some(format!("{} ended", knox.revoke_others(auth).await?))),
        "logout_all" => knox.revoke_all(auth.subject()).await.map(drop)?,
        "logout" => knox.revoke(&auth.key()).await.map(drop)?,
        _ => return Ok(Some(format!("you said {line}"))),
    }
    Ok(None)
}

/// Waits until the login has ended, or until nobody could say for too long whether it has.
async fn wait_for_end(knox: &Knox, auth: &Authenticated, recheck: Duration) -> &'static str {
    let mut unanswered = 0;
    while unanswered < MAX_UNANSWERED {
        sleep(recheck).await;
        match timeout(recheck, knox.recheck(auth)).await {
            Ok(Ok(_)) => unanswered = 0,
            Ok(Err(AuthenticateError::Refused(_))) => return "the login has ended",
            // The store may be back in a moment, so this is not the end yet.
            Ok(Err(_)) | Err(_) => unanswered += 1,
        }
    }
    "try again later"
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
