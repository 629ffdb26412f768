//! For the tests of an application: tokens for requests, and a store that fails when a test wants it to.

use std::{
    collections::HashMap,
    fmt,
    future::{Future, pending},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jwt_knox::{Interceptor, Knox, NewSession, Operation, StoreError, WrappedStore};

/// The value of an `Authorization` header for a new session: `Bearer ` and its token.
///
/// # Panics
///
/// If the session cannot be issued.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, MemoryStore, NewSession, SigningKey, Subject};
/// use jwt_knox_testkit::app::bearer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = SigningKey::hs256("a key of the tests, 32 bytes or more!")?;
/// let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
///
/// // Put it into the request of a test.
/// let authorization = bearer(&knox, 42).await;
/// let token = authorization.strip_prefix("Bearer ").ok_or("no token")?;
/// assert_eq!(*knox.authenticate(token).await?.subject(), "42");
///
/// // A session with scopes, a label and so on.
/// let authorization = bearer(&knox, NewSession::new(Subject::new("root")?).scopes(["admin"])?).await;
/// # let _ = authorization;
/// # Ok(())
/// # }
/// ```
pub async fn bearer(knox: &Knox, session: impl Into<NewSession>) -> String {
    match knox.issue(session).await {
        Ok(issued) => format!("Bearer {}", issued.token.expose()),
        Err(error) => panic!("the session could not be issued: {error:?}"),
    }
}

/// A store that works until a test lets it fail or hang. [`Faults::wrap`] makes one.
pub type FaultStore<S> = WrappedStore<S, Faults>;

/// The switches of a [`FaultStore`]. A clone has the same switches, so a test keeps one and gives the store away.
///
/// # Examples
///
/// ```
/// use jwt_knox::{AuthenticateError, Knox, MemoryStore, Operation, SigningKey, Subject};
/// use jwt_knox_testkit::app::Faults;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let faults = Faults::with_message("host=db.internal password=hunter2");
/// let key = SigningKey::hs256("a key of the tests, 32 bytes or more!")?;
/// let knox = Knox::builder(key).store(faults.wrap(MemoryStore::new())).build()?;
/// let issued = knox.issue(Subject::from(42)).await?;
/// assert_eq!(faults.take_calls(Operation::Insert), 1);
///
/// faults.set_down(true);
/// let outcome = knox.authenticate(issued.token.expose()).await;
/// assert!(matches!(outcome, Err(AuthenticateError::Store(_))));
///
/// faults.set_down(false);
/// assert!(knox.authenticate(issued.token.expose()).await.is_ok());
/// assert_eq!(faults.take_calls(Operation::Find), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Faults(Arc<Switches>);

struct Switches {
    message: String,
    is_down: AtomicBool,
    is_hanging: AtomicBool,
    calls: Mutex<HashMap<Operation, u64>>,
}

impl Faults {
    /// No faults yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_message("the test has made the store fail")
    }

    /// No faults yet. When the store fails, the source of the [`StoreError`] says `message`. No client should ever see
    /// it: look for it in the responses.
    #[must_use]
    pub fn with_message(message: impl Into<String>) -> Self {
        Self(Arc::new(Switches {
            message: message.into(),
            is_down: AtomicBool::new(false),
            is_hanging: AtomicBool::new(false),
            calls: Mutex::default(),
        }))
    }

    /// Puts these switches on the calls of `store`.
    #[must_use]
    pub fn wrap<S>(&self, store: S) -> FaultStore<S> {
        FaultStore::new(store, self.clone())
    }

    /// Lets every call fail from now on, or work again. A call that fails does not reach the store.
    pub fn set_down(&self, is_down: bool) {
        self.0.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Lets every call hang from now on, or work again. A call that hangs does not reach the store and never returns,
    /// even if later calls work again. A store that is down as well hangs.
    pub fn set_hanging(&self, is_hanging: bool) {
        self.0.is_hanging.store(is_hanging, Ordering::SeqCst);
    }

    /// How many calls of `operation` have begun since this was last asked, failed and hanging ones included.
    // May be called just to start again.
    #[allow(clippy::must_use_candidate)]
    pub fn take_calls(&self, operation: Operation) -> u64 {
        self.calls().remove(&operation).unwrap_or(0)
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<Operation, u64>> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interceptor for Faults {
    async fn intercept<T: Send>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        *self.calls().entry(operation).or_default() += 1;
        if self.0.is_hanging.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
        if self.0.is_down.load(Ordering::SeqCst) {
            return Err(StoreError::new(self.0.message.clone()));
        }
        call.await
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("is_down", &self.0.is_down)
            .field("is_hanging", &self.0.is_hanging)
            .finish_non_exhaustive()
    }
}
