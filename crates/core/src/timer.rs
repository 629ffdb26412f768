//! Waiting: timers that work on any runtime, and limits on how long a call may take.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;

use crate::error::{ConfigError, StoreError};

/// Waits for time to pass. [`SystemTimer`] works on any runtime; a closure such as `tokio::time::sleep` is a timer too.
pub trait Timer: Send + Sync + 'static {
    /// A future that is ready after `duration`.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

impl<F, Sleep> Timer for F
where
    F: Fn(Duration) -> Sleep + Send + Sync + 'static,
    Sleep: Future<Output = ()> + Send + 'static,
{
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self(duration))
    }
}

/// A timer of its own thread, which needs no runtime. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemTimer;

impl Timer for SystemTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(futures_timer::Delay::new(duration))
    }
}

/// How long a call may take. One that takes longer is an error: it may or may not have done its work.
///
/// It costs nothing where the call is ready at once.
#[derive(Clone)]
pub struct TimeLimit {
    limit: Duration,
    timer: Arc<dyn Timer>,
}

impl TimeLimit {
    /// A limit of `limit`, by the [`SystemTimer`].
    ///
    /// # Errors
    ///
    /// [`ConfigError::TimeLimitIsZero`] if `limit` is zero.
    pub fn new(limit: Duration) -> Result<Self, ConfigError> {
        Self::default().with_limit(limit)
    }

    /// Another limit by the same timer.
    ///
    /// # Errors
    ///
    /// [`ConfigError::TimeLimitIsZero`] if `limit` is zero.
    pub fn with_limit(self, limit: Duration) -> Result<Self, ConfigError> {
        if limit.is_zero() { Err(ConfigError::TimeLimitIsZero) } else { Ok(Self { limit, ..self }) }
    }

    /// The same limit by another timer.
    #[must_use]
    pub fn with_timer(self, timer: impl Timer) -> Self {
        Self { timer: Arc::new(timer), ..self }
    }

    /// The same timer with this limit, or a lower one as it is.
    pub(crate) fn at_most(&self, limit: Duration) -> Self {
        Self { limit: self.limit.min(limit), timer: Arc::clone(&self.timer) }
    }

    /// The limit.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// The timer, to wait by.
    pub(crate) fn timer(&self) -> &dyn Timer {
        &*self.timer
    }

    /// Waits for `call`, but no longer than the limit. A call that has taken longer is dropped with the future.
    ///
    /// # Errors
    ///
    /// What `call` gives, or a [`StoreError`] when the time is over.
    pub fn apply<T, E, Call>(&self, call: Call) -> impl Future<Output = Result<T, E>>
    where
        E: From<StoreError>,
        Call: Future<Output = Result<T, E>>,
    {
        Limited { call, limit: self, sleep: None }
    }
}

pin_project! {
    /// A call that may take so long. Written by hand: an `async fn` would have room for the call twice.
    struct Limited<'a, Call> {
        #[pin]
        call: Call,
        limit: &'a TimeLimit,
        sleep: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    }
}

impl<T, E: From<StoreError>, Call: Future<Output = Result<T, E>>> Future for Limited<'_, Call> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, E>> {
        let this = self.project();
        if let Poll::Ready(answer) = this.call.poll(context) {
            return Poll::Ready(answer);
        }
        let TimeLimit { limit, timer } = *this.limit;
        let sleep = this.sleep.get_or_insert_with(|| timer.sleep(*limit));
        sleep.as_mut().poll(context).map(|()| Err(StoreError::new(TimedOut(*limit)).into()))
    }
}

impl Default for TimeLimit {
    /// 5 seconds.
    fn default() -> Self {
        Self { limit: Duration::from_secs(5), timer: Arc::new(SystemTimer) }
    }
}

impl std::fmt::Debug for TimeLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TimeLimit").field(&self.limit).finish()
    }
}

/// Lets the other tasks of the thread have their turn.
pub(crate) async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The call took too long.
#[derive(Debug, thiserror::Error)]
#[error("timed out after {0:?}")]
struct TimedOut(Duration);

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        task::{Wake, Waker},
        thread::{self, Thread},
    };

    use super::*;

    #[tokio::test]
    async fn a_call_that_is_ready_starts_no_timer() {
        let limit = TimeLimit::default().with_timer(|_| -> std::future::Ready<()> { panic!("a timer was started") });
        assert_eq!(limit.apply(ready(Ok::<_, StoreError>(1))).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_call_that_hangs_is_an_error() {
        let limit = TimeLimit::new(Duration::from_secs(7)).unwrap().with_timer(|limit| {
            assert_eq!(limit, Duration::from_secs(7));
            ready(())
        });
        let error = limit.apply(pending::<Result<(), StoreError>>()).await.unwrap_err();
        assert_eq!(format!("{error:?}"), "the store could not answer: timed out after 7s");
    }

    /// Wakes a thread that has no runtime.
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    #[test]
    fn the_system_timer_needs_no_runtime() {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        for duration in [Duration::ZERO, Duration::from_millis(1)] {
            let mut sleep = SystemTimer.sleep(duration);
            while sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                thread::park();
            }
        }
    }

    #[test]
    fn rejects_a_limit_of_nothing() {
        assert_eq!(TimeLimit::new(Duration::ZERO).err(), Some(ConfigError::TimeLimitIsZero));
    }
}
