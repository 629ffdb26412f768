//! Where the issuer is asked about tokens.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::error::StoreError;

/// The endpoint of an issuer that says whether a token is active ([RFC 7662 §2]), for an
/// [`Introspector`](crate::Introspector): a POST with the HTTP client of the application, over HTTPS, to an address in
/// its settings and never to one in a token. Send the id and the secret that the issuer knows the service by, follow no
/// redirects, and stop reading at [`IntrospectionResponse::MAX_BODY_BYTES`].
///
/// [`introspection_endpoint_fn`] makes one out of a closure.
///
/// [RFC 7662 §2]: https://www.rfc-editor.org/rfc/rfc7662#section-2
///
/// # Examples
///
/// ```
/// use jwt_knox::{IntrospectionEndpoint, IntrospectionRequest, IntrospectionResponse, StoreError, async_trait};
/// # struct Response { status: u16, body: Vec<u8> }
/// # struct Client;
/// # impl Client {
/// #     async fn post(&self, _: &str, _: (&str, &str), _: &str, _: String) -> Result<Response, std::io::Error> {
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
///     async fn introspect(&self, request: IntrospectionRequest) -> Result<IntrospectionResponse, StoreError> {
///         let basic = ("orders", self.secret.as_str());
///         let body = request.body().to_owned();
///         let response = self.client.post(&self.url, basic, IntrospectionRequest::CONTENT_TYPE, body).await;
///         let response = response.map_err(StoreError::new)?;
///         Ok(IntrospectionResponse::new(response.status, response.body))
///     }
/// }
/// ```
#[async_trait]
pub trait IntrospectionEndpoint: Send + Sync + 'static {
    /// Sends `request`, and gives the response, whatever it is.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if there is none. The token is then neither accepted nor rejected.
    async fn introspect(&self, request: IntrospectionRequest) -> Result<IntrospectionResponse, StoreError>;
}

#[async_trait]
impl<T: IntrospectionEndpoint + ?Sized> IntrospectionEndpoint for Arc<T> {
    async fn introspect(&self, request: IntrospectionRequest) -> Result<IntrospectionResponse, StoreError> {
        (**self).introspect(request).await
    }
}

/// An [`IntrospectionEndpoint`] that calls a closure.
///
/// # Examples
///
/// ```
/// use jwt_knox::{IntrospectionResponse, Introspector, StoreError, introspection_endpoint_fn};
/// # async fn post(url: &str, body: &str) -> Result<(u16, Vec<u8>), std::io::Error> { unimplemented!() }
///
/// let endpoint = introspection_endpoint_fn(|request| async move {
///     let (status, body) = post("https://auth.example.com/introspect", request.body()).await.map_err(StoreError::new)?;
///     Ok(IntrospectionResponse::new(status, body))
/// });
/// let introspector = Introspector::builder(endpoint).build();
/// ```
pub fn introspection_endpoint_fn<F, Response>(introspect: F) -> impl IntrospectionEndpoint
where
    F: Fn(IntrospectionRequest) -> Response + Send + Sync + 'static,
    Response: Future<Output = Result<IntrospectionResponse, StoreError>> + Send + 'static,
{
    EndpointFn(introspect)
}

struct EndpointFn<F>(F);

#[async_trait]
impl<F, Response> IntrospectionEndpoint for EndpointFn<F>
where
    F: Fn(IntrospectionRequest) -> Response + Send + Sync + 'static,
    Response: Future<Output = Result<IntrospectionResponse, StoreError>> + Send + 'static,
{
    async fn introspect(&self, request: IntrospectionRequest) -> Result<IntrospectionResponse, StoreError> {
        (self.0)(request).await
    }
}

/// A request to say whether one token is active ([RFC 7662 §2.1]). `Debug` does not show the token, and the body is
/// wiped from memory when dropped.
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

/// What an [`IntrospectionEndpoint`] has received. It is read by the [`Introspector`](crate::Introspector), which
/// accepts only what conforms to RFC 7662. `Debug` does not show the body.
#[derive(Clone)]
pub struct IntrospectionResponse {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl IntrospectionResponse {
    /// The longest body that is read, in bytes: 64 KiB. When there is more, stop reading and return an error.
    pub const MAX_BODY_BYTES: usize = 64 * 1024;

    /// A response with that status code and that body, as they were received.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into() }
    }
}

impl fmt::Debug for IntrospectionResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionResponse").field("status", &self.status).finish_non_exhaustive()
    }
}
