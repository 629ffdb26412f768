//! What to issue, and what was issued.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    error::ClaimsError,
    jwt::CustomClaims,
    policy::Lifetime,
    record::{TokenRecord, clean_label},
    scopes::{is_scope, scopes},
    secret::Token,
    subject::Subject,
};

/// A token to be issued with [`Knox::issue_with`](crate::Knox::issue_with).
///
/// # Examples
///
/// ```
/// use jwt_knox::{NewToken, Subject};
///
/// #[derive(serde::Serialize)]
/// struct MyClaims {
///     role: &'static str,
/// }
///
/// let token = NewToken::for_subject(Subject::new("user-42")?)
///     .label("Firefox on Linux")
///     .claims(&MyClaims { role: "editor" })?
///     .scope("read write")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct NewToken {
    pub(crate) subject: Subject,
    pub(crate) label: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) scope: Option<String>,
    pub(crate) custom: CustomClaims,
    pub(crate) lifetime: Option<Lifetime>,
}

impl NewToken {
    /// A token for `subject`, with nothing but what every token has.
    #[must_use]
    pub fn for_subject(subject: Subject) -> Self {
        Self {
            subject,
            label: None,
            attributes: BTreeMap::new(),
            scope: None,
            custom: CustomClaims::default(),
            lifetime: None,
        }
    }

    /// Names the login for a list of devices. Control characters are dropped, and all after the 255th character.
    #[must_use]
    pub fn label(mut self, label: impl AsRef<str>) -> Self {
        self.label = clean_label(label.as_ref());
        self
    }

    /// Names the login unless it has a name, by the same rules as [`label`](Self::label).
    #[must_use]
    pub fn label_if_none(self, label: impl AsRef<str>) -> Self {
        if self.label.is_some() { self } else { self.label(label) }
    }

    /// Keeps a value of the application with the login, in the store only and not in the JWT.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Puts the fields of `claims` into the JWT. The client can read them: a JWT is signed, not encrypted.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] if `claims` does not serialize to a JSON object, or has a field that the library writes itself
    /// (`iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti`, `jti_alg`, `nonce`, `scope`).
    pub fn claims(mut self, claims: &impl Serialize) -> Result<Self, ClaimsError> {
        self.custom = CustomClaims::new(claims)?;
        Ok(self)
    }

    /// Grants scopes, a list separated by spaces: the claim `scope` of [RFC 8693 §4.2].
    ///
    /// [RFC 8693 §4.2]: https://www.rfc-editor.org/rfc/rfc8693#section-4.2
    ///
    /// # Errors
    ///
    /// [`ClaimsError::InvalidScope`] if a scope has a character that [RFC 6749 §3.3] does not allow.
    ///
    /// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
    pub fn scope(mut self, scope: impl AsRef<str>) -> Result<Self, ClaimsError> {
        let scopes: Vec<&str> = scopes(Some(scope.as_ref())).collect();
        if let Some(scope) = scopes.iter().find(|scope| !is_scope(scope)) {
            return Err(ClaimsError::InvalidScope { scope: (*scope).to_owned() });
        }
        self.scope = (!scopes.is_empty()).then(|| scopes.join(" "));
        Ok(self)
    }

    /// Gives this login another lifetime than [`KnoxBuilder::lifetime`](crate::KnoxBuilder::lifetime) says, as for a
    /// "keep me logged in" box.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

impl From<Subject> for NewToken {
    fn from(subject: Subject) -> Self {
        Self::for_subject(subject)
    }
}

/// A token that was issued, and the record that the store keeps of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The token. Send it to the client and forget it: nobody can make it out of the record again.
    pub token: Token,
    /// What the store keeps.
    pub record: TokenRecord,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> NewToken {
        NewToken::for_subject(Subject::new("alice").unwrap())
    }

    #[test]
    fn a_label_that_is_there_stays() {
        assert_eq!(token().label("a").label_if_none("b").label.as_deref(), Some("a"));
        assert_eq!(token().label("\n").label_if_none("b").label.as_deref(), Some("b"));
    }

    #[test]
    fn scopes_are_those_of_rfc_6749() {
        assert_eq!(token().scope(" read  write ").unwrap().scope.as_deref(), Some("read write"));
        assert_eq!(token().scope(" ").unwrap().scope, None);
        for scope in ["a\"b", "a\\b", "é", "a\tb"] {
            assert!(matches!(token().scope(scope), Err(ClaimsError::InvalidScope { .. })), "{scope}");
        }
    }

    #[test]
    fn claims_are_an_object_without_the_names_that_are_taken() {
        assert!(matches!(token().claims(&1), Err(ClaimsError::NotAnObject)));
        assert!(
            matches!(token().claims(&serde_json::json!({"jti": "x"})), Err(ClaimsError::Reserved { name }) if name == "jti")
        );
        assert!(token().claims(&serde_json::json!({"role": "editor"})).is_ok());
        let mut nested = serde_json::json!(1);
        for _ in 0..200 {
            nested = serde_json::json!([nested]);
        }
        assert!(matches!(token().claims(&serde_json::json!({"deep": nested})), Err(ClaimsError::Mismatch(_))));
    }
}
