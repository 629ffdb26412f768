//! Recording the use of sessions, without holding requests up.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{clock::elapsed, knox::Knox, observer::Event, store::record::SessionRecord};

/// How long a request waits at most for the use of its session to be recorded.
const TIME_LIMIT: Duration = Duration::from_millis(250);

/// What has become of a use that was to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    Recorded,
    /// The session has ended, or was used later.
    Refused,
    /// The store could not answer.
    Failed,
}

impl Knox {
    /// Whether this request is the one to record the use of its session: it was not done lately, and no other request
    /// is about to, also none that has read the record before. No request tries again before the next interval.
    pub(super) fn begin_touch(&self, record: &SessionRecord, now: Timestamp) -> bool {
        let interval = self.0.settings.touch_interval;
        let interval = record.idle_timeout.map_or(interval, |timeout| interval.min(timeout / 4));
        let is_due = |last| elapsed(last, now).is_some_and(|age| age >= interval);
        // The first use is recorded at once; and in the leeway after its expiry a session is accepted, and no longer
        // prolonged.
        record.is_active(now)
            && record.last_used_at.is_none_or(is_due)
            && self.0.recent_touches.begin(&record.session_ref(), is_due, now)
    }

    /// Records the use of a session, and slides its expiry if it has an idle timeout.
    ///
    /// The token was valid before, so a store that cannot write now does not make it invalid: the session at most
    /// expires earlier. What was recorded is so in `record` too.
    pub(super) async fn touch(&self, record: &mut Arc<SessionRecord>, now: Timestamp) -> Touch {
        let session = record.session_ref();
        let slid = record.idle_timeout.and_then(|_| record.next_expiry(now));
        let limit = self.time_limit().at_most(TIME_LIMIT);
        match limit.apply(self.admin().store().touch(&session, now, slid)).await {
            Ok(true) => {
                let record = Arc::make_mut(record);
                record.last_used_at = Some(now);
                record.expires_at = record.expires_at.map(|old| slid.map_or(old, |new| old.max(new)));
                self.emit(&Event::Touched { session, expires_at: record.expires_at });
                Touch::Recorded
            }
            Ok(false) => {
                self.0.recent_touches.forget(&session);
                Touch::Refused
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, session_id = %session.id, "could not record token use");
                Touch::Failed
            }
        }
    }
}
