//! A server with users in a database, revocable sessions and one route of its own.
//!
//! `cargo run --example rocket`, then follow what it prints.
//!
//! [`app`] and [`connect`] are what jwt-knox needs. An application has the rest already, or does it its own way.
//! See in [`users`] how a users table becomes a `Login` and a `SubjectCheck`.

pub mod database;
pub mod passwords;
pub mod settings;
pub mod store;
pub mod users;

use std::{error::Error, fmt, io::Cursor};

use jwt_knox_rocket::{Cookies, KnoxAuth, KnoxHttp, fairing, jwks_route, jwt_knox::Knox, routes};
use rocket::{
    Build, Config, Data, Request, Response, Rocket, Route, State, get,
    http::Method,
    response::content::RawJson,
    route::{Handler, Outcome},
};
use serde_json::json;

use crate::{passwords::passwords, settings::Settings, users::Users};

/// Who sends the request? Without a valid token this does not run, and the client gets a 401.
#[get("/me")]
fn me(auth: KnoxAuth) -> RawJson<String> {
    RawJson(json!({"subject": auth.subject().as_str(), "session_id": auth.session_id().as_str()}).to_string())
}

/// What the routes are and what they answer, for generators of clients. An application merges this into its own
/// document.
struct Document(String);

#[get("/openapi.json")]
fn openapi(document: &State<Document>) -> RawJson<&str> {
    RawJson(&document.0)
}

/// A file of the page for browsers.
#[derive(Clone)]
struct File(example_page::File);

#[rocket::async_trait]
impl Handler for File {
    async fn handle<'r>(&self, _: &'r Request<'_>, _: Data<'r>) -> Outcome<'r> {
        let (_, content_type, text) = self.0;
        let mut response = Response::build();
        response.raw_header("content-type", content_type).sized_body(text.len(), Cursor::new(text));
        example_page::HEADERS.into_iter().for_each(|(name, value)| {
            response.raw_header(name, value);
        });
        Outcome::Success(response.finalize())
    }
}

/// The routes of the application.
///
/// # Errors
///
/// [`Failure`] if the document of the routes does not serialize.
pub fn app(config: Config, knox: KnoxHttp) -> Result<Rocket<Build>, Failure> {
    let document = knox.openapi().merge_from(knox.jwks_openapi()).to_json()?;
    let pages = example_page::files(&knox).iter().map(|&file| Route::new(Method::Get, file.0, File(file)));
    Ok(rocket::custom(config)
        .manage(Document(document))
        .mount("/", pages.collect::<Vec<_>>())
        // The handle for the guards, and catchers that answer for them.
        .attach(fairing(knox.clone()))
        .mount("/", rocket::routes![me, openapi])
        // /get_token, /verify, /logout, /logout_other, /logout_all, /rotate, /sessions
        .mount("/", routes(knox.clone()))
        // /.well-known/jwks.json: an empty list, since this server signs with HMAC
        .mount("/", jwks_route(knox)))
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
