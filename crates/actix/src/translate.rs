//! Actix Web's requests and responses in the words of the contract, and back.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{StatusCode, header::HeaderValue},
    web::Data,
};
use jwt_knox::Authenticated;
use jwt_knox_http::{KnoxHttp, Refusal, Request, Verification};

pub(crate) fn request<'a>(request: &'a HttpRequest, verification: Option<&'a Verification>) -> Request<'a> {
    Request::new(request.method().as_str(), request.uri().path(), |name| {
        request.headers().get_all(name).map(HeaderValue::as_bytes)
    })
    .with_verification(verification)
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
pub(crate) fn configured(request: &HttpRequest) -> Result<KnoxHttp, Refusal> {
    match request.app_data::<Data<KnoxHttp>>() {
        Some(knox) => Ok(KnoxHttp::clone(knox)),
        None => Err(Refusal::unconfigured("call `.app_data(web::Data::new(knox))` on the App")),
    }
}

/// What an earlier guard decided of the request; cloned, since extensions must not stay borrowed while others run.
pub(crate) fn verification(http: &HttpRequest) -> Option<Verification> {
    http.extensions().get().cloned()
}

/// Who sends the request, decided once for each request.
pub(crate) async fn authenticate(http: &HttpRequest, knox: &KnoxHttp) -> Result<Authenticated, Refusal> {
    let verification = verification(http);
    let outcome = knox.authenticate(&request(http, verification.as_ref())).await;
    http.extensions_mut().insert(knox.remember(&outcome));
    outcome
}
