//! What the expansion of `store_tests!` calls.

use std::{sync::Arc, time::Duration};

use jwt_knox::TokenStore;
use tokio::runtime::Builder;

use crate::Opener;

/// No rule takes near as long, even on a slow machine and disk.
const PATIENCE: Duration = Duration::from_secs(180);

/// How the store is handed to the rule.
#[derive(Debug, Clone, Copy)]
pub enum Wrapping {
    Bare,
    Boxed,
    Arced,
}

impl Wrapping {
    fn wrap(self, store: impl TokenStore) -> Arc<dyn TokenStore> {
        match self {
            Self::Bare => Arc::new(store),
            Self::Boxed => Arc::new(Box::new(store)),
            Self::Arced => Arc::new(Arc::new(store)),
        }
    }
}

/// Marks a constructor that always gives a store.
#[derive(Debug)]
pub struct Always;

/// Marks a constructor that may have none to give.
#[derive(Debug)]
pub struct Perhaps;

/// What a constructor returns. `How` only keeps the two implementations apart.
pub trait Opened<How> {
    fn wrapped(self, wrapping: Wrapping) -> Option<Arc<dyn TokenStore>>;
}

impl<S: TokenStore> Opened<Always> for S {
    fn wrapped(self, wrapping: Wrapping) -> Option<Arc<dyn TokenStore>> {
        Some(wrapping.wrap(self))
    }
}

impl<S: TokenStore> Opened<Perhaps> for Option<S> {
    fn wrapped(self, wrapping: Wrapping) -> Option<Arc<dyn TokenStore>> {
        self.map(|store| wrapping.wrap(store))
    }
}

/// Runs a rule that needs one handle.
pub fn shared<How, O: Opened<How>>(
    open: impl AsyncFn() -> O,
    wrapping: Wrapping,
    rule: impl AsyncFn(Arc<dyn TokenStore>),
) {
    block_on(async {
        if let Some(store) = open().await.wrapped(wrapping) {
            rule(store).await;
        }
    });
}

/// Runs a rule that opens the store more than once.
pub fn durable<How, O: Opened<How> + 'static>(
    open: impl AsyncFn() -> O + 'static,
    wrapping: Wrapping,
    rule: impl AsyncFn(Opener),
) {
    block_on(async {
        if open().await.wrapped(wrapping).is_none() {
            return;
        }
        let opener = Opener::of(async move || match open().await.wrapped(wrapping) {
            Some(store) => store,
            None => panic!("the constructor gave a store once and then none"),
        });
        rule(opener).await;
    });
}

fn block_on(rule: impl Future<Output = ()>) {
    let runtime = match Builder::new_multi_thread().worker_threads(4).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no Tokio runtime could be made: {error}"),
    };
    let outcome = runtime.block_on(async { tokio::time::timeout(PATIENCE, rule).await });
    assert!(outcome.is_ok(), "no call may wait for ever: the rule was not done after {PATIENCE:?}");
}
