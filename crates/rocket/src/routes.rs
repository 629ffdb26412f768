//! The built-in routes.

use jwt_knox_http::{Body, Endpoint, KnoxHttp, Request as KnoxRequest};
use rocket::{
    Data, Request, Route,
    data::ToByteUnit,
    http::{Method, Status},
    route::{Handler, Outcome},
    tokio::time::timeout,
};

use crate::translate;

/// The built-in routes: `/get_token`, `/verify`, `/logout`, `/logout_other`, `/logout_all`, `/rotate`, `/sessions` and
/// `/sessions/<id>`, and `/debug_verify` and `/forward_auth` if they are switched on.
///
/// `/get_token` needs a [`Login`](jwt_knox_http::Login), and so does `/login`, which is there if
/// [cookies](jwt_knox_http::KnoxHttpBuilder::cookies) are on.
/// With [clients](jwt_knox_http::KnoxHttpBuilder::oauth_clients), there are `/introspect` and `/revoke` too.
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::{KnoxHttp, fairing, routes};
/// use rocket::{Build, Rocket};
///
/// fn app(knox: KnoxHttp) -> Rocket<Build> {
///     rocket::build().attach(fairing(knox.clone())).mount("/auth", routes(knox))
/// }
/// ```
#[must_use]
pub fn routes(knox: KnoxHttp) -> Vec<Route> {
    mount(&knox, knox.endpoints())
}

/// The route `/.well-known/jwks.json`: the public keys, for services that verify tokens themselves. It needs no token,
/// and belongs at the root of the site.
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::{KnoxHttp, fairing, jwks_route, routes};
/// use rocket::{Build, Rocket};
///
/// fn app(knox: KnoxHttp) -> Rocket<Build> {
///     rocket::build().attach(fairing(knox.clone())).mount("/auth", routes(knox.clone())).mount("/", jwks_route(knox))
/// }
/// ```
#[must_use]
pub fn jwks_route(knox: KnoxHttp) -> Vec<Route> {
    mount(&knox, [Endpoint::Jwks])
}

fn mount(knox: &KnoxHttp, endpoints: impl IntoIterator<Item = Endpoint>) -> Vec<Route> {
    let route = |endpoint: Endpoint, method| {
        let path = knox.path(endpoint).replace('{', "<").replace('}', ">");
        Route::new(method, &path, BuiltIn { knox: knox.clone(), endpoint })
    };
    endpoints.into_iter().flat_map(|endpoint| METHODS.map(|method| route(endpoint, method))).collect()
}

/// All methods that Rocket knows. Which of them are answered is not decided here.
const METHODS: [Method; 9] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Patch,
    Method::Delete,
    Method::Options,
    Method::Trace,
    Method::Connect,
];

#[derive(Clone)]
struct BuiltIn {
    knox: KnoxHttp,
    endpoint: Endpoint,
}

#[rocket::async_trait]
impl Handler for BuiltIn {
    async fn handle<'r>(&self, rocket: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        // Rocket takes `/verify/` and `//verify` for `/verify`; the contract does not.
        let path = rocket.uri().path();
        if path.ends_with('/') || path.raw().contains("//") {
            return Outcome::forward(data, Status::NotFound);
        }
        let headers: Vec<_>;
        let mut request = translate::request(&self.knox, rocket);
        if self.knox.needs_headers(self.endpoint) {
            headers = rocket.headers().iter().collect();
            request = request.with_headers(translate::headers(&headers));
        }
        let bytes;
        if self.knox.needs_body(self.endpoint, &request) {
            let body = data.open(KnoxRequest::MAX_BODY_BYTES.bytes()).into_bytes();
            bytes = timeout(KnoxRequest::BODY_TIMEOUT, body).await;
            request = request.with_body(match &bytes {
                Ok(Ok(bytes)) if bytes.is_complete() => Body::Complete(bytes),
                Ok(_) => Body::TooLarge,
                Err(_) => Body::TooSlow,
            });
        }
        Outcome::Success(translate::response(self.knox.respond(self.endpoint, &request).await))
    }
}
