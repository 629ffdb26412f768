//! Who presented a token.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::{
    digest::TokenId,
    error::{AuthError, ClaimsError},
    jwt::{CustomClaims, Verified},
    record::{TokenKey, TokenRecord},
    scopes::scopes,
    subject::Subject,
    token_format::TokenFormat,
};

/// Proof that a token was presented and is good: its signature, its claims, its record and its subject.
///
/// Only [`Knox::authenticate`](crate::Knox::authenticate) makes one, and [`Knox::recheck`](crate::Knox::recheck)
/// another from it. It says what was so at that moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticated(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: TokenId,
    record: TokenRecord,
    verified: Verified,
}

impl Authenticated {
    pub(crate) fn new(record: TokenRecord, verified: Verified) -> Self {
        Self(Arc::new(Inner { id: record.id(), record, verified }))
    }

    /// What the token said.
    pub(crate) fn verified(&self) -> &Verified {
        &self.0.verified
    }

    /// Who the token is for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.0.record.subject
    }

    /// Which of the subject's logins it is.
    #[must_use]
    pub fn token_id(&self) -> &TokenId {
        &self.0.id
    }

    /// The key of the record, as [`Knox::revoke`](crate::Knox::revoke) takes it.
    #[must_use]
    pub fn key(&self) -> TokenKey {
        TokenKey { subject: self.subject().clone(), id: self.token_id().clone() }
    }

    /// What the store keeps of the login.
    #[must_use]
    pub fn record(&self) -> &TokenRecord {
        &self.0.record
    }

    /// The claims of the token as a type of the application: its own claims, and the registered ones if the type has
    /// fields for them. The secret (`jti`) is not among them.
    ///
    /// The signing key alone vouches for claims of the application. What must hold even if that key is stolen belongs
    /// into the scope or into the record's attributes, which the store keeps too.
    ///
    /// # Errors
    ///
    /// [`ClaimsError::Mismatch`] if the claims do not fit `T`, as when the token was issued before a field was added.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        self.0.verified.claims.read()
    }

    /// The scopes that the token grants.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        scopes(self.record().scope.as_deref())
    }

    /// Whether the token grants `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
    }

    /// Goes on only if the token grants `scope`.
    ///
    /// # Errors
    ///
    /// [`AuthError::InsufficientScope`] if it does not.
    pub fn require_scope(&self, scope: &str) -> Result<(), AuthError> {
        if self.has_scope(scope) { Ok(()) } else { Err(AuthError::InsufficientScope { scope: scope.to_owned() }) }
    }

    /// The claims that the application has put into the token.
    pub(crate) fn custom_claims(&self, format: &TokenFormat) -> CustomClaims {
        self.0.verified.claims.custom(format)
    }
}
