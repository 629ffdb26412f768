//! Where the keys of an issuer are fetched from.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::error::StoreError;

/// Fetches the JWK Set of an issuer, for a [`RemoteKeySet`](crate::RemoteKeySet): with the HTTP client of the
/// application, over HTTPS, from an address in its settings and never from one in a token. Read no more than a few
/// hundred KiB, and treat any status but 200 as an error.
///
/// [`jwks_source_fn`] makes one out of a closure.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use jwt_knox::{FetchedJwks, JwksSource, StoreError, async_trait};
/// # struct Reply { body: String, max_age: Option<u64> }
/// # struct Client;
/// # impl Client { async fn get(&self, url: &str) -> Result<Reply, std::io::Error> { unimplemented!() } }
///
/// struct Issuer {
///     client: Client,
///     url: String,
/// }
///
/// #[async_trait]
/// impl JwksSource for Issuer {
///     async fn fetch(&self) -> Result<FetchedJwks, StoreError> {
///         let reply = self.client.get(&self.url).await.map_err(StoreError::new)?;
///         let jwks = FetchedJwks::new(reply.body);
///         Ok(match reply.max_age {
///             Some(seconds) => jwks.max_age(Duration::from_secs(seconds)),
///             None => jwks,
///         })
///     }
/// }
/// ```
#[async_trait]
pub trait JwksSource: Send + Sync + 'static {
    /// The JWK Set as it is now.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot be fetched. The set then keeps the keys that it has, and tries again later.
    async fn fetch(&self) -> Result<FetchedJwks, StoreError>;
}

#[async_trait]
impl<T: JwksSource + ?Sized> JwksSource for Arc<T> {
    async fn fetch(&self) -> Result<FetchedJwks, StoreError> {
        (**self).fetch().await
    }
}

/// A [`JwksSource`] that calls a closure.
///
/// # Examples
///
/// ```
/// use jwt_knox::{FetchedJwks, RemoteKeySet, StoreError, jwks_source_fn};
///
/// let source = jwks_source_fn(|| async {
///     let jwks = std::fs::read_to_string("jwks.json").map_err(StoreError::new)?;
///     Ok(FetchedJwks::new(jwks))
/// });
/// let keys = RemoteKeySet::builder(source).build()?;
/// # Ok::<(), jwt_knox::ConfigError>(())
/// ```
pub fn jwks_source_fn<F, Fetching>(fetch: F) -> impl JwksSource
where
    F: Fn() -> Fetching + Send + Sync + 'static,
    Fetching: Future<Output = Result<FetchedJwks, StoreError>> + Send + 'static,
{
    SourceFn(fetch)
}

struct SourceFn<F>(F);

#[async_trait]
impl<F, Fetching> JwksSource for SourceFn<F>
where
    F: Fn() -> Fetching + Send + Sync + 'static,
    Fetching: Future<Output = Result<FetchedJwks, StoreError>> + Send + 'static,
{
    async fn fetch(&self) -> Result<FetchedJwks, StoreError> {
        (self.0)().await
    }
}

/// What a [`JwksSource`] has fetched. `Debug` does not show it: what was fetched by mistake may be secret.
#[derive(Clone)]
pub struct FetchedJwks {
    pub(super) jwks: String,
    pub(super) max_age: Option<Duration>,
}

impl FetchedJwks {
    /// A JWK Set ([RFC 7517 §5]), as it was received.
    ///
    /// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
    #[must_use]
    pub fn new(jwks: impl Into<String>) -> Self {
        Self { jwks: jwks.into(), max_age: None }
    }

    /// For how long it is fresh, as the `max-age` of the header `Cache-Control` says ([RFC 9111 §5.2.2.1]). Without it,
    /// for the [default](crate::RemoteKeySetBuilder::default_max_age).
    ///
    /// [RFC 9111 §5.2.2.1]: https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.1
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age: Some(max_age), ..self }
    }
}

impl fmt::Debug for FetchedJwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchedJwks").field("max_age", &self.max_age).finish_non_exhaustive()
    }
}
