//! Uploads on Axum, as docs/choosing-an-adapter.md shows it.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Error,
    body::{Body, Bytes},
    extract::Request,
    http::header,
    middleware::Next,
    response::Response,
};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::{runtime::Handle, time::timeout};

/// How much of a body is read although nobody wants it, and for how long.
const MAX_REST: usize = 64 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

/// For `.layer(axum::middleware::from_fn(read_the_rest))`, as the last layer.
pub async fn read_the_rest(request: Request, next: Next) -> Response {
    // Such a client waits to be asked for the body, and is not asked.
    if request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    next.run(request.map(|body| Body::new(ReadTheRest(body)))).await
}

/// A body that is read to its end even if it is dropped before.
struct ReadTheRest(Body);

impl Drop for ReadTheRest {
    fn drop(&mut self) {
        let body = mem::take(&mut self.0);
        if let Ok(runtime) = Handle::try_current()
            && !body.is_end_stream()
        {
            // In a task, so that the answer does not wait.
            let mut rest = Limited::new(body, MAX_REST);
            runtime.spawn(timeout(PATIENCE, async move { while let Some(Ok(_)) = rest.frame().await {} }));
        }
    }
}

impl HttpBody for ReadTheRest {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
