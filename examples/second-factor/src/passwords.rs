//! Hashing passwords, so that many logins at once take neither all of the processor nor all of the memory.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use argon2::{
    Argon2,
    password_hash::{Error, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use jwt_knox_axum::LoginError;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use zeroize::Zeroizing;

/// How long a login waits for its turn.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Compares passwords with hashes. Cheap to clone; clones share the queue.
#[derive(Debug, Clone)]
pub struct Passwords(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    /// One for each password that may be hashed at the same time. Argon2 takes 19 MiB for each, and all of a core.
    turns: Arc<Semaphore>,
    /// What to compare with if there is no such user.
    decoy: String,
    running: AtomicUsize,
    hashed: AtomicUsize,
}

impl Passwords {
    /// A queue that uses half of the cores, so that the other half is left for requests with tokens.
    ///
    /// # Errors
    ///
    /// [`Error`] if the operating system gives no random salt.
    pub fn new() -> Result<Self, Error> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self(Arc::new(Queue {
            turns: Arc::new(Semaphore::new((cores / 2).max(1))),
            decoy: hash("nobody's password")?,
            running: AtomicUsize::new(0),
            hashed: AtomicUsize::new(0),
        })))
    }

    /// Whether `password` is the one that was hashed to `stored`. If that is not a hash, or there is none, it takes as
    /// long, so that the time does not tell who is a user.
    ///
    /// # Errors
    ///
    /// [`LoginError::Unavailable`] if it would take too long for this password's turn to come.
    pub async fn verify(&self, password: &str, stored: Option<String>) -> Result<bool, LoginError> {
        let Ok(Ok(turn)) = timeout(MAX_WAIT, Arc::clone(&self.0.turns).acquire_owned()).await else {
            return Err(LoginError::unavailable("too many logins at the same time"));
        };
        let (queue, password) = (Arc::clone(&self.0), Zeroizing::new(password.to_owned()));
        // Hashing takes long on purpose, so it must not run on the threads that serve requests.
        let hashing = spawn_blocking(move || {
            // Kept until the hashing is done, even if the client has gone away and nobody waits for it.
            let _turn = turn;
            queue.verify(&password, stored.as_deref())
        });
        hashing.await.map_err(LoginError::unavailable)
    }

    /// How many passwords are being hashed now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Relaxed)
    }

    /// How many passwords have been hashed so far.
    #[must_use]
    pub fn hashed(&self) -> usize {
        self.0.hashed.load(Ordering::Relaxed)
    }
}

impl Queue {
    fn verify(&self, password: &str, stored: Option<&str>) -> bool {
        self.running.fetch_add(1, Ordering::Relaxed);
        let is_right = stored.and_then(|stored| self.compare(password, stored)).unwrap_or_else(|| {
            self.compare(password, &self.decoy);
            false
        });
        self.running.fetch_sub(1, Ordering::Relaxed);
        is_right
    }

    /// Hashes `password` and compares it with `stored`. `None`: that is not a hash to compare with, as `!` is not, and
    /// nothing was hashed.
    fn compare(&self, password: &str, stored: &str) -> Option<bool> {
        let stored = PasswordHash::new(stored).ok().filter(|stored| stored.salt.is_some() && stored.hash.is_some())?;
        let is_right = match Argon2::default().verify_password(password.as_bytes(), &stored) {
            Ok(()) => true,
            Err(Error::PasswordInvalid) => false,
            // Of another algorithm, or with parameters that are out of range.
            Err(_) => return None,
        };
        self.hashed.fetch_add(1, Ordering::Relaxed);
        Some(is_right)
    }
}

/// Hashes `password` with Argon2id, into the form that [`Passwords::verify`] reads.
///
/// # Errors
///
/// [`Error`] if the operating system gives no random salt.
pub fn hash(password: &str) -> Result<String, Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}
