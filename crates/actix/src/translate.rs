//! Actix Web's requests and responses in the words of the contract, and back.

use std::rc::Rc;

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{StatusCode, header::HeaderValue, uri::Authority},
    web::Data,
};
use jwt_knox_http::{AuthSlot, Handle, HttpRejection, Request, Requirement};
use serde::de::DeserializeOwned;

pub(crate) fn request<'a>(handle: &impl Handle, request: &'a HttpRequest, slot: &'a AuthSlot) -> Request<'a> {
    handle
        .request(request.method().as_str(), request.uri().path(), |name| {
            request.headers().get_all(name).map(HeaderValue::as_bytes)
        })
        .with_query(request.uri().query())
        .with_authority(request.uri().authority().map(Authority::as_str))
        .with_slot(slot)
}

/// All headers, for a login and the routes that need them.
pub(crate) fn headers(request: &HttpRequest) -> impl Iterator<Item = (&str, &[u8])> {
    request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

pub(crate) fn response(response: jwt_knox_http::Response) -> HttpResponse {
    let status = StatusCode::from_u16(response.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(status);
    for header in response.headers() {
        builder.append_header(header);
    }
    builder.body(response.into_body())
}

/// The handle that the application has put into its data.
pub(crate) fn configured<H: Handle>(request: &HttpRequest) -> Result<H, HttpRejection> {
    match request.app_data::<Data<H>>() {
        Some(handle) => Ok(H::clone(handle)),
        None => {
            let remedy = format!("call `.app_data(web::Data::new(…))` on the App, with a `{}`", H::NAME);
            Err(HttpRejection::unconfigured(&remedy))
        }
    }
}

/// The place in the request where it is kept who sends it.
pub(crate) fn slot(request: &HttpRequest) -> Rc<AuthSlot> {
    let mut extensions = request.extensions_mut();
    if let Some(slot) = extensions.get::<Rc<AuthSlot>>() {
        return Rc::clone(slot);
    }
    let slot = Rc::<AuthSlot>::default();
    extensions.insert(Rc::clone(&slot));
    slot
}

/// Who sends the request, decided once for each request, if they have what is asked for.
pub(crate) async fn authenticate<H: Handle>(
    http: &HttpRequest,
    requirement: &Requirement<H>,
) -> Result<H::Auth, HttpRejection> {
    let slot = slot(http);
    // By itself, so that the future does not hold the request.
    let authenticating = requirement.authenticate(&request(requirement.handle(), http, &slot));
    authenticating.await
}

/// The same, where a request may have no credential.
pub(crate) async fn authenticate_optional<H: Handle>(
    http: &HttpRequest,
    requirement: &Requirement<H>,
) -> Result<Option<H::Auth>, HttpRejection> {
    let slot = slot(http);
    let authenticating = requirement.authenticate_optional(&request(requirement.handle(), http, &slot));
    authenticating.await
}

/// The claims of the token.
pub(crate) async fn claims<T: DeserializeOwned>(
    http: &HttpRequest,
    requirement: &Requirement<impl Handle>,
) -> Result<T, HttpRejection> {
    let slot = slot(http);
    requirement.claims(&request(requirement.handle(), http, &slot)).await
}
