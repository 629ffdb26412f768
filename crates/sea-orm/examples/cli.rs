//! A command-line program: its token is in a file that only its user can read, its logins in a database.
//!
//! ```sh
//! export KNOX_SECRET="$(openssl rand -base64 48)"
//! cargo run -p jwt-knox-sea-orm --example cli -- login alice     # asks for the password, which is wonderland
//! cargo run -p jwt-knox-sea-orm --example cli -- devices
//! ```
//!
//! `KNOX_SECRET` is the signing key. `DATABASE_URL` is the database, and `TOKEN_FILE` the file with the token; both are
//! in the current folder unless given. The exit code is 1 if the answer is no, and 75 if there is none: try again
//! later.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{
    env,
    error::Error,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use jwt_knox::{
    AuthenticateError, Authenticated, IssueError, Knox, NewToken, SigningKey, StoreError, Subject, Token, TokenKey,
};
use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore};
use sea_orm::{ConnectOptions, Database, DbErr};

type Failure = Box<dyn Error>;

const USAGE: &str = "one of: login NAME, whoami, devices, logout, logout --others, logout --all, logout ID";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments).await {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(if is_unanswered(&*error) { 75 } else { 1 })
        }
    }
}

async fn run(arguments: &[&str]) -> Result<String, Failure> {
    match *arguments {
        ["login", name] => Program::open().await?.login(name).await,
        ["whoami"] => Ok(Program::open().await?.authenticate().await?.subject().to_string()),
        ["devices"] => Program::open().await?.devices().await,
        ["logout"] => Program::open().await?.logout().await,
        ["logout", "--others"] => Program::open().await?.logout_others().await,
        ["logout", "--all"] => Program::open().await?.logout_all().await,
        ["logout", id] => Program::open().await?.logout_device(id).await,
        _ => Err(USAGE.into()),
    }
}

struct Program {
    knox: Knox,
    token_file: PathBuf,
}

impl Program {
    async fn open() -> Result<Self, Failure> {
        let key = SigningKey::hs256(env::var("KNOX_SECRET").map_err(|_| "KNOX_SECRET is not set")?)?;
        let url = env::var("DATABASE_URL").unwrap_or_else(|_| "sqlite:cli.sqlite?mode=rwc".to_owned());
        let connection = Database::connect(ConnectOptions::new(url).sqlx_logging(false).to_owned()).await?;
        Migrator::up(&connection, None).await?;
        let knox = Knox::builder(key).store(SeaOrmStore::new(connection)).build()?;
        let token_file = env::var_os("TOKEN_FILE").unwrap_or_else(|| "cli.token".into()).into();
        Ok(Self { knox, token_file })
    }

    /// Whose token is in the file. That is asked each time, since the login may have been ended from another device.
    async fn authenticate(&self) -> Result<Authenticated, Failure> {
        let token = fs::read_to_string(&self.token_file).map_err(|error| match error.kind() {
            ErrorKind::NotFound => "not logged in".into(),
            _ => Failure::from(error),
        })?;
        Ok(self.knox.authenticate(&token).await?)
    }

    async fn login(&self, name: &str) -> Result<String, Failure> {
        // The file has room for one token. A login whose token is lost would stay until its deadline.
        if let Ok(auth) = self.authenticate().await {
            return Err(format!("logged in as {} already; log out first", auth.subject()).into());
        }
        let subject = check_password(name, &read_password()?).ok_or("the name or the password is wrong")?;
        let device = env::var("HOSTNAME").unwrap_or_else(|_| "command line".to_owned());
        let issued = self.knox.issue_with(NewToken::for_subject(subject).label(device)).await?;
        if let Err(error) = save(&self.token_file, &issued.token) {
            self.knox.revoke(&issued.record.key()).await?;
            return Err(error.into());
        }
        Ok(format!("hello {name}"))
    }

    async fn devices(&self) -> Result<String, Failure> {
        let auth = self.authenticate().await?;
        let logins = self.knox.tokens(auth.subject()).await?;
        let lines = logins.iter().map(|login| {
            let mark = if login.id() == *auth.token_id() { '*' } else { ' ' };
            format!("{mark} {} {}, since {}", login.id(), login.label.as_deref().unwrap_or("?"), login.created_at)
        });
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    async fn logout(&self) -> Result<String, Failure> {
        let auth = self.authenticate().await?;
        // The file goes last. If the store fails, the login is still there, and so is the token that can end it.
        self.knox.revoke(&auth.key()).await?;
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
        let key = TokenKey { subject: auth.subject().clone(), id: id.parse()? };
        if self.knox.revoke(&key).await? { Ok("1 ended".to_owned()) } else { Err("there is no such device".into()) }
    }
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

/// Reads a line. A program for people would not show it while it is typed.
fn read_password() -> io::Result<String> {
    eprint!("Password: ");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Writes the token into a file that is its owner's alone from the first byte on, and puts it in the place of the old
/// one.
fn save(path: &Path, token: &Token) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = create_private(&new)?;
    file.write_all(token.expose().as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}

fn create_private(path: &Path) -> io::Result<File> {
    // What an earlier run has left would keep its mode.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether the store could not answer. That is neither yes nor no: the token in the file may be as good as ever.
fn is_unanswered(error: &(dyn Error + 'static)) -> bool {
    error.is::<DbErr>()
        || error.is::<StoreError>()
        || matches!(error.downcast_ref(), Some(AuthenticateError::Store(_)))
        || matches!(error.downcast_ref(), Some(IssueError::Store(_)))
}
