//! Counting what happens to sessions, with the `metrics` facade.
//!
//! `cargo run --example metrics` prints the counters after a few logins.

use jwt_knox::Event;
use metrics::counter;

/// Counts an event; give it to [`observer_fn`](jwt_knox::observer_fn). The labels have few values: never a subject or a
/// session id.
pub fn count(event: &Event) {
    match event {
        Event::Issued { .. } => counter!("knox_logins_total").increment(1),
        Event::LoginRejected { cause, .. } => {
            counter!("knox_logins_rejected_total", "cause" => cause.as_str()).increment(1);
        }
        Event::Rejected { reason, .. } => {
            counter!("knox_tokens_rejected_total", "reason" => reason.as_str()).increment(1);
        }
        // Each of these is worth an alert: somebody may have stolen a token.
        Event::Reused { .. } => counter!("knox_tokens_reused_total").increment(1),
        Event::Rotated { .. } => counter!("knox_rotations_total").increment(1),
        Event::Revoked { count, cause, .. } => {
            counter!("knox_sessions_revoked_total", "cause" => cause.as_str()).increment(*count);
        }
        Event::Purged { count, .. } => counter!("knox_sessions_purged_total").increment(*count),
        // Events of later versions, and those that are not worth a counter.
        _ => {}
    }
}
