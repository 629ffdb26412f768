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

/// A constructor may have no store to give.
mod absent {
    use super::MemoryStore;

    async fn open() -> Option<MemoryStore> {
        None
    }

    jwt_knox_testkit::store_tests!(open, durable);
}
