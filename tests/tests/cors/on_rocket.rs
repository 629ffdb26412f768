//! CORS on Rocket, as docs/browsers.md shows it.

use jwt_knox_rocket::{KnoxHttp, fairing, routes};
use rocket::{
    Build, Request, Response, Rocket, async_trait,
    fairing::{Fairing, Info, Kind},
    http::{Method, Status},
};

const ORIGINS: [&str; 1] = ["https://app.example.com"];

struct Cors;

#[async_trait]
impl Fairing for Cors {
    fn info(&self) -> Info {
        Info { name: "CORS", kind: Kind::Response }
    }

    /// Rocket calls this for the answers of guards and catchers too.
    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let headers = request.headers();
        let is_preflight = request.method() == Method::Options && headers.contains("access-control-request-method");
        if is_preflight {
            // In place of the 401 or 404 that the routes have for it.
            *response = Response::build().status(Status::NoContent).finalize();
        }
        // A cache must not give one origin what was meant for another.
        response.adjoin_raw_header("vary", "origin");
        let Some(origin) = ORIGINS.into_iter().find(|origin| headers.get_one("origin") == Some(*origin)) else {
            return;
        };
        response.set_raw_header("access-control-allow-origin", origin);
        // For the cookie. Leave it out if pages send the token in the header.
        response.set_raw_header("access-control-allow-credentials", "true");
        if is_preflight {
            response.set_raw_header("access-control-allow-methods", "GET, POST, PATCH, DELETE");
            response.set_raw_header("access-control-allow-headers", "authorization, content-type");
            response.set_raw_header("access-control-max-age", "3600");
        } else {
            response.set_raw_header("access-control-expose-headers", "www-authenticate, retry-after");
        }
    }
}

/// `api` has your own routes, with `RequireAuth::new(knox).protect(…)` where you want it.
pub fn app(api: Rocket<Build>, knox: KnoxHttp) -> Rocket<Build> {
    api.attach(fairing(knox.clone()))
        // After the fairing of the library, which may replace an answer.
        .attach(Cors)
        .mount("/", routes(knox))
}
