//! What other services ask about tokens: introspection (RFC 7662) and revocation (RFC 7009).

use std::borrow::Cow;

use jwt_knox::{AuthenticateError, Revocation};

use crate::{
    knox_http::KnoxHttp,
    oauth_client::ClientCredentials,
    request::{Request, form_body::Form},
    response::{
        Response,
        answers::IntrospectionAnswer,
        problem::ProblemCode,
        rejection::{Cause, HttpRejection},
    },
};

/// The scope of a token that may ask about others. One without scopes may not: it is its user's, and no service's.
pub(crate) const SCOPE: &str = "introspect";

/// Returns an error unless a client sends the request, or a token that may ask about others.
pub(crate) async fn require_introspector(knox: &KnoxHttp, request: &Request<'_>) -> Result<(), HttpRejection> {
    if request.basic().is_some() {
        return require_client(knox, request);
    }
    knox.protocol().require_no_foreign_page(request)?;
    // Services have no cookies: what the browser adds by itself is no way in.
    let request = Request { browser: None, ..request.clone() };
    match knox.authenticate(&request).await {
        Ok(auth) => knox.require_scope(&auth, SCOPE),
        Err(rejection) if rejection.is_missing_token() => Err(invalid_client(knox)),
        Err(rejection) => Err(rejection),
    }
}

/// Returns an error unless a client sends the request, with its id and its secret by HTTP Basic.
pub(crate) fn require_client(knox: &KnoxHttp, request: &Request<'_>) -> Result<(), HttpRejection> {
    knox.protocol().require_no_foreign_page(request)?;
    let credentials = request.basic().and_then(ClientCredentials::from_basic);
    if knox.oauth_clients().is_some_and(|clients| clients.authenticate(credentials.as_ref())) {
        return Ok(());
    }
    tracing::debug!("request rejected: no client has that id and that secret");
    Err(invalid_client(knox))
}

/// Says whether the token in the body is active, and what is known of it.
pub(crate) async fn introspect(knox: &KnoxHttp, request: &Request<'_>) -> Result<Response, HttpRejection> {
    let token = token(knox, request)?;
    match knox.knox().authenticate(token.as_bytes()).await {
        Ok(auth) => knox.json(serde_json::to_string(&IntrospectionAnswer::active(&auth, knox.protocol().scheme()))),
        Err(AuthenticateError::Rejected(_)) => knox.json(serde_json::to_string(&IntrospectionAnswer::INACTIVE)),
        Err(error @ AuthenticateError::Store(_)) => Err(knox.reject(error)),
    }
}

/// Ends the session of the token in the body, if it has one.
pub(crate) async fn revoke(knox: &KnoxHttp, request: &Request<'_>) -> Result<Response, HttpRejection> {
    let token = token(knox, request)?;
    match knox.revoke_token(token.as_bytes()).await {
        // A token without a session is as good as revoked (RFC 7009 §2.2).
        Ok(Revocation::Revoked | Revocation::NotFound) => Ok(Response::ok()),
        Err(error) => Err(knox.reject(error)),
    }
}

/// The token that a request is about.
fn token<'a>(knox: &KnoxHttp, request: &Request<'a>) -> Result<Cow<'a, str>, HttpRejection> {
    let token = Form::read(request).and_then(|form| {
        // All tokens are of one type, so the hint makes no difference.
        form.parameter("token_type_hint", "The parameter `token_type_hint` must not be there twice.")?;
        let missing = Cause::OAuth(ProblemCode::InvalidRequest, "The body must be a form with the parameter `token`.");
        form.parameter("token", "The parameter `token` must not be there twice.")?.ok_or(missing)
    });
    token.map_err(|cause| knox.reject(cause))
}

fn invalid_client(knox: &KnoxHttp) -> HttpRejection {
    let detail = "Send the id and the secret of a client by HTTP Basic.";
    knox.reject(Cause::OAuth(ProblemCode::InvalidClient, detail))
}
