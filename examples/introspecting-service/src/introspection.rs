//! Sending introspection requests to the issuer.

use std::fmt;

use jwt_knox_axum::{
    OAuthClientSecret,
    jwt_knox::{IntrospectionEndpoint, IntrospectionRequest, IntrospectionResponse, StoreError, async_trait},
};
use reqwest::{Client, header::CONTENT_TYPE, redirect::Policy};

use crate::Failure;

/// Where the issuer is asked, and as whom. It comes from the settings of the service, and never out of a token.
#[derive(Clone)]
pub struct Issuer {
    client: Client,
    url: String,
    id: String,
    secret: OAuthClientSecret,
}

impl Issuer {
    /// The issuer's `/introspect` at that URL, for the service with that id and that secret. Beyond this machine, take
    /// `https`: the secret and the tokens of all users go there.
    ///
    /// # Errors
    ///
    /// [`Failure`] if no HTTP client can be made.
    pub fn new(url: impl Into<String>, id: impl Into<String>, secret: OAuthClientSecret) -> Result<Self, Failure> {
        // A redirect would take the token somewhere else. The introspector limits the time.
        let client = Client::builder().redirect(Policy::none()).build()?;
        Ok(Self { client, url: url.into(), id: id.into(), secret })
    }
}

#[async_trait]
impl IntrospectionEndpoint for Issuer {
    async fn introspect(&self, request: IntrospectionRequest) -> Result<IntrospectionResponse, StoreError> {
        let post = self
            .client
            .post(&self.url)
            // Neither has a character that would have to be encoded (RFC 6749 §2.3.1).
            .basic_auth(&self.id, Some(self.secret.expose()))
            .header(CONTENT_TYPE, IntrospectionRequest::CONTENT_TYPE)
            .body(request.body().to_owned());
        let mut response = post.send().await.map_err(StoreError::new)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(StoreError::new)? {
            if body.len() + chunk.len() > IntrospectionResponse::MAX_BODY_BYTES {
                return Err(StoreError::new("the introspection response is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(IntrospectionResponse::new(response.status().as_u16(), body))
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("url", &self.url).field("id", &self.id).finish_non_exhaustive()
    }
}
