//! Prints the counters after a few logins: `cargo run --example metrics`.
//!
//! A server would install an exporter, such as that of Prometheus, in place of the recorder of this example.

#![allow(clippy::print_stdout)]

use std::error::Error;

use example_metrics::count;
use jwt_knox::{Knox, MemoryStore, SessionLimit, SigningKey, Subject, observer_fn};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install()?;

    let knox = Knox::builder(SigningKey::hs256("an example key, 32 bytes or more!")?)
        .store(MemoryStore::new())
        .limit(SessionLimit::evict_oldest(2)?)
        .observer(observer_fn(count))
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
    // The third login is one too many, so the oldest session is evicted.
    let third = knox.issue(alice).await?;
    let auth = knox.authenticate(third.token.expose()).await?;
    let rotated = knox.rotate(&auth).await?;
    assert!(knox.revoke(&rotated.session.session_ref()).await?.is_revoked());
    // Neither a token of a session that was revoked nor garbage is valid.
    for token in [rotated.token.expose(), "garbage"] {
        assert!(knox.authenticate(token).await.is_err());
    }
    knox.purge_expired().await?;
    Ok(())
}
