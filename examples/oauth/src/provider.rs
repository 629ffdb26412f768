//! The provider: where users log in, and who says who they are.

use std::{pin::Pin, sync::Arc, time::Duration};

use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    TokenResponse, TokenUrl,
    basic::{BasicClient, BasicErrorResponseType, BasicRequestTokenError},
    url::Url,
};
use reqwest::{Client, Response, redirect::Policy};
use serde_json::Value;

/// How much of an answer is read. Those that are expected have a few hundred bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The longest id of a user, in bytes: that of OpenID Connect.
const MAX_ID_BYTES: usize = 255;

/// What the application and the provider have agreed on.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// The name of the application at the provider.
    pub client_id: ClientId,
    /// Its password.
    pub client_secret: ClientSecret,
    /// Where users log in.
    pub authorize_url: Url,
    /// Where a code is redeemed.
    pub token_url: Url,
    /// Where the provider says who the user is.
    pub userinfo_url: Url,
    /// The callback, as it is registered with the provider. Each provider gets a callback of its own, or one could hand
    /// in the codes of another.
    pub redirect_url: Url,
    /// What is asked for. Less is better: only the id is used.
    pub scopes: Vec<String>,
    /// The member of the user that is the id, which must never change and never be given to a second person: `sub` for
    /// OpenID Connect, `id` at GitHub.
    pub id_member: String,
    /// How long each of the two requests may take.
    pub time_limit: Duration,
}

/// A client of the provider. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Provider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    oauth: BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>,
    http: Client,
    userinfo_url: Url,
    scopes: Vec<String>,
    id_member: String,
}

/// Where to send a browser, and what to remember of it.
#[allow(missing_debug_implementations, reason = "the state is in the URL")]
pub struct AuthorizationRequest {
    /// The provider's page.
    pub url: Url,
    /// Comes back with the callback.
    pub state: CsrfToken,
    /// Goes with the code.
    pub verifier: PkceCodeVerifier,
}

/// Why the provider does not say who the user is. It has nothing of what the provider has sent, which may be secret.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The code is not one of this login, has been used, or is too old.
    #[error("the provider rejects the code")]
    InvalidCode,
    /// It cannot be reached, or takes too long.
    #[error("the provider does not answer")]
    Unreachable(#[from] reqwest::Error),
    /// It answers, but not as expected.
    #[error("{0}")]
    Unexpected(&'static str),
}

impl Provider {
    /// A client with these settings.
    ///
    /// # Errors
    ///
    /// [`ProviderError::Unreachable`] if TLS cannot be set up.
    pub fn new(settings: ProviderSettings) -> Result<Self, ProviderError> {
        let oauth = BasicClient::new(settings.client_id)
            .set_client_secret(settings.client_secret)
            .set_auth_uri(AuthUrl::from_url(settings.authorize_url))
            .set_token_uri(TokenUrl::from_url(settings.token_url))
            .set_redirect_uri(RedirectUrl::from_url(settings.redirect_url));
        let http = Client::builder()
            .timeout(settings.time_limit)
            // A redirect would take the code and the password of the application somewhere else.
            .redirect(Policy::none())
            // GitHub rejects requests without one.
            .user_agent(env!("CARGO_PKG_NAME"))
            .build()?;
        let (userinfo_url, scopes, id_member) = (settings.userinfo_url, settings.scopes, settings.id_member);
        Ok(Self(Arc::new(Inner { oauth, http, userinfo_url, scopes, id_member })))
    }

    /// Begins a login.
    #[must_use]
    pub fn authorization_request(&self) -> AuthorizationRequest {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = self
            .0
            .oauth
            .authorize_url(CsrfToken::new_random)
            .add_scopes(self.0.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge)
            .url();
        AuthorizationRequest { url, state, verifier }
    }

    /// Redeems the code of a callback, and asks who the user is: their id at the provider.
    ///
    /// The id comes from the provider itself, over TLS, with a token that it has just given to this application. So
    /// there is no ID token to verify; with OpenID Connect, the crate `openidconnect` can do that instead.
    ///
    /// # Errors
    ///
    /// [`ProviderError::InvalidCode`] if the client must begin again; any other if it cannot be told who it is.
    pub async fn user_id(&self, code: String, verifier: PkceCodeVerifier) -> Result<String, ProviderError> {
        let request = self.0.oauth.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier);
        let token = request.request_async(self).await?;
        let request = self.0.http.get(self.0.userinfo_url.clone());
        let request = request.bearer_auth(token.access_token().secret()).header("accept", "application/json");
        self.id_in(request.send().await.map_err(without_url)?).await
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ProviderError> {
        let answer = self.0.http.execute(request.try_into()?).await.map_err(without_url)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = HttpResponse::new(read(answer).await?);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    async fn id_in(&self, answer: Response) -> Result<String, ProviderError> {
        if answer.status() != 200 {
            return Err(ProviderError::Unexpected("the provider does not show the user"));
        }
        let user: Value = serde_json::from_slice(&read(answer).await?)
            .map_err(|_| ProviderError::Unexpected("the provider shows a user that is not JSON"))?;
        let id = match user.get(&self.0.id_member) {
            Some(Value::String(id)) => Some(id.clone()),
            Some(Value::Number(id)) => id.as_u64().map(|id| id.to_string()),
            _ => None,
        };
        id.filter(|id| (1..=MAX_ID_BYTES).contains(&id.len()))
            .ok_or(ProviderError::Unexpected("the provider shows a user without an id"))
    }
}

/// How `oauth2` sends its requests.
impl<'c> AsyncHttpClient<'c> for Provider {
    type Error = ProviderError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, ProviderError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

impl From<BasicRequestTokenError<ProviderError>> for ProviderError {
    fn from(error: BasicRequestTokenError<ProviderError>) -> Self {
        match error {
            RequestTokenError::Request(error) => error,
            RequestTokenError::ServerResponse(answer) => match answer.error() {
                BasicErrorResponseType::InvalidGrant => Self::InvalidCode,
                BasicErrorResponseType::InvalidClient => {
                    Self::Unexpected("the provider does not know this application, or not this secret")
                }
                _ => Self::Unexpected("the provider answers a code with an error"),
            },
            // These quote what was sent.
            _ => Self::Unexpected("the provider answers a code with neither a token nor an error"),
        }
    }
}

/// The body, up to a length.
async fn read(mut answer: Response) -> Result<Vec<u8>, ProviderError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(without_url)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(ProviderError::Unexpected("the provider sends too much"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error without the URL, whose query is nobody's business.
fn without_url(error: reqwest::Error) -> ProviderError {
    ProviderError::Unreachable(error.without_url())
}
