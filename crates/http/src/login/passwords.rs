//! Verifying passwords, so that many logins at once take neither all of the processor nor all of the memory.

use std::{
    fmt,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::available_parallelism,
};

use async_lock::Semaphore;
use jwt_knox::{StoreError, TimeLimit};
use zeroize::Zeroizing;

use crate::login::LoginError;

/// Verifies passwords for a [`Login`](crate::Login), by the hash of your choice.
///
/// A hash of passwords takes long on purpose, and much memory. So it runs on threads that serve no requests, and only
/// so many at a time, whatever clients do: the others wait for their turn, for 5 seconds at most, and a client that
/// hangs up does not make room for another while its password is still hashed. For a user who is not there it takes as
/// long as for a wrong password, so that the time does not tell who is a user.
///
/// Cheap to clone; clones share the queue.
///
/// # Examples
///
/// ```
/// use jwt_knox::{async_trait, NewSession};
/// use jwt_knox_http::{Credentials, Login, LoginError, Passwords};
///
/// # struct User { id: i64, password_hash: String }
/// # fn compare(password: &str, stored: &str) -> Option<bool> { Some(password == stored) }
/// struct Users {
///     passwords: Passwords,
/// }
///
/// impl Users {
///     fn new() -> Self {
///         // A hash of a password that nobody has, and how to compare one; see the example servers for Argon2.
///         Self { passwords: Passwords::new("$argon2id$v=19$…", compare) }
///     }
///
/// #   async fn find(&self, _: &str) -> Result<Option<User>, LoginError> { Ok(None) }
/// }
///
/// #[async_trait]
/// impl Login for Users {
///     async fn login(&self, credentials: &Credentials) -> Result<NewSession, LoginError> {
///         let user = self.find(credentials.username()).await?;
///         let hash = user.as_ref().map(|user| user.password_hash.clone());
///         let is_right = self.passwords.verify(credentials.password(), hash).await?;
///         let user = user.filter(|_| is_right).ok_or(LoginError::InvalidCredentials)?;
///         Ok(NewSession::new(user.id))
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    decoy: String,
    compare: Box<Compare>,
    /// One for each password that may be hashed at the same time.
    turns: Arc<Semaphore>,
    max_wait: TimeLimit,
}

/// Whether a password is the one that was hashed to a stored string, if that is a hash.
type Compare = dyn Fn(&str, &str) -> Option<bool> + Send + Sync;

impl Passwords {
    /// Verifies by `compare`, which says whether a password is the one that was hashed to a stored string; `None`: that
    /// is not a hash to compare with, as `!` is not, and no time was spent. It may take its time.
    ///
    /// `decoy` is what to compare with in place of such a string, and where there is no user: a hash of the same kind
    /// and cost as those of users.
    ///
    /// At most half as many passwords are hashed at a time as there are cores, so that the other half is left for
    /// requests with tokens.
    #[must_use]
    pub fn new(decoy: impl Into<String>, compare: impl Fn(&str, &str) -> Option<bool> + Send + Sync + 'static) -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let max_concurrent = NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN);
        Self::with_max_concurrent(max_concurrent, decoy, compare)
    }

    /// As [`new`](Self::new), with so many passwords at a time: each takes the memory of one hash, 19 MiB with the
    /// usual Argon2id, and a core.
    #[must_use]
    pub fn with_max_concurrent(
        max_concurrent: NonZeroUsize,
        decoy: impl Into<String>,
        compare: impl Fn(&str, &str) -> Option<bool> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            decoy: decoy.into(),
            compare: Box::new(compare),
            turns: Arc::new(Semaphore::new(max_concurrent.get())),
            max_wait: TimeLimit::default(),
        }))
    }

    /// Whether `password` is the one that was hashed to `stored`. `None`: there is no such user, which takes as long,
    /// and is `false`.
    ///
    /// # Errors
    ///
    /// [`LoginError::Unavailable`] if this password's turn does not come in time, or comparing it panics.
    pub async fn verify(&self, password: &str, stored: Option<String>) -> Result<bool, LoginError> {
        let inner = &self.0;
        let turn = inner.max_wait.apply(async { Ok::<_, StoreError>(inner.turns.acquire_arc().await) }).await;
        let turn = turn.map_err(|_| LoginError::unavailable("too many logins at the same time"))?;
        let (inner, password) = (Arc::clone(inner), Zeroizing::new(password.to_owned()));
        let outcome = blocking::unblock(move || {
            // Kept until the hashing is done, even if the client has gone away and nobody waits for it.
            let _turn = turn;
            catch_unwind(AssertUnwindSafe(|| inner.verify(&password, stored.as_deref()))).ok()
        });
        outcome.await.ok_or_else(|| LoginError::unavailable("comparing a password panicked"))
    }
}

impl Inner {
    fn verify(&self, password: &str, stored: Option<&str>) -> bool {
        stored.and_then(|stored| (self.compare)(password, stored)).unwrap_or_else(|| {
            let _ = (self.compare)(password, &self.decoy);
            false
        })
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::{Pin, pin},
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering::SeqCst},
            mpsc,
        },
        task::{Context, Poll, Wake, Waker},
    };

    use super::*;

    const DECOY: &str = "hash of nothing";

    fn compare(password: &str, stored: &str) -> Option<bool> {
        stored.strip_prefix("hash of ").map(|hashed| hashed == password)
    }

    fn stored(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[tokio::test]
    async fn right_is_right_and_wrong_is_wrong() {
        let passwords = Passwords::new(DECOY, compare);
        assert!(passwords.verify("wonderland", stored("hash of wonderland")).await.unwrap());
        assert!(!passwords.verify("Wonderland", stored("hash of wonderland")).await.unwrap());
    }

    /// Otherwise the time would tell. The password of the decoy opens nothing.
    #[tokio::test]
    async fn every_password_is_compared_once_with_a_hash() {
        let compared = Arc::new(Mutex::new(Vec::new()));
        let calls = Arc::clone(&compared);
        let passwords = Passwords::new(DECOY, move |password, stored| {
            let outcome = compare(password, stored);
            if outcome.is_some() {
                calls.lock().unwrap().push(stored.to_owned());
            }
            outcome
        });
        for unusable in [None, stored(""), stored("!"), stored("nothing")] {
            for password in ["nothing", "", "!"] {
                assert!(!passwords.verify(password, unusable.clone()).await.unwrap(), "{unusable:?}");
                assert_eq!(std::mem::take(&mut *compared.lock().unwrap()), [DECOY]);
            }
        }
        passwords.verify("x", stored("hash of y")).await.unwrap();
        assert_eq!(*compared.lock().unwrap(), ["hash of y"]);
    }

    /// A client that hangs up does not stop its hashing, so the next one waits for that all the same.
    #[tokio::test]
    async fn clients_that_hang_up_make_no_room() {
        let (go, may_go) = mpsc::channel::<()>();
        let (may_go, running) = (Mutex::new(may_go), Arc::new(AtomicUsize::new(0)));
        let (began, has_begun) = mpsc::channel();
        let most = Arc::new(AtomicUsize::new(0));
        let (count, highest) = (Arc::clone(&running), Arc::clone(&most));
        let passwords =
            Passwords::with_max_concurrent(NonZeroUsize::new(2).unwrap(), DECOY, move |password, stored| {
                highest.fetch_max(count.fetch_add(1, SeqCst) + 1, SeqCst);
                began.send(()).unwrap();
                may_go.lock().unwrap().recv().unwrap();
                count.fetch_sub(1, SeqCst);
                compare(password, stored)
            });
        let mut context = Context::from_waker(Waker::noop());
        let mut hashing: Vec<_> = (0..2).map(|_| Box::pin(passwords.verify("x", None))).collect();
        for call in &mut hashing {
            assert!(call.as_mut().poll(&mut context).is_pending());
            has_begun.recv().unwrap();
        }
        drop(hashing);
        for _ in 0..50 {
            let mut call = pin!(passwords.verify("x", None));
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(running.load(SeqCst), 2);
        let mut next = pin!(passwords.verify("x", stored("hash of x")));
        assert!(next.as_mut().poll(&mut context).is_pending());
        for _ in 0..3 {
            go.send(()).unwrap();
        }
        assert!(next.await.unwrap(), "nothing was lost: the next one gets its turn");
        assert_eq!(most.load(SeqCst), 2, "and those that had gone away in the queue were not hashed");
    }

    /// Both that wait are woken, though the first one is still hashing.
    #[tokio::test]
    async fn turns_that_end_together_let_as_many_others_go() {
        struct Woken(AtomicUsize);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        fn is_pending<F: Future>((call, woken): &mut (Pin<Box<F>>, Arc<Woken>)) -> bool {
            let waker = Waker::from(Arc::clone(woken));
            call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        }
        let (go, may_go) = mpsc::channel::<()>();
        let may_go = Mutex::new(may_go);
        let passwords = Passwords::with_max_concurrent(NonZeroUsize::new(2).unwrap(), DECOY, move |_, _| {
            may_go.lock().unwrap().recv().unwrap();
            Some(true)
        });
        let turns = [passwords.0.turns.acquire_arc().await, passwords.0.turns.acquire_arc().await];
        let mut calls = [0; 2].map(|_| (Box::pin(passwords.verify("x", None)), Arc::new(Woken(AtomicUsize::new(0)))));
        assert!(calls.iter_mut().all(is_pending));
        drop(turns);
        assert_eq!(calls[0].1.0.load(SeqCst), 1);
        assert!(is_pending(&mut calls[0]));
        assert_eq!(calls[1].1.0.load(SeqCst), 1);
        for _ in 0..2 {
            go.send(()).unwrap();
        }
        for (call, _) in calls {
            assert!(!call.await.unwrap());
        }
    }

    #[tokio::test]
    async fn waiting_ends() {
        let mut passwords = Passwords::with_max_concurrent(NonZeroUsize::MIN, DECOY, compare);
        Arc::get_mut(&mut passwords.0).unwrap().max_wait = TimeLimit::default().with_timer(|_| std::future::ready(()));
        let turn = passwords.0.turns.acquire_arc().await;
        let mut call = pin!(passwords.verify("x", None));
        let Poll::Ready(Err(error)) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nobody waits forever");
        };
        assert!(format!("{error:?}").contains("too many logins"), "{error:?}");
        drop(turn);
        assert!(!passwords.verify("x", None).await.unwrap());
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_costs_no_turn() {
        let passwords = Passwords::with_max_concurrent(NonZeroUsize::MIN, DECOY, |_, stored| {
            if stored == DECOY { Some(true) } else { panic!() }
        });
        for _ in 0..3 {
            assert!(passwords.verify("x", stored("hash of x")).await.is_err());
        }
        assert!(!passwords.verify("x", None).await.unwrap());
    }
}
