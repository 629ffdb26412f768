//! Actix Web's requests and responses in the words of the contract, and back.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{StatusCode, header::HeaderValue, uri::Authority},
    web::Data,
};
use jwt_knox::Authenticated;
use jwt_knox_http::{AuthSlot, HttpRejection, KnoxHttp, Request, Requirement};

pub(crate) fn request<'a>(knox: &KnoxHttp, request: &'a HttpRequest, slot: &'a AuthSlot) -> Request<'a> {
    knox.request(request.method().as_str(), request.uri().path(), |name| {
        request.headers().get_all(name).map(HeaderValue::as_bytes)
    })
    .with_authority(request.uri().authority().map(Authority::as_str))
    .with_slot(slot)
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
pub(crate) fn configured(request: &HttpRequest) -> Result<KnoxHttp, HttpRejection> {
    match request.app_data::<Data<KnoxHttp>>() {
        Some(knox) => Ok(KnoxHttp::clone(knox)),
        None => Err(HttpRejection::unconfigured("call `.app_data(web::Data::new(knox))` on the App")),
    }
}

/// The place in the request where it is kept who sends it.
pub(crate) fn slot(request: &HttpRequest) -> AuthSlot {
    let mut extensions = request.extensions_mut();
    if let Some(slot) = extensions.get::<AuthSlot>() {
        return slot.clone();
    }
    let slot = AuthSlot::default();
    extensions.insert(slot.clone());
    slot
}

/// Who sends the request, decided once for each request, if they have what is asked for.
pub(crate) async fn authenticate(
    http: &HttpRequest,
    requirement: &Requirement,
) -> Result<Authenticated, HttpRejection> {
    let slot = slot(http);
    requirement.authenticate(&request(requirement.knox(), http, &slot)).await
}
