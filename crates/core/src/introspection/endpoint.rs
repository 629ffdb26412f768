//! Where the issuer is asked about tokens.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::error::StoreError;

/// The endpoint of an issuer that says whether a token is active ([RFC 7662 §2]), for an
/// [`Introspector`](crate::Introspector): a POST with the HTTP client of the application, over HTTPS, to an address in its
/// settings and never to one in a token. Send the id and the secret that the issuer knows the service by, follow no
/// redirects, and stop reading at [`IntrospectionReply::MAX_BYTES`].
///
/// [`introspection_endpoint_fn`] makes one out of a closure.
///
/// [RFC 7662 §2]: https://www.rfc-editor.org/rfc/rfc7662#section-2
///
/// # Examples
///
/// ```
/// use jwt_knox::{IntrospectionEndpoint, IntrospectionReply, IntrospectionRequest, StoreError, async_trait};
/// # struct Reply { status: u16, body: Vec<u8> }
/// # struct Client;
/// # impl Client {
/// #     async fn post(&self, _: &str, _: (&str, &str), _: &str, _: String) -> Result<Reply, std::io::Error> {
/// #         unimplemented!()
/// #     }
/// # }
///
/// struct Issuer {
///     client: Client,
///     url: String,
///     secret: String,
/// }
///
/// #[async_trait]
/// impl IntrospectionEndpoint for Issuer {
///     async fn ask(&self, request: IntrospectionRequest) -> Result<IntrospectionReply, StoreError> {
///         let basic = ("orders", self.secret.as_str());
///         let body = request.body().to_owned();
///         let reply = self.client.post(&self.url, basic, IntrospectionRequest::CONTENT_TYPE, body).await;
///         let reply = reply.map_err(StoreError::new)?;
///         Ok(IntrospectionReply::new(reply.status, reply.body))
///     }
/// }
/// ```
#[async_trait]
pub trait IntrospectionEndpoint: Send + Sync + 'static {
    /// Sends `request`, and gives what comes back, whatever it is.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if nothing comes back. The token is then neither accepted nor rejected.
    async fn ask(&self, request: IntrospectionRequest) -> Result<IntrospectionReply, StoreError>;
}

#[async_trait]
impl<T: IntrospectionEndpoint + ?Sized> IntrospectionEndpoint for Arc<T> {
    async fn ask(&self, request: IntrospectionRequest) -> Result<IntrospectionReply, StoreError> {
        (**self).ask(request).await
    }
}

/// An [`IntrospectionEndpoint`] that calls a closure.
///
/// # Examples
///
/// ```
/// use jwt_knox::{IntrospectionReply, Introspector, StoreError, introspection_endpoint_fn};
/// # async fn post(url: &str, body: &str) -> Result<(u16, Vec<u8>), std::io::Error> { unimplemented!() }
///
/// let endpoint = introspection_endpoint_fn(|request| async move {
///     let (status, body) = post("https://auth.example.com/introspect", request.body()).await.map_err(StoreError::new)?;
///     Ok(IntrospectionReply::new(status, body))
/// });
/// let introspector = Introspector::builder(endpoint).build();
/// ```
pub fn introspection_endpoint_fn<F, Asking>(ask: F) -> impl IntrospectionEndpoint
where
    F: Fn(IntrospectionRequest) -> Asking + Send + Sync + 'static,
    Asking: Future<Output = Result<IntrospectionReply, StoreError>> + Send + 'static,
{
    EndpointFn(ask)
}

struct EndpointFn<F>(F);

#[async_trait]
impl<F, Asking> IntrospectionEndpoint for EndpointFn<F>
where
    F: Fn(IntrospectionRequest) -> Asking + Send + Sync + 'static,
    Asking: Future<Output = Result<IntrospectionReply, StoreError>> + Send + 'static,
{
    async fn ask(&self, request: IntrospectionRequest) -> Result<IntrospectionReply, StoreError> {
        (self.0)(request).await
    }
}

/// A question about one token ([RFC 7662 §2.1]). `Debug` does not show the token, and the body is wiped from memory when
/// dropped.
///
/// [RFC 7662 §2.1]: https://www.rfc-editor.org/rfc/rfc7662#section-2.1
pub struct IntrospectionRequest(Zeroizing<String>);

impl IntrospectionRequest {
    /// The `Content-Type` of the body.
    pub const CONTENT_TYPE: &'static str = "application/x-www-form-urlencoded";

    /// About a token that has no characters but those of base64url and dots, which a form leaves as they are.
    pub(super) fn new(token: &str) -> Self {
        Self(Zeroizing::new(format!("token={token}")))
    }

    /// The body to POST, a form with the token in it. Do not log it.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IntrospectionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntrospectionRequest(redacted)")
    }
}

/// What an [`IntrospectionEndpoint`] has received. It is read by the [`Introspector`](crate::Introspector), which takes
/// nothing but an answer of RFC 7662 for one. `Debug` does not show the body.
#[derive(Clone)]
pub struct IntrospectionReply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl IntrospectionReply {
    /// The longest body that is read, in bytes: 64 KiB. Of a longer one, stop reading and give an error.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// A response with that status code and that body, as they were received.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into() }
    }
}

impl fmt::Debug for IntrospectionReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionReply").field("status", &self.status).finish_non_exhaustive()
    }
}
