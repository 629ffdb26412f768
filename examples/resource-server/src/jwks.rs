//! Fetching the public keys of the issuer.

use std::time::Duration;

use jwt_knox_axum::jwt_knox::{FetchedJwks, JwksSource, StoreError, async_trait};
use reqwest::{
    Client, StatusCode,
    header::{AGE, CACHE_CONTROL, HeaderMap},
    redirect::Policy,
};

use crate::Failure;

/// More is no JWK Set.
const MAX_BYTES: usize = 256 * 1024;

/// Where the keys are. It comes from the settings of the service, and never out of a token.
#[derive(Debug, Clone)]
pub struct Jwks {
    client: Client,
    url: String,
}

impl Jwks {
    /// Keys at that URL. Beyond this machine, take `https`: whoever can change them on the way can make tokens.
    ///
    /// # Errors
    ///
    /// [`Failure`] if no HTTP client can be made.
    pub fn new(url: impl Into<String>) -> Result<Self, Failure> {
        // A fetch every few minutes needs no open connection. How long it may take, the key set says.
        let client = Client::builder().redirect(Policy::none()).pool_max_idle_per_host(0).build()?;
        Ok(Self { client, url: url.into() })
    }
}

#[async_trait]
impl JwksSource for Jwks {
    async fn fetch(&self) -> Result<FetchedJwks, StoreError> {
        let mut reply = self.client.get(&self.url).send().await.map_err(StoreError::new)?;
        if reply.status() != StatusCode::OK {
            return Err(StoreError::new(format!("the issuer answers {}", reply.status())));
        }
        let max_age = max_age(reply.headers());
        let mut body = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(StoreError::new)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(StoreError::new("the issuer answers too much"));
            }
            body.extend_from_slice(&chunk);
        }
        let jwks = FetchedJwks::new(String::from_utf8(body).map_err(StoreError::new)?);
        Ok(match max_age {
            Some(max_age) => jwks.max_age(max_age),
            None => jwks,
        })
    }
}

/// For how long a response is fresh (RFC 9111 §4.2.1). `None`: it does not say.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives =
        directives.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase());
    let fresh_for = directives.filter_map(|directive| match directive.as_str() {
        "no-store" | "no-cache" => Some(0),
        directive => directive.strip_prefix("max-age=")?.trim_matches('"').parse::<u64>().ok(),
    });
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.parse().ok()).unwrap_or(0);
    Some(Duration::from_secs(fresh_for.min()?.saturating_sub(age)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_read_as_caches_read_it() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CACHE_CONTROL, value.parse().unwrap());
            }
            max_age(&headers).map(|max_age| max_age.as_secs())
        };
        assert_eq!(read(&["public, max-age=300"]), Some(300));
        assert_eq!(read(&["public", "Max-Age=\"60\",must-revalidate"]), Some(60));
        assert_eq!(read(&["max-age=300, no-cache"]), Some(0));
        for none in [&[][..], &["public"], &["s-maxage=5"], &["max-age=soon"], &["max-age=-1"]] {
            assert_eq!(read(none), None, "{none:?}");
        }
        let mut aged = HeaderMap::new();
        aged.insert(CACHE_CONTROL, "max-age=300".parse().unwrap());
        for (age, left) in [("100", 200), ("301", 0), ("old", 300)] {
            aged.insert(AGE, age.parse().unwrap());
            assert_eq!(max_age(&aged), Some(Duration::from_secs(left)), "{age}");
        }
    }
}
