//! The built-in routes.

use axum::{
    Router,
    body::to_bytes,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::any,
};
use jwt_knox_http::{Body, Endpoint, KnoxHttp, Request as KnoxRequest};
use tokio::time::timeout;

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
/// use axum::Router;
/// use jwt_knox_axum::{KnoxHttp, routes};
///
/// fn app(knox: KnoxHttp) -> Router {
///     Router::new().nest("/auth", routes(knox))
/// }
/// ```
pub fn routes<S>(knox: KnoxHttp) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    mount(&knox, knox.endpoints())
}

/// The route `/.well-known/jwks.json`: the public keys, for services that verify tokens themselves. It needs no token,
/// and belongs at the root of the site.
///
/// # Examples
///
/// ```
/// use axum::Router;
/// use jwt_knox_axum::{KnoxHttp, jwks_route, routes};
///
/// fn app(knox: KnoxHttp) -> Router {
///     Router::new().nest("/auth", routes(knox.clone())).merge(jwks_route(knox))
/// }
/// ```
pub fn jwks_route<S>(knox: KnoxHttp) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    mount(&knox, [Endpoint::Jwks])
}

fn mount<S>(knox: &KnoxHttp, endpoints: impl IntoIterator<Item = Endpoint>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    endpoints.into_iter().fold(Router::new(), |router, endpoint| {
        let (knox, path) = (knox.clone(), knox.path(endpoint));
        router.route(path, any(move |request: Request| respond(knox, endpoint, request)))
    })
}

async fn respond(knox: KnoxHttp, endpoint: Endpoint, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = if knox.needs_body(endpoint, &translate::request(&knox, &mut parts)) {
        Some(timeout(KnoxRequest::BODY_TIMEOUT, to_bytes(body, KnoxRequest::MAX_BODY_BYTES)).await)
    } else {
        None
    };
    let answer = async move {
        let mut request = if knox.needs_headers(endpoint) {
            translate::request_with_headers(&knox, &mut parts)
        } else {
            translate::request(&knox, &mut parts)
        };
        if let Some(body) = &body {
            request = request.with_body(match body {
                Ok(Ok(bytes)) => Body::Complete(bytes),
                Ok(Err(_)) => Body::TooLarge,
                Err(_) => Body::TooSlow,
            });
        }
        knox.respond(endpoint, &request).await
    };
    match to_its_end(answer).await {
        Some(response) => translate::response(response),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
