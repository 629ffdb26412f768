//! Rocket's requests and responses in the words of the contract, and back.

use std::{
    io::Cursor,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jwt_knox_http::{AuthSlot, Handle, HttpRejection, KnoxHttp, Request as KnoxRequest, Requirement, VerifierHttp};
use rocket::{
    Ignite, Request, Response, Rocket,
    http::{Header, Status},
};

pub(crate) fn request<'a>(handle: &impl Handle, request: &'a Request<'_>) -> KnoxRequest<'a> {
    handle
        .request(request.method().as_str(), request.uri().path().raw().as_str(), |name| {
            request.headers().get(name).map(str::as_bytes)
        })
        .with_query(request.uri().query().map(|query| query.as_str()))
        .with_authority(authority(request))
        .with_slot(request.local_cache(AuthSlot::default))
}

/// All headers, for a login and the routes that need them.
pub(crate) fn headers<'a>(headers: &'a [Header<'_>]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    headers.iter().map(|header| (header.name().as_str(), header.value().as_bytes()))
}

/// The host and port in HTTP/2, where there is no `Host` header.
fn authority<'a>(request: &'a Request<'_>) -> Option<&'a str> {
    struct Authority(String);

    let host = request.host().filter(|_| !request.headers().contains("host"))?;
    Some(&request.local_cache(|| Authority(host.to_string())).0)
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
pub(crate) fn configured<H: Handle>(request: &Request<'_>) -> Result<H, HttpRejection> {
    request.rocket().state::<H>().cloned().ok_or_else(unconfigured::<H>)
}

fn unconfigured<H: Handle>() -> HttpRejection {
    let remedy = format!("call `.attach(jwt_knox_rocket::fairing(…))` on the Rocket, with a `{}`", H::NAME);
    HttpRejection::unconfigured(&remedy)
}

/// Whether `rocket` must not start: a guard without a handle would reject every request.
pub(crate) fn is_unconfigured<H: Handle>(rocket: &Rocket<Ignite>) -> bool {
    let is_unconfigured = rocket.state::<H>().is_none();
    if is_unconfigured {
        let name = H::NAME;
        rocket::error!("jwt-knox: no {name} is managed. Call `.attach(jwt_knox_rocket::fairing(…))` with one.");
    }
    is_unconfigured
}

/// What the handle that the application manages answers for a status of which no reason is known.
pub(crate) fn for_status(request: &Request<'_>, status: Status) -> HttpRejection {
    let rocket = request.rocket();
    match (rocket.state::<KnoxHttp>(), rocket.state::<VerifierHttp>()) {
        (Some(knox), _) => knox.for_status(status.code),
        (None, Some(verifier)) => verifier.for_status(status.code),
        (None, None) => unconfigured::<KnoxHttp>(),
    }
}

/// Who sends the request, decided once for each request, if they have what is asked for.
pub(crate) async fn authenticate<H: Handle>(
    rocket: &Request<'_>,
    requirement: &Requirement<H>,
) -> Result<H::Auth, HttpRejection> {
    // By itself, so that the future does not hold the request.
    let authenticating = requirement.authenticate(&request(requirement.handle(), rocket));
    authenticating.await
}

/// Why guards rejected the request: a catcher cannot see a guard's error, so it is left here for it.
#[derive(Default)]
struct Stash(Mutex<Rejections>);

#[derive(Default)]
struct Rejections {
    last: Option<HttpRejection>,
    /// One that nobody may take for a request without a credential.
    grave: Option<HttpRejection>,
}

pub(crate) fn stash(request: &Request<'_>, rejection: &HttpRejection) {
    let mut rejections = rejections(request);
    rejections.last = Some(rejection.clone());
    if rejection.forbids_anonymous() {
        rejections.grave = Some(rejection.clone());
    }
}

/// The rejection that a guard has left, if nobody may take it for a request without a credential.
pub(crate) fn swallowed(request: &Request<'_>) -> Option<HttpRejection> {
    rejections(request).grave.clone()
}

/// The rejection that a guard has left for a catcher of `status`.
pub(crate) fn stashed(request: &Request<'_>, status: Status) -> Option<HttpRejection> {
    rejections(request).last.clone().filter(|rejection| rejection.status() == status.code)
}

fn rejections<'a>(request: &'a Request<'_>) -> MutexGuard<'a, Rejections> {
    request.local_cache(Stash::default).0.lock().unwrap_or_else(PoisonError::into_inner)
}
