//! Counting what happens to logins, with the `metrics` facade.
//!
//! `cargo run -p jwt-knox --example metrics` prints the counters after a few logins. A server would install an
//! exporter, such as that of Prometheus, in place of the recorder of this example.

#![allow(clippy::print_stdout)]

use std::error::Error;

use jwt_knox::{Event, Knox, MemoryStore, Observer, SigningKey, Subject, TokenLimit};
use metrics::counter;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

/// Counts events. The labels are of few values: never a subject or a token id.
#[derive(Debug)]
struct Counters;

impl Observer for Counters {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Issued { .. } => counter!("knox_logins_total").increment(1),
            Event::Rejected { reason, .. } => {
                counter!("knox_tokens_refused_total", "reason" => reason.reason()).increment(1);
            }
            Event::Rotated { .. } => counter!("knox_rotations_total").increment(1),
            Event::Revoked { count, cause, .. } => {
                counter!("knox_logins_ended_total", "cause" => cause.name()).increment(*count);
            }
            Event::Purged { count, .. } => counter!("knox_logins_purged_total").increment(*count),
            // Events of later versions, and those that are not worth a counter.
            _ => {}
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install()?;

    let knox = Knox::builder(SigningKey::hs256("an example key, 32 bytes or more!")?)
        .store(MemoryStore::new())
        .limit(TokenLimit::evict_oldest(2))
        .observer(Counters)
        .build()?;
    some_traffic(&knox).await?;

    let mut lines: Vec<String> = Vec::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels: Vec<String> =
            key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        if let DebugValue::Counter(count) = value {
            lines.push(format!("{}{{{}}} {count}", key.key().name(), labels.join(",")));
        }
    }
    lines.sort();
    println!("{}", lines.join("\n"));
    Ok(())
}

async fn some_traffic(knox: &Knox) -> Result<(), Box<dyn Error>> {
    let alice = Subject::new("alice")?;
    knox.issue(alice.clone()).await?;
    knox.issue(alice.clone()).await?;
    // The third login is one too many, so the oldest ends.
    let third = knox.issue(alice).await?;
    let auth = knox.authenticate(third.token.expose()).await?;
    let rotated = knox.rotate(&auth).await?;
    // Neither the token from before the rotation nor garbage is good.
    for token in [third.token.expose(), "garbage"] {
        assert!(knox.authenticate(token).await.is_err());
    }
    knox.revoke(&rotated.record.key()).await?;
    knox.purge_expired().await?;
    Ok(())
}
