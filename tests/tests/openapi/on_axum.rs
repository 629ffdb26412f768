//! The document of an Axum application, as docs/http-api.md shows it.

use axum::{Json, Router, routing::get};
use jwt_knox_axum::{
    KnoxAuth, KnoxHttp,
    http::utoipa::{self, OpenApi},
    jwks_route, routes,
};

/// Who sends the request
#[utoipa::path(
    get,
    path = "/me",
    security(("knoxToken" = [])),
    responses(
        (status = 200, description = "The user's id.", body = String, content_type = "text/plain"),
        (
            status = 401,
            description = "No token, or one that is not valid.",
            content_type = "application/problem+json",
            body = ref("#/components/schemas/KnoxProblem"),
        ),
    ),
)]
async fn me(auth: KnoxAuth) -> String {
    auth.subject().to_string()
}

#[derive(OpenApi)]
#[openapi(info(title = "Orders", version = "1.0.0"), paths(me))]
struct Api;

pub fn app(knox: KnoxHttp) -> Router {
    // At the paths where the routes are mounted below.
    let document = Api::openapi().nest("/auth", knox.openapi()).merge_from(knox.jwks_openapi());
    Router::new()
        .route("/me", get(me))
        .route("/openapi.json", get(|| async { Json(document) }))
        .nest("/auth", routes(knox.clone()))
        .merge(jwks_route(knox.clone()))
        .with_state(knox)
}
