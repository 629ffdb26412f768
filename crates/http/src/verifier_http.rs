//! The handle of a service without the store.

use std::{fmt, ops::Deref, sync::Arc};

use jwt_knox::{AuthenticateError, MissingScope, StatelessToken, Verifier};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    config_error::HttpConfigError,
    handle::{Handle, Sealed},
    protocol::{Protocol, decide, optional},
    request::{Request, cookies::Cookies, slot::AuthSlot},
    response::rejection::HttpRejection,
};

/// The guards' part of the HTTP contract on top of a [`Verifier`]: for a service that has no store, and has the
/// issuer's keys or asks the issuer. It reads credentials and answers rejections as a [`KnoxHttp`](crate::KnoxHttp)
/// does, and has no routes. Cheap to clone.
///
/// **By keys alone, it does not see revocation.** A token that was logged out, rotated away or evicted, and one of a
/// user who was disabled, is accepted until its `exp`. With an [`Introspector`](jwt_knox::Introspector), the issuer is
/// asked, and such a token is accepted for the [`max_age`](jwt_knox::IntrospectorBuilder::max_age) of an answer at
/// most. In both cases it gives a [`StatelessToken`] and never an [`Authenticated`](jwt_knox::Authenticated).
///
/// It dereferences to the [`Verifier`] underneath.
///
/// # Examples
///
/// ```
/// use jwt_knox::{KeySet, TokenProfile, Verifier};
/// use jwt_knox_http::VerifierHttp;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let jwks = jwt_knox::KeyRing::new(jwt_knox::SigningKey::generate(jwt_knox::Algorithm::EdDsa)?).jwks();
/// let profile = TokenProfile::new().issuer("https://auth.example.com")?.audience("orders")?;
/// let verifier = VerifierHttp::builder(Verifier::new(KeySet::from_jwks(&jwks)?, profile)).build()?;
///
/// let request = verifier.request("GET", "/orders", |_| None);
/// let rejection = verifier.authenticate(&request).await.unwrap_err();
/// assert_eq!(rejection.status(), 401);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct VerifierHttp(Arc<Inner>);

struct Inner {
    verifier: Verifier,
    protocol: Protocol,
}

impl VerifierHttp {
    /// Starts a handle on top of `verifier`.
    pub fn builder(verifier: Verifier) -> VerifierHttpBuilder {
        VerifierHttpBuilder(Inner { verifier, protocol: Protocol::new() })
    }

    /// The [`Verifier`] underneath.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    /// A request in the words of the contract; see [`KnoxHttp::request`](crate::KnoxHttp::request).
    pub fn request<'a, V>(&self, method: &'a str, path: &'a str, header: impl Fn(&str) -> V) -> Request<'a>
    where
        V: IntoIterator<Item = &'a [u8]>,
    {
        self.0.protocol.request(method, path, header)
    }

    /// Decides whether the bearer token of `request` is valid. A revoked one is accepted until its `exp`, unless the
    /// issuer is asked.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`], with the response to send: 401 without a valid token, 503 if the keys of a
    /// [`RemoteKeySet`](jwt_knox::RemoteKeySet) cannot be fetched, or the issuer not be asked.
    pub async fn authenticate(&self, request: &Request<'_>) -> Result<StatelessToken, HttpRejection> {
        self.authenticate_with(request, &()).await
    }

    /// Optional authentication: no credential is `None`; a bad one stays what it is. A revoked token is accepted until
    /// its `exp`, unless the handle asks the issuer.
    ///
    /// # Errors
    ///
    /// As for [`authenticate`](Self::authenticate), unless no credential was sent.
    pub async fn authenticate_optional(&self, request: &Request<'_>) -> Result<Option<StatelessToken>, HttpRejection> {
        optional(self.authenticate(request).await)
    }

    /// Returns an error unless `token` claims `scope`. For a scope that is known only at run time; guards take a
    /// [`Scope`](crate::Scope).
    ///
    /// # Errors
    ///
    /// [`HttpRejection`] with 403 and `insufficient_scope` ([RFC 6750 §3.1]) if it does not.
    ///
    /// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    pub fn require_scope(&self, token: &StatelessToken, scope: &str) -> Result<(), HttpRejection> {
        token.require_scope(scope).map_err(|error: MissingScope| self.reject(error))
    }

    /// The contract's answer to an error of the core, as this handle gives it; see
    /// [`KnoxHttp::reject`](crate::KnoxHttp::reject).
    pub fn reject(&self, error: impl Into<HttpRejection>) -> HttpRejection {
        self.0.protocol.reject(error)
    }

    /// An answer for an adapter that is asked for one to `status` and knows no reason; see
    /// [`KnoxHttp::for_status`](crate::KnoxHttp::for_status).
    #[must_use]
    pub fn for_status(&self, status: u16) -> HttpRejection {
        self.reject(HttpRejection::for_status(status))
    }
}

impl Sealed for VerifierHttp {}

impl Handle for VerifierHttp {
    const NAME: &'static str = "VerifierHttp";

    type Auth = StatelessToken;

    /// A token alone does not say when its user has logged in, and there is no use to count.
    type Conditions = ();

    fn request<'a, V>(&self, method: &'a str, path: &'a str, header: impl Fn(&str) -> V) -> Request<'a>
    where
        V: IntoIterator<Item = &'a [u8]>,
    {
        self.request(method, path, header)
    }

    fn authenticate_with<'a>(
        &'a self,
        request: &Request<'a>,
        (): &'a (),
    ) -> impl Future<Output = Result<StatelessToken, HttpRejection>> + Send + use<'a> {
        let presented = self.0.protocol.presented_token(request, self.verifier().max_token_bytes(), AuthSlot::token);
        let ask = async |token| {
            self.0.verifier.authenticate(token).await.map_err(|error| {
                if let AuthenticateError::Rejected(reason) = &error {
                    tracing::debug!(reason = reason.as_str(), "request rejected: {reason}");
                }
                self.reject(error)
            })
        };
        decide(presented, ask)
    }

    fn require_scope(&self, token: &StatelessToken, scope: &str) -> Result<(), HttpRejection> {
        self.require_scope(token, scope)
    }

    fn require_conditions(&self, _: &StatelessToken, (): &()) -> Result<(), HttpRejection> {
        Ok(())
    }

    fn claims<T: DeserializeOwned>(&self, token: &StatelessToken) -> Result<T, HttpRejection> {
        token.claims().map_err(|error| self.reject(error))
    }
}

impl Deref for VerifierHttp {
    type Target = Verifier;

    fn deref(&self) -> &Verifier {
        self.verifier()
    }
}

impl fmt::Debug for VerifierHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as("VerifierHttp", f)
    }
}

/// The settings of a [`VerifierHttp`]. [`VerifierHttp::builder`] starts one; none is required.
#[must_use]
pub struct VerifierHttpBuilder(Inner);

impl VerifierHttpBuilder {
    /// The word in front of the token in the `Authorization` header. It is read without regard to case. Default:
    /// `Bearer`.
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.0.protocol.set_scheme(scheme.into());
        self
    }

    /// The header that carries a token, in place of `Authorization`.
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.0.protocol.set_header(name.into());
        self
    }

    /// Reads the token from the session cookie as well, where there is no `Authorization` header: for a service on the
    /// host that set it. The same requests are rejected as with
    /// [`KnoxHttpBuilder::cookies`](crate::KnoxHttpBuilder::cookies) (403 `cross_origin`). Default: off.
    pub fn cookies(mut self, cookies: Cookies) -> Self {
        self.0.protocol.cookies = Some(cookies);
        self
    }

    /// The realm that a challenge names. Default: `api`.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.0.protocol.set_realm(realm.into());
        self
    }

    /// Answers every rejection and failure with another body; see
    /// [`KnoxHttpBuilder::problem`](crate::KnoxHttpBuilder::problem).
    pub fn problem<T: Serialize>(mut self, problem: impl Fn(&HttpRejection) -> T + Send + Sync + 'static) -> Self {
        self.0.protocol.set_problem(problem);
        self
    }

    /// Makes the handle.
    ///
    /// # Errors
    ///
    /// [`HttpConfigError`] says which setting is wrong.
    pub fn build(self) -> Result<VerifierHttp, HttpConfigError> {
        self.0.protocol.check()?;
        Ok(VerifierHttp(Arc::new(self.0)))
    }
}

impl fmt::Debug for VerifierHttpBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as("VerifierHttpBuilder", f)
    }
}

impl Inner {
    fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("verifier", &self.verifier)
            .field("challenge", &self.protocol.challenge)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use jwt_knox::{Knox, MemoryStore, SigningKey, TokenProfile};

    use super::*;
    use crate::knox_http::KnoxHttp;

    /// Both handles look at one request, which has one slot.
    #[tokio::test]
    async fn what_is_accepted_without_the_store_is_not_accepted_with_it() {
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
        let issued = knox.issue(1).await.unwrap();
        assert!(knox.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
        let verifier = VerifierHttp::builder(knox.verifier()).build().unwrap();
        let knox = KnoxHttp::builder(knox).build().unwrap();
        let header = format!("Bearer {}", issued.token.expose());
        let (slot, other) = (AuthSlot::default(), AuthSlot::default());
        let request = || knox.request("GET", "/", |name| (name == "authorization").then_some(header.as_bytes()));

        assert!(verifier.authenticate(&request().with_slot(&slot)).await.is_ok());
        assert_eq!(knox.authenticate(&request().with_slot(&slot)).await.unwrap_err().status(), 401);
        assert_eq!(knox.authenticate(&request().with_slot(&other)).await.unwrap_err().status(), 401);
        assert!(verifier.authenticate(&request().with_slot(&other)).await.is_ok());
    }

    #[test]
    fn bad_settings_are_rejected_as_those_of_a_handle_with_a_store() {
        let verifier = Verifier::new(SigningKey::hs256([7; 32]).unwrap().verifying_key(), TokenProfile::new());
        let builder = || VerifierHttp::builder(verifier.clone());
        assert!(builder().scheme("Token").realm("my api").header("X-Auth-Token").build().is_ok());
        assert_eq!(builder().scheme("Basic").build().err(), Some(HttpConfigError::Scheme));
        assert_eq!(builder().header("Cookie").build().err(), Some(HttpConfigError::Header));
        assert_eq!(builder().realm("a\"b").build().err(), Some(HttpConfigError::Realm));
        assert_eq!(builder().cookies(Cookies::new().name("a")).build().err(), Some(HttpConfigError::CookieName));
    }
}
