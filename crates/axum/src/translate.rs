//! Axum's requests and responses in the words of the contract, and back.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts, uri::Authority},
    response::Response,
};
use jwt_knox_http::{AuthSlot, Handle, HttpRejection, Request, Requirement};
use serde::de::DeserializeOwned;

/// A request, which keeps its slot.
pub(crate) fn request<'a>(handle: &impl Handle, parts: &'a mut Parts) -> Request<'a> {
    let Parts { method, uri, headers, extensions, .. } = parts;
    read(handle, method, uri, headers).with_slot(extensions.get_or_insert_default::<AuthSlot>())
}

/// The same with all headers, for a login and the routes that need them.
pub(crate) fn request_with_headers<'a>(handle: &impl Handle, parts: &'a mut Parts) -> Request<'a> {
    let Parts { method, uri, headers, extensions, .. } = parts;
    read(handle, method, uri, headers)
        .with_slot(extensions.get_or_insert_default::<AuthSlot>())
        .with_headers(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

fn read<'a>(handle: &impl Handle, method: &'a Method, uri: &'a Uri, headers: &'a HeaderMap) -> Request<'a> {
    let values = |name: &str| match name {
        // The one that each request is asked for, without reading its name.
        "authorization" => headers.get_all(header::AUTHORIZATION),
        name => headers.get_all(name),
    };
    handle
        .request(method.as_str(), uri.path(), |name| values(name).iter().map(HeaderValue::as_bytes))
        .with_query(uri.query())
        .with_authority(uri.authority().map(Authority::as_str))
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
    requirement.claims(&request(requirement.handle(), parts)).await
}
