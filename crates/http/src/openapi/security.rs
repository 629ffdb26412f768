//! How a client proves who it is.

use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};

use super::names;
use crate::{endpoint::Endpoint, knox_http::KnoxHttp, response::challenge::AUTHORIZATION, routes::introspection};

/// What proves to a handle with cookies that no page of another origin has sent a request.
pub(super) const PROOF_OF_ORIGIN: &str =
    "`Sec-Fetch-Site: same-origin`, or an `Origin` that is the server's or allowed";

/// The name of a security scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Token,
    Cookie,
    Password,
    Client,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Token, Self::Cookie, Self::Password, Self::Client];

    fn name(self, knox: &KnoxHttp) -> String {
        let name = match self {
            Self::Token => "knoxToken",
            Self::Cookie => "knoxCookie",
            Self::Password => "knoxPassword",
            Self::Client => "knoxClient",
        };
        names::lower(knox, name)
    }
}

/// What may be sent to `endpoint`: one of these, or nothing for `None`.
fn accepted(knox: &KnoxHttp, endpoint: Endpoint) -> Vec<Option<Scheme>> {
    match endpoint {
        Endpoint::Login | Endpoint::Jwks => Vec::new(),
        // Or the user name and the password are in the body.
        Endpoint::GetToken => vec![Some(Scheme::Password), None],
        Endpoint::Verify
        | Endpoint::Logout
        | Endpoint::LogoutOther
        | Endpoint::LogoutAll
        | Endpoint::Rotate
        | Endpoint::DebugVerify
        | Endpoint::ForwardAuth
        | Endpoint::Sessions
        | Endpoint::Session => {
            let cookie = knox.cookies().map(|_| Some(Scheme::Cookie));
            [Some(Scheme::Token)].into_iter().chain(cookie).collect()
        }
        Endpoint::Introspect => vec![Some(Scheme::Client), Some(Scheme::Token)],
        Endpoint::Revoke => vec![Some(Scheme::Client)],
    }
}

/// What an operation of `endpoint` asks for. It is never left open, so that what a document asks for on all its routes
/// does not count here.
pub(super) fn requirements(knox: &KnoxHttp, endpoint: Endpoint) -> Vec<SecurityRequirement> {
    let requirement = |scheme: Option<Scheme>| match scheme {
        Some(scheme) => SecurityRequirement::new(scheme.name(knox), needed_scopes(endpoint, scheme).to_vec()),
        None => SecurityRequirement::default(),
    };
    accepted(knox, endpoint).into_iter().map(requirement).collect()
}

/// Whether nothing is answered at `endpoint` before it is known who sends the request.
pub(super) fn is_required(knox: &KnoxHttp, endpoint: Endpoint) -> bool {
    let accepted = accepted(knox, endpoint);
    !accepted.is_empty() && !accepted.contains(&None)
}

/// The scopes that every token needs. What only a token with scopes needs is not among them.
fn needed_scopes(endpoint: Endpoint, scheme: Scheme) -> &'static [&'static str] {
    match (endpoint, scheme) {
        (Endpoint::Introspect, Scheme::Token) => &[introspection::SCOPE],
        _ => &[],
    }
}

/// The schemes that `endpoints` name.
pub(super) fn all(knox: &KnoxHttp, endpoints: &[Endpoint]) -> impl Iterator<Item = (String, SecurityScheme)> {
    let is_named =
        |scheme: &Scheme| endpoints.iter().any(|endpoint| accepted(knox, *endpoint).contains(&Some(*scheme)));
    Scheme::ALL.into_iter().filter(is_named).map(|scheme| (scheme.name(knox), definition(knox, scheme)))
}

fn definition(knox: &KnoxHttp, scheme: Scheme) -> SecurityScheme {
    match scheme {
        Scheme::Token => {
            let word = knox.protocol().scheme();
            let is_bearer = word.eq_ignore_ascii_case("Bearer");
            in_header(knox, word, is_bearer.then_some(HttpAuthScheme::Bearer), "the access token of a session")
        }
        Scheme::Cookie => {
            let name = knox.cookies().map(|cookies| cookies.cookie_name()).unwrap_or_default();
            let description = format!(
                "The session of a browser. It counts where there is no token in the header. A request that changes \
                 something, by any method but GET, HEAD and OPTIONS, or that opens a WebSocket, needs a proof of \
                 origin: {PROOF_OF_ORIGIN}."
            );
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(name, &description)))
        }
        Scheme::Password => in_header(knox, "Basic", Some(HttpAuthScheme::Basic), "the user name and the password"),
        Scheme::Client => in_header(knox, "Basic", Some(HttpAuthScheme::Basic), "the id and the secret of a client"),
    }
}

/// A credential in the header that this handle reads, behind `word`. OpenAPI has a name for a scheme of HTTP only if
/// the header is `Authorization`.
fn in_header(knox: &KnoxHttp, word: &str, known: Option<HttpAuthScheme>, what: &str) -> SecurityScheme {
    let header = &*knox.protocol().challenge.header;
    match known.filter(|_| header.eq_ignore_ascii_case(AUTHORIZATION)) {
        Some(known) => {
            let description = format!("With {what}.");
            SecurityScheme::Http(
                HttpBuilder::new().scheme(known).bearer_format("JWT").description(Some(description)).build(),
            )
        }
        None => {
            let description = format!("`{word}`, a space, and {what}.");
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(header, &description)))
        }
    }
}
