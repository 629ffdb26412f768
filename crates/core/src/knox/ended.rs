//! Waiting for a session to end.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    clock::elapsed,
    error::{AuthenticateError, Rejection},
    knox::{Knox, authenticate::Authenticated},
};

/// How often in a row the store may fail to say whether a session goes on.
const MAX_FAILURES: u32 = 3;

/// How long to wait at most after a failure of the store.
const RETRY: Duration = Duration::from_secs(5);

impl Knox {
    /// Resolves when the session of `auth` has ended, and says why: for a WebSocket, an event stream or any other
    /// connection that must not outlive it.
    ///
    /// What a clone of this handle ends is seen at once; what another process ends, the expiry of the idle timeout and
    /// what the [`SubjectCheck`](crate::SubjectCheck) says, after the
    /// [recheck interval](crate::KnoxBuilder::recheck_interval) at the latest. Waiting does not count as a use of the
    /// session. The session outlives a rotation, and so does the connection.
    ///
    /// If the store cannot tell three times in a row, the result is [`AuthenticateError::Store`]: close the connection
    /// then too, or whoever was logged out keeps it for as long as the store is down.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Authenticated, Knox};
    ///
    /// async fn serve(knox: Knox, auth: Authenticated, mut messages: tokio::sync::mpsc::Receiver<String>) {
    ///     let mut ended = std::pin::pin!(knox.ended(&auth));
    ///     loop {
    ///         tokio::select! {
    ///             reason = &mut ended => return println!("closed: {reason}"),
    ///             Some(message) = messages.recv() => println!("{}: {message}", auth.subject()),
    ///             else => return,
    ///         }
    ///     }
    /// }
    /// ```
    pub fn ended(&self, auth: &Authenticated) -> impl Future<Output = AuthenticateError> + Send + 'static {
        let (knox, auth) = (self.clone(), auth.clone());
        async move {
            let waiting = knox.admin().endings().wait(auth.subject());
            let (mut failures, mut is_time) = (0, true);
            loop {
                // Before the store is asked, so that no ending falls in between.
                let listener = waiting.listen();
                let pause = match knox.check_session(&auth).await {
                    Ok(expires_at) => {
                        failures = 0;
                        knox.until_next_check(expires_at)
                    }
                    Err(AuthenticateError::Store(error)) => {
                        // Whoever is woken in between asks once more, and the store has had no time to come back.
                        failures += u32::from(is_time);
                        if failures == MAX_FAILURES {
                            return error.into();
                        }
                        knox.0.settings.recheck_interval.min(RETRY)
                    }
                    Err(reason) => return reason,
                };
                is_time = is_second(listener, knox.admin().timer().sleep(pause)).await;
            }
        }
    }

    /// Whether the session of `auth` goes on, whatever token it has now, and when it expires.
    async fn check_session(&self, auth: &Authenticated) -> Result<Option<Timestamp>, AuthenticateError> {
        let now = self.now();
        let record = self.find_record(&auth.session_ref()).await?;
        if record.digest == auth.verified().claimed().digest {
            self.0.jwt.recheck(&self.0.keys, auth.verified(), now)?;
        } else if record.previous.is_none() || record.scope != auth.session().scope {
            // Not what a rotation leaves.
            return Err(Rejection::Revoked.into());
        }
        self.check_record(&record, now).await?;
        Ok(record.expires_at)
    }

    /// The interval, or less if the session expires before.
    fn until_next_check(&self, expires_at: Option<Timestamp>) -> Duration {
        let interval = self.0.settings.recheck_interval;
        let Some(expires_at) = expires_at else { return interval };
        let left = elapsed(self.expiry_cutoff(self.now()), expires_at);
        left.map_or(interval, |left| left.min(interval))
    }
}

/// Waits until one of two is ready, and says whether it is the second.
async fn is_second<T, U>(first: impl Future<Output = T>, second: impl Future<Output = U>) -> bool {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| {
        if first.as_mut().poll(context).is_ready() {
            return Poll::Ready(false);
        }
        second.as_mut().poll(context).map(|_| true)
    })
    .await
}
