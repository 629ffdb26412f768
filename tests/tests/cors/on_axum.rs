//! CORS on Axum, as docs/browsers.md shows it.

use std::time::Duration;

use axum::{
    Router,
    http::{HeaderValue, Method, header},
};
use jwt_knox_axum::{KnoxHttp, routes};
use tower_http::cors::{AllowOrigin, CorsLayer};

fn cors() -> CorsLayer {
    CorsLayer::new()
        // A list, even of one: a single value would be sent to every origin.
        .allow_origin(AllowOrigin::list([HeaderValue::from_static("https://app.example.com")]))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        // For the cookie. Leave it out if pages send the token in the header.
        .allow_credentials(true)
        .max_age(Duration::from_secs(3600))
}

/// `api` is your own routes, with `route_layer(RequireAuth::new(knox))` where you want it.
pub fn app(api: Router<KnoxHttp>, knox: KnoxHttp) -> Router {
    api.merge(routes(knox.clone()))
        // The last layer, so that it is around all guards and built-in routes.
        .layer(cors())
        .with_state(knox)
}
