//! A server with users in a database, revocable sessions and one route of its own.
//!
//! `cargo run --example axum`, then follow what it prints.
//!
//! [`app`] and [`connect`] are what jwt-knox needs. An application has the rest already, or does it its own way.
//! See in [`users`] how a users table becomes a `Login` and a `SubjectCheck`.

pub mod database;
pub mod passwords;
pub mod settings;
pub mod store;
pub mod users;

use std::{error::Error, fmt};

use axum::{Json, Router, extract::FromRef, http::header::CONTENT_TYPE, response::AppendHeaders, routing::get};
use jwt_knox_axum::{Cookies, KnoxAuth, KnoxHttp, jwks_route, jwt_knox::Knox, routes};
use serde_json::{Value, json};

use crate::{passwords::passwords, settings::Settings, users::Users};

/// The state of the application. It may hold anything, as long as it gives a `KnoxHttp`.
#[derive(Clone, FromRef)]
struct AppState {
    knox: KnoxHttp,
}

/// Who sends the request? Without a valid token this does not run, and the client gets a 401.
async fn me(auth: KnoxAuth) -> Json<Value> {
    Json(json!({"subject": auth.subject().as_str(), "session_id": auth.session_id().as_str()}))
}

/// The page for browsers, if they can log in.
fn pages(knox: &KnoxHttp) -> Router<AppState> {
    example_page::files(knox).iter().fold(Router::new(), |router, &(path, content_type, text)| {
        let headers = AppendHeaders(example_page::HEADERS);
        router.route(path, get(move || async move { ([(CONTENT_TYPE, content_type)], headers, text) }))
    })
}

/// The routes of the application.
pub fn app(knox: KnoxHttp) -> Router {
    // What the routes are and what they answer, for generators of clients. An application merges this into its own.
    let document = knox.openapi().merge_from(knox.jwks_openapi());
    Router::new()
        .merge(pages(&knox))
        .route("/me", get(me))
        .route("/openapi.json", get(|| async { Json(document) }))
        // /get_token, /verify, /logout, /logout_other, /logout_all, /rotate, /sessions
        .merge(routes(knox.clone()))
        // /.well-known/jwks.json: an empty list, since this server signs with HMAC
        .merge(jwks_route(knox.clone()))
        .with_state(AppState { knox })
}

/// Opens the database, with its tables and users, and makes the handle for the routes and guards.
///
/// # Errors
///
/// [`Failure`] if the database cannot be used.
pub async fn connect(settings: Settings) -> Result<KnoxHttp, Failure> {
    let connection = database::open(&settings.database_url).await?;
    let users = Users::new(connection.clone(), passwords()?);

    let (store, feed) = store::open(settings.store_url.as_deref(), connection, settings.feed).await?;
    let mut builder = Knox::builder(settings.key)
        .store(store)
        .cache(settings.cache)
        .subject_check(users.clone())
        .lifetime(settings.lifetime)
        .rotation_grace(settings.rotation_grace);
    if let Some(limit) = settings.limit {
        builder = builder.limit(limit);
    }
    let knox = builder.build()?;
    if let Some(feed) = feed {
        tokio::spawn(knox.follow(feed));
    }
    let mut builder = KnoxHttp::builder(knox).login(users).debug_verify(settings.debug_verify);
    if settings.cookies {
        builder = builder.cookies(Cookies::new());
    }
    Ok(builder.build()?)
}

/// Why the server does not start. `main` prints the `Debug` of it, so that is for people.
pub struct Failure(String);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
