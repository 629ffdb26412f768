//! Axum's requests and responses in the words of the contract, and back.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, request::Parts, uri::Authority},
    response::Response,
};
use jwt_knox_http::{AuthSlot, Handle, HttpRejection, Request, Requirement};
use serde::de::DeserializeOwned;

pub(crate) fn request<'a>(handle: &impl Handle, parts: &'a Parts, slot: &'a AuthSlot) -> Request<'a> {
    handle
        .request(parts.method.as_str(), parts.uri.path(), |name| {
            parts.headers.get_all(name).iter().map(HeaderValue::as_bytes)
        })
        .with_query(parts.uri.query())
        .with_authority(parts.uri.authority().map(Authority::as_str))
        .with_slot(slot)
}

/// All headers, for a login and the routes that need them.
pub(crate) fn headers(parts: &Parts) -> impl Iterator<Item = (&str, &[u8])> {
    parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

pub(crate) fn response(response: jwt_knox_http::Response) -> Response {
    let mut out = Response::new(Body::empty());
    *out.status_mut() = StatusCode::from_u16(response.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers() {
        if let Ok(value) = HeaderValue::from_str(value) {
            out.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    *out.body_mut() = Body::from(response.into_body());
    out
}

/// The place in the request where it is kept who sends it.
pub(crate) fn slot(parts: &mut Parts) -> AuthSlot {
    parts.extensions.get_or_insert_default::<AuthSlot>().clone()
}

/// Who sends the request, decided once for each request, if they have what is asked for.
pub(crate) async fn authenticate<H: Handle>(
    parts: &mut Parts,
    requirement: &Requirement<H>,
) -> Result<H::Auth, HttpRejection> {
    let slot = slot(parts);
    // By itself, so that the future does not hold the request.
    let authenticating = requirement.authenticate(&request(requirement.handle(), parts, &slot));
    authenticating.await
}

/// The same, where a request may have no credential.
pub(crate) async fn authenticate_optional<H: Handle>(
    parts: &mut Parts,
    requirement: &Requirement<H>,
) -> Result<Option<H::Auth>, HttpRejection> {
    let slot = slot(parts);
    let authenticating = requirement.authenticate_optional(&request(requirement.handle(), parts, &slot));
    authenticating.await
}

/// The claims of the token.
pub(crate) async fn claims<T: DeserializeOwned>(
    parts: &mut Parts,
    requirement: &Requirement<impl Handle>,
) -> Result<T, HttpRejection> {
    let slot = slot(parts);
    requirement.claims(&request(requirement.handle(), parts, &slot)).await
}
