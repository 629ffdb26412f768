//! Rocket's requests and responses in the words of the contract, and back.

use std::{
    io::Cursor,
    sync::{Mutex, PoisonError},
};

use jwt_knox::Authenticated;
use jwt_knox_http::{KnoxHttp, Refusal, Request as KnoxRequest, Verification};
use rocket::{Request, Response, http::Status, tokio::sync::OnceCell};

pub(crate) fn request<'a>(request: &'a Request<'_>, verification: Option<&'a Verification>) -> KnoxRequest<'a> {
    KnoxRequest::new(request.method().as_str(), request.uri().path().raw().as_str(), |name| {
        request.headers().get(name).map(str::as_bytes)
    })
    .with_verification(verification)
}

pub(crate) fn response(response: jwt_knox_http::Response) -> Response<'static> {
    let mut builder = Response::build();
    builder.status(Status::new(response.status()));
    for (name, value) in response.headers() {
        builder.raw_header_adjoin(name, value.to_owned());
    }
    let body = response.into_body();
    if !body.is_empty() {
        builder.sized_body(body.len(), Cursor::new(body));
    }
    builder.finalize()
}

/// The handle that the application manages.
pub(crate) fn configured(request: &Request<'_>) -> Result<KnoxHttp, Refusal> {
    match request.rocket().state::<KnoxHttp>() {
        Some(knox) => Ok(knox.clone()),
        None => Err(Refusal::unconfigured("call `.attach(jwt_knox_rocket::fairing(knox))` on the Rocket")),
    }
}

/// What was decided of a request. The cache of a request goes by type, and this one is ours alone.
#[derive(Default)]
struct Decided(OnceCell<Verification>);

/// The place in the request where that is kept.
pub(crate) fn decided<'r>(rocket: &'r Request<'_>) -> &'r OnceCell<Verification> {
    &rocket.local_cache(Decided::default).0
}

/// Who sends the request, decided once for each request.
pub(crate) async fn authenticate(rocket: &Request<'_>, knox: &KnoxHttp) -> Result<Authenticated, Refusal> {
    let decide = async || {
        let request = request(rocket, None);
        knox.remember(&request, &knox.authenticate(&request).await)
    };
    let verification = decided(rocket).get_or_init(decide).await;
    knox.authenticate(&request(rocket, Some(verification))).await
}

/// Why a guard let nobody in: a catcher cannot see a guard's error, so it is left here for it.
#[derive(Default)]
struct LastRefusal(Mutex<Option<Refusal>>);

pub(crate) fn stash(request: &Request<'_>, refusal: &Refusal) {
    let LastRefusal(last) = request.local_cache(LastRefusal::default);
    *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal.clone());
}

/// The refusal that a guard has left for a catcher of `status`.
pub(crate) fn stashed(request: &Request<'_>, status: Status) -> Option<Refusal> {
    let LastRefusal(last) = request.local_cache(LastRefusal::default);
    let last = last.lock().unwrap_or_else(PoisonError::into_inner);
    last.clone().filter(|refusal| refusal.status() == status.code)
}
