//! Waiting for a session to end.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
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
    /// What a clone of this handle ends is seen at once, if the store has answered; what another process ends, the
    /// expiry of the idle timeout and what the [`SubjectCheck`](crate::SubjectCheck) says, after the [recheck
    /// interval](crate::KnoxBuilder::recheck_interval) at the latest. Waiting does not count as a use of the session.
    /// The session outlives a rotation, and so does the connection.
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
            let waiting = knox.admin().waiters().wait(auth.subject());
            // Whoever is woken looks at once. The pause after a failure goes on all the same: the store needs the time
            // to come back, and must not have more of it.
            let (mut failures, mut pause) = (0, None);
            let sleep = |duration| Some(knox.admin().timer().sleep(duration));
            loop {
                // Before the store is asked, so that no ending falls in between.
                let listener = waiting.listen();
                match knox.check_session(&auth).await {
                    Ok(expires_at) => {
                        failures = 0;
                        pause = sleep(knox.until_next_check(expires_at));
                    }
                    Err(AuthenticateError::Store(_)) if failures > 0 && pause.is_some() => {}
                    Err(AuthenticateError::Store(error)) => {
                        failures += 1;
                        if failures == MAX_FAILURES {
                            return error.into();
                        }
                        pause = sleep(knox.0.settings.recheck_interval.min(RETRY));
                    }
                    Err(reason) => return reason,
                }
                wait(&mut pause, listener).await;
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

/// Waits for the end of a pause, which is `None` then, or until woken.
async fn wait(pause: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>, woken: impl Future<Output = ()>) {
    let mut woken = pin!(woken);
    poll_fn(|context| {
        if pause.as_mut().is_none_or(|pause| pause.as_mut().poll(context).is_ready()) {
            *pause = None;
            return Poll::Ready(());
        }
        woken.as_mut().poll(context)
    })
    .await;
}
