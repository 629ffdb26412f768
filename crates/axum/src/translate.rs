//! Axum's requests and responses in the words of the contract, and back.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, request::Parts},
    response::Response,
};
use jwt_knox::Authenticated;
use jwt_knox_http::{KnoxHttp, Refusal, Request};

pub(crate) fn request(parts: &Parts) -> Request<'_> {
    Request::new(parts.method.as_str(), parts.uri.path(), |name| {
        parts.headers.get_all(name).iter().map(HeaderValue::as_bytes)
    })
    .with_verification(parts.extensions.get())
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

/// Who sends the request, decided once for each request.
pub(crate) async fn authenticate(parts: &mut Parts, knox: &KnoxHttp) -> Result<Authenticated, Refusal> {
    let request = request(parts);
    let outcome = knox.authenticate(&request).await;
    let verification = knox.remember(&request, &outcome);
    parts.extensions.insert(verification);
    outcome
}
