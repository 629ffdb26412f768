use std::{fmt, future::Future, pin::Pin, rc::Rc, sync::Arc};

use jwt_knox::TokenStore;

type Opening = Pin<Box<dyn Future<Output = Arc<dyn TokenStore>>>>;

/// Opens a durable store as often as a rule asks for it, each time on the same data.
pub struct Opener(Box<dyn Fn() -> Opening>);

impl Opener {
    /// Opens what `open` gives. Each call must give a separate handle on the same data.
    #[must_use]
    pub fn new<S: TokenStore>(open: impl AsyncFn() -> S + 'static) -> Self {
        let open = Rc::new(open);
        Self(Box::new(move || {
            let open = Rc::clone(&open);
            Box::pin(async move { Arc::new(open().await) as Arc<dyn TokenStore> })
        }))
    }

    /// One more handle on the store.
    pub(crate) async fn open(&self) -> Arc<dyn TokenStore> {
        (self.0)().await
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}
