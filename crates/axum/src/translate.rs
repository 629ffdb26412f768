//! Axum's requests and responses in the words of the contract, and back.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts, uri::Authority},
    response::Response,
};
use jwt_knox_http::{AuthSlot, Handle, HttpRejection, Request, Requirement};
use serde::de::DeserializeOwned;

/// A request. Its slot, where it is kept who sends it, is in the extensions.
pub(crate) fn request<'a>(handle: &impl Handle, parts: &'a mut Parts) -> Request<'a> {
    read(handle, parts).0
}

/// The same with all headers, for a login and the routes that need them.
pub(crate) fn request_with_headers<'a>(handle: &impl Handle, parts: &'a mut Parts) -> Request<'a> {
    let (request, headers) = read(handle, parts);
    request.with_headers(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

fn read<'a>(handle: &impl Handle, parts: &'a mut Parts) -> (Request<'a>, &'a HeaderMap) {
    let Parts { method, uri, headers, extensions, .. } = parts;
    let values = |name: &str| match name {
        // Saves parsing the name of the header that every request is asked for.
        "authorization" => headers.get_all(header::AUTHORIZATION),
        name => headers.get_all(name),
    };
    let request = handle
        .request(method.as_str(), uri.path(), |name| values(name).iter().map(HeaderValue::as_bytes))
        .with_query(uri.query())
        .with_authority(uri.authority().map(Authority::as_str))
        .with_slot(extensions.get_or_insert_default::<AuthSlot>());
    (request, headers)
}

pub(crate) fn response(response: jwt_knox_http::Response) -> Response {
    let mut out = Response::new(Body::empty());
    *out.status_mut() = StatusCode::from_u16(response.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers() {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            // A cookie is a token: so that a layer which logs headers leaves it out.
            value.set_sensitive(name == header::SET_COOKIE);
            out.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    *out.body_mut() = Body::from(response.into_body());
    out
}

/// Who sends the request, decided once for each request, if they have what is asked for.
pub(crate) async fn authenticate<H: Handle>(
    parts: &mut Parts,
    requirement: &Requirement<H>,
) -> Result<H::Auth, HttpRejection> {
    // By itself, so that the future does not hold the request.
    let authenticating = requirement.authenticate(&request(requirement.handle(), parts));
    authenticating.await
}

/// The same, where a request may have no credential.
pub(crate) async fn authenticate_optional<H: Handle>(
    parts: &mut Parts,
    requirement: &Requirement<H>,
) -> Result<Option<H::Auth>, HttpRejection> {
    let authenticating = requirement.authenticate_optional(&request(requirement.handle(), parts));
    authenticating.await
}

/// The claims of the token.
pub(crate) async fn claims<T: DeserializeOwned>(
    parts: &mut Parts,
    requirement: &Requirement<impl Handle>,
) -> Result<T, HttpRejection> {
    let reading = requirement.claims(&request(requirement.handle(), parts));
    reading.await
}
