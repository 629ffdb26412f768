//! Work that a client which goes away must not stop half way.

use std::{future::Future, panic::resume_unwind};

/// Does `work` to its end, in a task. `None`: the runtime is shutting down.
pub(crate) async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    match tokio::spawn(work).await {
        Ok(done) => Some(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => None,
        },
    }
}
