//! Fetching the public keys of the issuer.

use std::{error::Error, time::Duration};

use jwt_knox_axum::jwt_knox::KeySet;
use reqwest::Client;

use crate::Failure;

/// Where the keys are. It comes from the settings of the service, and never out of a token.
#[derive(Debug, Clone)]
pub struct Jwks {
    client: Client,
    url: String,
}

impl Jwks {
    /// Keys at that URL.
    ///
    /// # Errors
    ///
    /// [`Failure`] if no HTTP client can be made.
    pub fn new(url: impl Into<String>) -> Result<Self, Failure> {
        let client = Client::builder().timeout(Duration::from_secs(10)).redirect(reqwest::redirect::Policy::none());
        Ok(Self { client: client.build()?, url: url.into() })
    }

    /// The keys, for the start: a service without any cannot verify.
    ///
    /// # Errors
    ///
    /// [`Failure`] if they cannot be fetched, or none of them can be used.
    pub async fn fetch(&self) -> Result<KeySet, Failure> {
        Ok(KeySet::from_jwks(&self.text().await?)?)
    }

    /// Fetches the keys anew.
    ///
    /// # Errors
    ///
    /// As for [`fetch`](Self::fetch). `keys` then stays as it is.
    pub async fn refresh(&self, keys: &KeySet) -> Result<(), Failure> {
        Ok(keys.update_from_jwks(&self.text().await?)?)
    }

    /// Refreshes `keys` every `interval`, for as long as it is awaited. Take less than the time for which the issuer stages
    /// a key before it signs with it. A key that the issuer has retired is accepted until then.
    pub async fn refresh_every(&self, interval: Duration, keys: &KeySet) {
        loop {
            tokio::time::sleep(interval).await;
            if let Err(error) = self.refresh(keys).await {
                let error: &(dyn Error + 'static) = &*error;
                tracing::warn!(error, "the public keys could not be fetched; the present ones stay");
            }
        }
    }

    async fn text(&self) -> Result<String, reqwest::Error> {
        self.client.get(&self.url).send().await?.error_for_status()?.text().await
    }
}
