//! Actix Web's requests and responses in the words of the contract, and back.

use std::rc::Rc;

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{StatusCode, header::HeaderValue},
    web::Data,
};
use jwt_knox::Authenticated;
use jwt_knox_http::{KnoxHttp, Refusal, Request, Verification};
use tokio::sync::OnceCell;

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

/// What was decided of a request. Actix Web runs the extractors of a handler at the same time, so the first one decides
/// and the others wait for it.
pub(crate) type Decided = Rc<OnceCell<Verification>>;

/// The place in the request where that is kept.
pub(crate) fn decided(http: &HttpRequest) -> Decided {
    let mut extensions = http.extensions_mut();
    if let Some(decided) = extensions.get::<Decided>() {
        return Rc::clone(decided);
    }
    let decided = Decided::default();
    extensions.insert(Rc::clone(&decided));
    decided
}

/// Who sends the request, decided once for each request.
pub(crate) async fn authenticate(http: &HttpRequest, knox: &KnoxHttp) -> Result<Authenticated, Refusal> {
    let decided = decided(http);
    let decide = async || {
        let request = request(http, None);
        knox.remember(&request, &knox.authenticate(&request).await)
    };
    let verification = decided.get_or_init(decide).await;
    knox.authenticate(&request(http, Some(verification))).await
}
