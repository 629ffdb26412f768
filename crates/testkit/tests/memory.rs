//! The store in memory passes the kit.

use std::sync::{Arc, LazyLock};

use jwt_knox::MemoryStore;

mod fresh {
    use super::MemoryStore;

    async fn open() -> MemoryStore {
        MemoryStore::new()
    }

    jwt_knox_testkit::store_tests!(open);
}

/// All tests and handles share one store, as they do a database.
mod shared {
    use super::{Arc, LazyLock, MemoryStore};

    async fn open() -> Arc<MemoryStore> {
        static SHARED: LazyLock<Arc<MemoryStore>> = LazyLock::new(Arc::default);
        Arc::clone(&SHARED)
    }

    jwt_knox_testkit::store_tests!(open, durable);
}

/// What gives up on a store in time leaves it alone until then.
mod in_time {
    use std::time::Duration;

    use jwt_knox::{TimeoutStore, TokenStore};

    use super::MemoryStore;

    async fn open() -> impl TokenStore {
        TimeoutStore::new(MemoryStore::new(), Duration::from_secs(60), tokio::time::sleep)
    }

    jwt_knox_testkit::store_tests!(open);
}

/// A constructor may have no store to give.
mod absent {
    use super::MemoryStore;

    async fn open() -> Option<MemoryStore> {
        None
    }

    jwt_knox_testkit::store_tests!(open, durable);
}
