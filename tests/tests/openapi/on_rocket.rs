//! The document of a Rocket application, as docs/http-api.md shows it.

use jwt_knox_rocket::{
    KnoxAuth, KnoxHttp, fairing,
    http::utoipa::{self, OpenApi},
    jwks_route, routes,
};
use rocket::{Build, Rocket, State, get, response::content::RawJson};

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
#[get("/me")]
fn me(auth: KnoxAuth) -> String {
    auth.subject().to_string()
}

#[derive(OpenApi)]
#[openapi(info(title = "Orders", version = "1.0.0"), paths(me))]
struct Api;

struct Document(String);

#[get("/openapi.json")]
fn document(document: &State<Document>) -> RawJson<&str> {
    RawJson(&document.0)
}

/// # Errors
///
/// If the document does not serialize.
pub fn app(rocket: Rocket<Build>, knox: KnoxHttp) -> Result<Rocket<Build>, serde_json::Error> {
    // At the paths where the routes are mounted below.
    let api = Api::openapi().nest("/auth", knox.openapi()).merge_from(knox.jwks_openapi());
    Ok(rocket
        .attach(fairing(knox.clone()))
        .manage(Document(api.to_json()?))
        .mount("/", rocket::routes![me, document])
        .mount("/auth", routes(knox.clone()))
        .mount("/", jwks_route(knox)))
}
