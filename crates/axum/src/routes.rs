//! The ready routes.

use axum::{Router, body::to_bytes, extract::Request, response::Response, routing::any};
use jwt_knox_http::{Body, Endpoint, KnoxHttp};
use tokio::time::timeout;

use crate::translate;

/// The ready routes: `/get_token`, `/verify`, `/logout`, `/logout_other`, `/logout_all`, `/rotate`, `/sessions` and
/// `/sessions/{id}`, and `/debug_verify` if it is switched on.
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
        let knox = knox.clone();
        router.route(endpoint.path(), any(move |request: Request| respond(knox, endpoint, request)))
    })
}

async fn respond(knox: KnoxHttp, endpoint: Endpoint, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut request = translate::request(&parts);
    let bytes;
    if knox.needs_body(endpoint, &request) {
        bytes =
            timeout(jwt_knox_http::Request::BODY_TIMEOUT, to_bytes(body, jwt_knox_http::Request::MAX_BODY_BYTES)).await;
        request = request.with_body(match &bytes {
            Ok(Ok(bytes)) => Body::Complete(bytes),
            Ok(Err(_)) => Body::TooLarge,
            Err(_) => Body::TooSlow,
        });
    }
    translate::response(knox.respond(endpoint, &request).await)
}
