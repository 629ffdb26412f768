//! The environment variables.

use std::{env, fmt::Display, net::SocketAddr, str::FromStr, time::Duration};

use jwt_knox_actix::jwt_knox::{Cache, Lifetime, SessionLimit, SigningKey};

use crate::Failure;

/// What the environment says.
// No `Debug`: the URL of the database may have a password in it.
#[allow(missing_debug_implementations)]
pub struct Settings {
    /// `LISTEN`: the address and port. Default: `127.0.0.1:8000`.
    pub listen: SocketAddr,
    /// `DATABASE_URL`. Default: a SQLite file in the current folder.
    pub database_url: String,
    /// `KNOX_STORE_URL`: `redis://…` keeps sessions in Redis. Unset: in the database.
    pub store_url: Option<String>,
    /// `KNOX_CACHE_MAX_AGE_MS`: for how many milliseconds the answers of the store are remembered. Default: 0, not at
    /// all.
    pub cache: Cache,
    /// `KNOX_FEED`: `1` tells other servers on the same store at once what this one ends, and hears of what they end.
    pub feed: bool,
    /// `KNOX_SECRET`: its UTF-8 bytes are the HS256 key. Unset: a random key for this run.
    pub key: SigningKey,
    /// `KNOX_LIMIT`: `deny:3`, `evict:3` or `evict_unused:3`. Unset: none.
    pub limit: Option<SessionLimit>,
    /// `KNOX_LIFETIME_SECONDS`. Default: 10 hours.
    pub lifetime: Lifetime,
    /// `KNOX_ROTATION_GRACE_SECONDS`. Default: 10 seconds.
    pub rotation_grace: Duration,
    /// `KNOX_COOKIES`: `1` lets browsers log in with a cookie, and serves a small page for them.
    pub cookies: bool,
    /// `KNOX_DEBUG_VERIFY`: `1` switches `/debug_verify` on.
    pub debug_verify: bool,
}

impl Settings {
    /// Reads all variables.
    ///
    /// # Errors
    ///
    /// [`Failure`] names the variable that is wrong and the form that it should have.
    pub fn from_env() -> Result<Self, Failure> {
        Ok(Self {
            listen: parsed("LISTEN", "127.0.0.1:8000")?.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8000))),
            database_url: variable("DATABASE_URL")?.unwrap_or_else(|| "sqlite:quickstart.sqlite".to_owned()),
            store_url: variable("KNOX_STORE_URL")?,
            cache: match parsed::<u32>("KNOX_CACHE_MAX_AGE_MS", "1000")? {
                None => Cache::default(),
                Some(millis) => Cache::default().max_age(Duration::from_millis(millis.into())),
            },
            feed: switch("KNOX_FEED")?,
            key: match variable("KNOX_SECRET")? {
                None => random_key()?,
                Some(secret) => SigningKey::hs256(secret).map_err(invalid("KNOX_SECRET"))?,
            },
            limit: variable("KNOX_LIMIT")?.map(|value| limit(&value)).transpose()?,
            lifetime: match parsed("KNOX_LIFETIME_SECONDS", "3600")? {
                None => Lifetime::default(),
                Some(seconds) => {
                    Lifetime::expires_after(Duration::from_secs(seconds)).map_err(invalid("KNOX_LIFETIME_SECONDS"))?
                }
            },
            rotation_grace: parsed::<u32>("KNOX_ROTATION_GRACE_SECONDS", "10")?
                .map_or(Duration::from_secs(10), |seconds| Duration::from_secs(seconds.into())),
            cookies: switch("KNOX_COOKIES")?,
            debug_verify: switch("KNOX_DEBUG_VERIFY")?,
        })
    }
}

/// The variable, if it is set and not empty.
fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Failure(format!("{name} is not UTF-8"))),
    }
}

/// The variable as a number or an address, if it is set.
fn parsed<T: FromStr>(name: &str, example: &str) -> Result<Option<T>, Failure> {
    variable(name)?.map(|value| value.parse().map_err(|_| wrong(name, example))).transpose()
}

/// Whether it is switched on.
fn switch(name: &str) -> Result<bool, Failure> {
    match variable(name)?.as_deref() {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(wrong(name, "1")),
    }
}

fn limit(value: &str) -> Result<SessionLimit, Failure> {
    let wrong = || wrong("KNOX_LIMIT", "deny:3, evict:3 or evict_unused:3");
    let (action, max) = value.split_once(':').ok_or_else(wrong)?;
    let max = max.parse().map_err(|_| wrong())?;
    let limit = match action {
        "deny" => SessionLimit::deny(max),
        "evict" => SessionLimit::evict_oldest(max),
        "evict_unused" => SessionLimit::evict_least_recently_used(max),
        _ => return Err(wrong()),
    };
    limit.map_err(invalid("KNOX_LIMIT"))
}

fn random_key() -> Result<SigningKey, Failure> {
    #![allow(clippy::print_stdout)]
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    println!("KNOX_SECRET is not set: signing with a random key. A restart makes all tokens of this run worthless.");
    Ok(SigningKey::hs256(key)?)
}

fn invalid<E: Display>(name: &str) -> impl FnOnce(E) -> Failure {
    move |error| Failure(format!("{name}: {error}"))
}

fn wrong(name: &str, example: &str) -> Failure {
    Failure(format!("{name} must be of the form {example}"))
}
