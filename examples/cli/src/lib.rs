//! A command-line program: its token is in a file that only its user can read, its sessions in a database.
//!
//! ```sh
//! export KNOX_SECRET="$(openssl rand -base64 48)"
//! cargo run --example cli -- login alice     # asks for the password, which is wonderland
//! cargo run --example cli -- devices
//! ```
//!
//! `KNOX_SECRET` is the signing key. `DATABASE_URL` is the database, and `TOKEN_FILE` the file with the token; both are
//! in the current folder unless given. The exit code is 1 if the answer is no, and 75 if the store could not answer:
//! try again later.
//!
//! An operator needs the database only, and no signing key:
//!
//! ```sh
//! cargo run --example cli -- sessions user-1
//! cargo run --example cli -- revoke user-1 --all
//! ```

mod token_file;

use std::{env, error::Error, fs, io, path::PathBuf};

use jwt_knox::{
    AuthenticateError, Authenticated, IssueError, Knox, KnoxAdmin, NewSession, SessionRecord, SessionRef, SigningKey,
    StoreError, Subject,
};
use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore};
use sea_orm::{ConnectOptions, Database, DbErr, RuntimeErr};

/// Why a command has failed, for people.
pub type Failure = Box<dyn Error>;

const USAGE: &str = "one of: login NAME, whoami, devices, logout, logout --others, logout --all, logout ID; \
                     for operators: sessions SUBJECT, revoke SUBJECT ID, revoke SUBJECT --all, purge";

/// Runs a command, and gives what to print.
///
/// # Errors
///
/// [`Failure`] if the answer is no, or if there is none; see [`is_unanswered`].
pub async fn run(arguments: &[&str]) -> Result<String, Failure> {
    match *arguments {
        ["login", name] => User::open().await?.login(name).await,
        ["whoami"] => Ok(User::open().await?.authenticate().await?.subject().to_string()),
        ["devices"] => User::open().await?.devices().await,
        ["logout"] => User::open().await?.logout().await,
        ["logout", "--others"] => User::open().await?.logout_others().await,
        ["logout", "--all"] => User::open().await?.logout_all().await,
        ["logout", id] => User::open().await?.logout_device(id).await,
        ["sessions", subject] => Operator::open().await?.sessions(subject).await,
        ["revoke", subject, "--all"] => Operator::open().await?.revoke_all(subject).await,
        ["revoke", subject, id] => Operator::open().await?.revoke(subject, id).await,
        ["purge"] => Operator::open().await?.purge().await,
        _ => Err(USAGE.into()),
    }
}

/// The sessions in the database of `DATABASE_URL`.
async fn open_store() -> Result<SeaOrmStore, Failure> {
    let url = env::var("DATABASE_URL").unwrap_or_else(|_| "sqlite:cli.sqlite?mode=rwc".to_owned());
    let connection = match Database::connect(ConnectOptions::new(url).sqlx_logging(false).to_owned()).await {
        // The error quotes the URL, and so the password in it.
        Err(DbErr::Conn(RuntimeErr::Internal(_))) => {
            return Err("there is no driver for the URL in DATABASE_URL".into());
        }
        connection => connection?,
    };
    Migrator::up(&connection, None).await?;
    Ok(SeaOrmStore::new(connection))
}

/// What a user does with the token in the file.
struct User {
    knox: Knox,
    token_file: PathBuf,
}

impl User {
    async fn open() -> Result<Self, Failure> {
        let key = SigningKey::hs256(env::var("KNOX_SECRET").map_err(|_| "KNOX_SECRET is not set")?)?;
        let knox = Knox::builder(key).store(open_store().await?).build()?;
        let token_file = env::var_os("TOKEN_FILE").unwrap_or_else(|| "cli.token".into()).into();
        Ok(Self { knox, token_file })
    }

    /// Whose token is in the file. This is checked each time, since another device may have ended the session.
    async fn authenticate(&self) -> Result<Authenticated, Failure> {
        let token = fs::read_to_string(&self.token_file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "not logged in".into(),
            _ => Failure::from(error),
        })?;
        Ok(self.knox.authenticate(&token).await?)
    }

    async fn login(&self, name: &str) -> Result<String, Failure> {
        // The file has room for one token. A session whose token is lost would stay until its expiry.
        if let Ok(auth) = self.authenticate().await {
            return Err(format!("logged in as {} already; log out first", auth.subject()).into());
        }
        let subject = check_password(name, &read_password()?).ok_or("the name or the password is wrong")?;
        let device = env::var("HOSTNAME").unwrap_or_else(|_| "command line".to_owned());
        let issued = self.knox.issue(NewSession::new(subject).label(device)).await?;
        if let Err(error) = token_file::save(&self.token_file, &issued.token) {
            // Nobody has its token.
            let _ = self.knox.revoke(&issued.session.session_ref()).await?;
            return Err(error.into());
        }
        Ok(format!("hello {name}"))
    }

    async fn devices(&self) -> Result<String, Failure> {
        let auth = self.authenticate().await?;
        let sessions = self.knox.sessions(auth.subject()).await?;
        let lines = sessions.iter().map(|session| {
            let mark = if session.id == auth.session_id() { '*' } else { ' ' };
            format!("{mark} {}", describe(session))
        });
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    async fn logout(&self) -> Result<String, Failure> {
        let auth = self.authenticate().await?;
        // The file goes last. If the store fails, the session is still there, and so is the token that can end it. Not
        // found is as good: another device has ended it in the meantime.
        let _ = self.knox.revoke(&auth.session_ref()).await?;
        fs::remove_file(&self.token_file)?;
        Ok("bye".to_owned())
    }

    async fn logout_all(&self) -> Result<String, Failure> {
        let auth = self.authenticate().await?;
        let ended = self.knox.revoke_all(auth.subject()).await?;
        fs::remove_file(&self.token_file)?;
        Ok(format!("{ended} ended"))
    }

    async fn logout_others(&self) -> Result<String, Failure> {
        let auth = self.authenticate().await?;
        Ok(format!("{} ended", self.knox.revoke_others(&auth).await?))
    }

    async fn logout_device(&self, id: &str) -> Result<String, Failure> {
        let auth = self.authenticate().await?;
        let session = auth.own_session(id.parse()?);
        if self.knox.revoke(&session).await?.is_revoked() {
            Ok("1 ended".to_owned())
        } else {
            Err("there is no such device".into())
        }
    }
}

/// What an operator does with the sessions of others.
struct Operator(KnoxAdmin);

impl Operator {
    async fn open() -> Result<Self, Failure> {
        Ok(Self(KnoxAdmin::new(open_store().await?)))
    }

    async fn sessions(&self, subject: &str) -> Result<String, Failure> {
        let sessions = self.0.sessions(&Subject::new(subject)?).await?;
        Ok(sessions.iter().map(describe).collect::<Vec<_>>().join("\n"))
    }

    async fn revoke(&self, subject: &str, id: &str) -> Result<String, Failure> {
        let session = SessionRef::new(Subject::new(subject)?, id.parse()?);
        if self.0.revoke(&session).await?.is_revoked() {
            Ok("1 revoked".to_owned())
        } else {
            Err("there is no such session".into())
        }
    }

    async fn revoke_all(&self, subject: &str) -> Result<String, Failure> {
        Ok(format!("{} revoked", self.0.revoke_all(&Subject::new(subject)?).await?))
    }

    async fn purge(&self) -> Result<String, Failure> {
        Ok(format!("{} purged", self.0.purge_expired().await?))
    }
}

fn describe(session: &SessionRecord) -> String {
    format!("{} {}, since {}", session.id, session.label.as_deref().unwrap_or("?"), session.created_at)
}

/// Replace this: find the user, and check the password against a slow hash. The subject is the user's id, which never
/// changes.
fn check_password(name: &str, password: &str) -> Option<Subject> {
    let user_id = match (name, password) {
        ("alice", "wonderland") => "user-1",
        ("bob", "builder") => "user-2",
        _ => return None,
    };
    Subject::new(user_id).ok()
}

/// Reads a line. A program for people would not show it while it is typed.
fn read_password() -> io::Result<String> {
    #![allow(clippy::print_stderr)]
    eprint!("Password: ");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Whether the store could not answer. That is neither yes nor no: the token in the file may still be valid.
#[must_use]
pub fn is_unanswered(error: &(dyn Error + 'static)) -> bool {
    error.is::<DbErr>()
        || error.is::<StoreError>()
        || matches!(error.downcast_ref(), Some(AuthenticateError::Store(_)))
        || matches!(error.downcast_ref(), Some(IssueError::Store(_)))
}
