//! What the expansion of `store_tests!` calls.

use std::{sync::Arc, time::Duration};

use jwt_knox::TokenStore;
use tokio::runtime::Builder;

use crate::Opener;

/// No rule takes nearly as long, even on a slow machine and disk.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs a rule that needs one handle.
pub fn shared<S: TokenStore>(open: impl AsyncFn() -> S, rule: impl AsyncFn(Arc<dyn TokenStore>)) {
    block_on(async { rule(Arc::new(open().await)).await });
}

/// Runs a rule that opens the store more than once.
pub fn durable<S: TokenStore>(open: impl AsyncFn() -> S + 'static, rule: impl AsyncFn(Opener)) {
    block_on(async { rule(Opener::new(open)).await });
}

fn block_on(rule: impl Future<Output = ()>) {
    let runtime = match Builder::new_multi_thread().worker_threads(4).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no Tokio runtime could be made: {error}"),
    };
    let outcome = runtime.block_on(async { tokio::time::timeout(PATIENCE, rule).await });
    assert!(outcome.is_ok(), "no call may wait forever: the rule was not done after {PATIENCE:?}");
}
