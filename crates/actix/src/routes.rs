//! The built-in routes.

use actix_web::{
    HttpRequest, HttpResponse,
    rt::time::timeout,
    web::{self, ServiceConfig},
};
use jwt_knox_http::{Body, Endpoint, KnoxHttp, Request};

use crate::{task::to_its_end, translate};

/// The built-in routes: `/get_token`, `/verify`, `/logout`, `/logout_other`, `/logout_all`, `/rotate`, `/sessions` and
/// `/sessions/{id}`, and `/debug_verify` and `/forward_auth` if they are switched on.
///
/// `/get_token` needs a [`Login`](jwt_knox_http::Login), and so does `/login`, which is there if
/// [cookies](jwt_knox_http::KnoxHttpBuilder::cookies) are on.
/// With [clients](jwt_knox_http::KnoxHttpBuilder::oauth_clients), there are `/introspect` and `/revoke` too.
///
/// # Examples
///
/// ```
/// use actix_web::{App, web};
/// use jwt_knox_actix::{KnoxHttp, routes};
///
/// fn configure(config: &mut web::ServiceConfig, knox: KnoxHttp) {
///     config
///         .app_data(web::Data::new(knox.clone()))
///         .service(web::scope("/auth").configure(routes(knox)));
/// }
/// ```
pub fn routes(knox: KnoxHttp) -> impl FnOnce(&mut ServiceConfig) {
    move |config| mount(config, &knox, knox.endpoints())
}

/// The route `/.well-known/jwks.json`: the public keys, for services that verify tokens themselves. It needs no token,
/// and belongs at the root of the site.
///
/// # Examples
///
/// ```
/// use actix_web::web;
/// use jwt_knox_actix::{KnoxHttp, jwks_route, routes};
///
/// fn configure(config: &mut web::ServiceConfig, knox: KnoxHttp) {
///     config.configure(jwks_route(knox.clone())).service(web::scope("/auth").configure(routes(knox)));
/// }
/// ```
pub fn jwks_route(knox: KnoxHttp) -> impl FnOnce(&mut ServiceConfig) {
    move |config| mount(config, &knox, [Endpoint::Jwks])
}

fn mount(config: &mut ServiceConfig, knox: &KnoxHttp, endpoints: impl IntoIterator<Item = Endpoint>) {
    for endpoint in endpoints {
        let (knox, path) = (knox.clone(), knox.path(endpoint));
        let handler = move |request, payload| respond(knox.clone(), endpoint, request, payload);
        config.service(web::resource(path).to(handler));
    }
}

async fn respond(knox: KnoxHttp, endpoint: Endpoint, http: HttpRequest, payload: web::Payload) -> HttpResponse {
    let slot = translate::slot(&http);
    let body = if knox.needs_body(endpoint, &translate::request(&knox, &http, &slot)) {
        Some(timeout(Request::BODY_TIMEOUT, payload.to_bytes_limited(Request::MAX_BODY_BYTES)).await)
    } else {
        None
    };
    let answer = async move {
        let mut request = translate::request(&knox, &http, &slot);
        if knox.needs_headers(endpoint) {
            request = request.with_headers(translate::headers(&http));
        }
        if let Some(body) = &body {
            request = request.with_body(match body {
                Ok(Ok(Ok(bytes))) => Body::Complete(bytes),
                Ok(_) => Body::TooLarge,
                Err(_) => Body::TooSlow,
            });
        }
        knox.respond(endpoint, &request).await
    };
    match to_its_end(answer).await {
        Some(response) => translate::response(response),
        None => HttpResponse::ServiceUnavailable().finish(),
    }
}
