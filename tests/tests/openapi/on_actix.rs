//! The document of an Actix Web application, as docs/http-api.md shows it.

use actix_web::web::{Data, Json, ServiceConfig, get, scope};
use jwt_knox_actix::{
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

pub fn configure(config: &mut ServiceConfig, knox: KnoxHttp) {
    // At the paths where the routes are mounted below.
    let document = Api::openapi().nest("/auth", knox.openapi()).merge_from(knox.jwks_openapi());
    let document = Data::new(document);
    config
        .app_data(Data::new(knox.clone()))
        .route("/me", get().to(me))
        .route("/openapi.json", get().to(move || std::future::ready(Json(document.clone()))))
        .service(scope("/auth").configure(routes(knox.clone())))
        .configure(jwks_route(knox));
}
