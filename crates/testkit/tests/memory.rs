//! The store in memory passes the kit, as it is and in every wrapper.

#![allow(clippy::unwrap_used)]

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use jwt_knox::{MemoryStore, TimeLimit, TokenStore, WrappedStore};
use jwt_knox_testkit::store_tests;

mod bare {
    use super::*;

    async fn open() -> MemoryStore {
        MemoryStore::new()
    }

    store_tests!(open);
}

/// All tests and handles share one store, as they do a database.
mod shared {
    use super::*;

    async fn open() -> MemoryStore {
        static SHARED: LazyLock<MemoryStore> = LazyLock::new(MemoryStore::new);
        SHARED.clone()
    }

    store_tests!(open, durable);
}

mod boxed {
    use super::*;

    async fn open() -> Box<dyn TokenStore> {
        Box::new(MemoryStore::new())
    }

    store_tests!(open);
}

mod arced {
    use super::*;

    async fn open() -> Arc<dyn TokenStore> {
        Arc::new(MemoryStore::new())
    }

    store_tests!(open);
}

mod wrapped {
    use super::*;

    async fn open() -> impl TokenStore {
        WrappedStore::new(MemoryStore::new(), TimeLimit::new(Duration::from_secs(60)).unwrap())
    }

    store_tests!(open);
}

/// The attributes go on every test.
mod absent {
    use super::*;

    async fn open() -> MemoryStore {
        panic!("there is no store")
    }

    store_tests!(
        #[cfg_attr(all(), should_panic(expected = "there is no store"))]
        #[allow(clippy::should_panic_without_expect)]
        open,
        durable
    );
}
