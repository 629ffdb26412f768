//! A complete adapter, for plain hyper: what `docs/writing-an-adapter.md` explains.

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{HeaderName, HeaderValue},
    http::request::Parts,
};
use jwt_knox::Authenticated;
use jwt_knox_http::{Body, Endpoint, KnoxHttp, Refusal, Request as KnoxRequest};
use tokio::time::timeout;

/// A request in the words of the contract.
pub fn translate_request(parts: &Parts) -> KnoxRequest<'_> {
    KnoxRequest::new(parts.method.as_str(), parts.uri.path(), |name| {
        parts.headers.get_all(name).iter().map(HeaderValue::as_bytes)
    })
    // What an earlier guard decided of the same request, if there was one.
    .with_verification(parts.extensions.get())
}

/// A response of the contract in hyper's words: as it is.
pub fn translate_response(response: jwt_knox_http::Response) -> Response<Full<Bytes>> {
    let mut out = Response::new(Full::default());
    *out.status_mut() = StatusCode::from_u16(response.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers() {
        if let Ok(value) = HeaderValue::from_str(value) {
            out.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    *out.body_mut() = Full::from(response.into_body());
    out
}

/// The guard: who sends the request, decided once for each request.
///
/// # Errors
///
/// [`Refusal`], whose response is the one to send.
pub async fn authenticate(parts: &mut Parts, knox: &KnoxHttp) -> Result<Authenticated, Refusal> {
    let request = translate_request(parts);
    let outcome = knox.authenticate(&request).await;
    let verification = knox.remember(&request, &outcome);
    parts.extensions.insert(verification);
    outcome
}

/// The ready routes and that of the public keys: the answer, or the request back if it is for another route.
///
/// # Errors
///
/// The request, if its path is none of the ready routes.
pub async fn ready_routes(
    knox: &KnoxHttp,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Request<Incoming>> {
    let mut endpoints = knox.endpoints().chain([Endpoint::Jwks]);
    let Some(endpoint) = endpoints.find(|endpoint| matches(*endpoint, request.uri().path())) else {
        return Err(request);
    };
    let (parts, body) = request.into_parts();
    let mut request = translate_request(&parts);
    let bytes;
    if knox.needs_body(endpoint, &request) {
        let body = Limited::new(body, KnoxRequest::MAX_BODY_BYTES).collect();
        bytes = timeout(KnoxRequest::BODY_TIMEOUT, async { body.await.map(|body| body.to_bytes()) }).await;
        request = request.with_body(match &bytes {
            Ok(Ok(bytes)) => Body::Complete(bytes),
            Ok(Err(_)) => Body::TooLarge,
            Err(_) => Body::TooSlow,
        });
    }
    Ok(translate_response(knox.respond(endpoint, &request).await))
}

/// Whether `path` is that of `endpoint`. A router does this; plain hyper has none.
fn matches(endpoint: Endpoint, path: &str) -> bool {
    match endpoint.path().strip_suffix("{id}") {
        None => path == endpoint.path(),
        Some(start) => path.strip_prefix(start).is_some_and(|id| !id.is_empty() && !id.contains('/')),
    }
}
