//! Roles that live in the application's users table.
//!
//! `cargo run --example roles`, then follow what it prints.
//!
//! [`Users`] is the table. As a `SubjectCheck` it reads the user once per request and hands it on to the handlers.
//! [`RoleAuth`] is the extractor that lets only users with a role through. A role that is taken away is gone at the
//! next request, and nobody is logged out. A user who is set inactive gets a 401.
//!
//! **Roles and scopes.** A role says what a user may do, as of now; it is in the users table and in no token. A scope
//! says what a token may do. It is granted at the login, is in the token and its record, and stays as it is for the
//! whole session. It confines a token that was made for a purpose, such as a job, and gives its user nothing. Here both
//! have to agree: a token with scopes opens what needs a role only if the role is one of its scopes, and only while its
//! user has the role. A token without scopes is its owner's, and may do whatever the owner's roles allow.

mod role_auth;
mod users;

pub use role_auth::{Admin, Editor, RequiredRole, RoleAuth};
pub use users::{Role, User, Users};

use std::error::Error;

use axum::{
    Json, Router,
    extract::{FromRef, Path, State},
    http::StatusCode,
    routing::{delete, get, post, put},
};
use jwt_knox_axum::{KnoxAuth, KnoxHttp, jwt_knox::KnoxBuilder, routes};

#[derive(Clone, FromRef)]
struct AppState {
    knox: KnoxHttp,
    users: Users,
}

/// The handle for the routes and guards. The users log in, and are asked about on each request.
///
/// # Errors
///
/// If a setting is wrong.
pub fn connect(builder: KnoxBuilder, users: Users) -> Result<KnoxHttp, Box<dyn Error>> {
    let knox = builder.subject_check(users.clone()).build()?;
    Ok(KnoxHttp::builder(knox).login(users).build()?)
}

/// The routes of the application.
pub fn app(knox: KnoxHttp, users: Users) -> Router {
    Router::new()
        .route("/me", get(me))
        .route("/articles", post(publish))
        .route("/users/{name}", delete(deactivate))
        .route("/users/{name}/roles/{role}", put(grant_role).delete(take_role))
        .merge(routes(knox.clone()))
        .with_state(AppState { knox, users })
}

/// Any user. What the `SubjectCheck` has read is here without another query.
async fn me(auth: KnoxAuth) -> Json<Option<User>> {
    Json(auth.user::<User>().cloned())
}

async fn publish(editor: RoleAuth<Editor>, title: String) -> (StatusCode, String) {
    (StatusCode::CREATED, format!("{} has published {title:?}", editor.name))
}

async fn grant_role(_: RoleAuth<Admin>, Path((name, role)): Path<(String, Role)>, users: State<Users>) -> StatusCode {
    found(users.update(&name, |user| _ = user.roles.insert(role)))
}

async fn take_role(_: RoleAuth<Admin>, Path((name, role)): Path<(String, Role)>, users: State<Users>) -> StatusCode {
    found(users.update(&name, |user| _ = user.roles.remove(&role)))
}

/// The sessions of the user stay in the store, and are good again if the user is set active again. To end them for
/// good, call `knox.revoke_all` after the update.
async fn deactivate(_: RoleAuth<Admin>, Path(name): Path<String>, users: State<Users>) -> StatusCode {
    found(users.update(&name, |user| user.is_active = false))
}

fn found(is_found: bool) -> StatusCode {
    if is_found { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}
