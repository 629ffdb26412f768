//! A complete adapter, for plain hyper: what `docs/writing-an-adapter.md` explains.

use std::{panic::resume_unwind, sync::Arc};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{HeaderName, HeaderValue},
    http::{request::Parts, uri::Authority},
};
use jwt_knox_http::{AuthSlot, Body, Endpoint, Handle, HttpRejection, KnoxHttp, Request as KnoxRequest, Requirement};
use tokio::time::timeout;

/// A request in the words of the contract.
pub fn translate_request<'a>(handle: &impl Handle, parts: &'a Parts, slot: &'a AuthSlot) -> KnoxRequest<'a> {
    handle
        .request(parts.method.as_str(), parts.uri.path(), |name| {
            parts.headers.get_all(name).iter().map(HeaderValue::as_bytes)
        })
        .with_query(parts.uri.query())
        .with_authority(parts.uri.authority().map(Authority::as_str))
        .with_slot(slot)
}

/// All headers, for a login and the routes that need them.
pub fn headers(parts: &Parts) -> impl Iterator<Item = (&str, &[u8])> {
    parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

/// A response of the contract in hyper's words: as it is.
#[must_use]
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

/// The guard: who sends the request, decided once for each request. A `KnoxHttp` gives an `Authenticated`; a
/// `VerifierHttp`, which has no store and may not see revocation, gives a `StatelessToken`.
///
/// # Errors
///
/// [`HttpRejection`], whose response is the one to send.
pub async fn authenticate<H: Handle>(parts: &mut Parts, handle: &H) -> Result<H::Auth, HttpRejection> {
    let slot = slot(parts);
    Requirement::new(handle.clone()).authenticate(&translate_request(handle, parts, &slot)).await
}

/// The place in the request where it is kept who sends it.
fn slot(parts: &mut Parts) -> Arc<AuthSlot> {
    Arc::clone(parts.extensions.get_or_insert_default::<Arc<AuthSlot>>())
}

/// The built-in routes and that of the public keys: the answer, or the request back if it is for another route.
///
/// # Errors
///
/// The request, if its path is none of the built-in routes.
pub async fn built_in_routes(
    knox: &KnoxHttp,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Request<Incoming>> {
    let mut endpoints = knox.endpoints().chain([Endpoint::Jwks]);
    let Some(endpoint) = endpoints.find(|endpoint| matches(knox.path(*endpoint), request.uri().path())) else {
        return Err(request);
    };
    let (mut parts, body) = request.into_parts();
    let slot = slot(&mut parts);
    let body = if knox.needs_body(endpoint, &translate_request(knox, &parts, &slot)) {
        let body = Limited::new(body, KnoxRequest::MAX_BODY_BYTES).collect();
        Some(timeout(KnoxRequest::BODY_TIMEOUT, async { body.await.map(|body| body.to_bytes()) }).await)
    } else {
        None
    };
    let knox = knox.clone();
    let answer = async move {
        let mut request = translate_request(&knox, &parts, &slot);
        if knox.needs_headers(endpoint) {
            request = request.with_headers(headers(&parts));
        }
        if let Some(body) = &body {
            request = request.with_body(match body {
                Ok(Ok(bytes)) => Body::Complete(bytes),
                Ok(Err(_)) => Body::TooLarge,
                Err(_) => Body::TooSlow,
            });
        }
        knox.respond(endpoint, &request).await
    };
    // In a task, since a client that goes away must not stop it half way.
    match tokio::spawn(answer).await {
        Ok(response) => Ok(translate_response(response)),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shutting down.
            Err(_) => {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                Ok(response)
            }
        },
    }
}

/// Whether `path` is that of a route. A router does this; plain hyper has none.
fn matches(route: &str, path: &str) -> bool {
    match route.strip_suffix("{id}") {
        None => path == route,
        Some(start) => path.strip_prefix(start).is_some_and(|id| !id.is_empty() && !id.contains('/')),
    }
}
