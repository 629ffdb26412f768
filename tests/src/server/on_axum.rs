//! The application on Axum.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue},
    routing::{get, post},
};
use jwt_knox_axum::{
    KnoxAuth, KnoxClaims, KnoxLogin, KnoxRejection, KnoxResponse, PassiveAuth, RecentAuth, RequireAuth, ScopedAuth,
    jwks_route, routes,
};

use super::{
    Admin, KnoxHttp, RECENT, Role, SocketAddr, greeting, maybe_greeting, own_check, own_login_of, own_session,
    project_scope,
};
use crate::serve;

async fn me(auth: KnoxAuth) -> String {
    greeting(&auth)
}

async fn maybe(auth: Option<KnoxAuth>) -> String {
    maybe_greeting(auth.as_deref())
}

async fn admin(auth: ScopedAuth<Admin>) -> String {
    greeting(&auth)
}

async fn thrice(first: KnoxAuth, second: Option<KnoxAuth>, third: ScopedAuth<Admin>) -> String {
    format!("{} {} {}", first.subject(), maybe_greeting(second.as_deref()), third.subject())
}

async fn role(KnoxClaims(Role { role }): KnoxClaims<Role>) -> String {
    role
}

async fn recent(auth: RecentAuth<300>) -> String {
    greeting(&auth)
}

async fn poll(auth: PassiveAuth) -> String {
    greeting(&auth)
}

async fn project(State(knox): State<KnoxHttp>, auth: KnoxAuth) -> Result<String, KnoxRejection> {
    knox.require_scope(&auth, &project_scope())?;
    Ok(greeting(&auth))
}

async fn again(State(knox): State<KnoxHttp>, auth: KnoxAuth) -> Result<String, KnoxRejection> {
    Ok(knox.issue(auth.subject().clone()).await?.session.id.to_string())
}

async fn leave(State(knox): State<KnoxHttp>, auth: KnoxAuth) -> Result<String, KnoxRejection> {
    Ok(knox.revoke_all(auth.subject()).await?.to_string())
}

async fn own_login(login: KnoxLogin, headers: HeaderMap) -> Result<KnoxResponse, KnoxRejection> {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    own_check(header("x-user")).map_err(|error| login.reject(error))?;
    let login = own_login_of(login.0, header("x-end"), header("x-next"));
    KnoxLogin(login).log_in(own_session(header("x-user"))?).await
}

pub(super) fn start(knox: KnoxHttp) -> SocketAddr {
    let hello = || Router::new().route("/hello", get(|| async { "hello" }));
    let app = Router::new()
        .route("/me", get(me))
        .route("/change", post(me))
        .route("/maybe", get(maybe))
        .route("/admin", get(admin))
        .route("/thrice", get(thrice))
        .route("/role", get(role))
        .route("/project", get(project))
        .route("/again", get(again))
        .route("/leave", get(leave))
        .route("/own_login", get(own_login).post(own_login))
        .route("/recent", get(recent))
        .route("/poll", get(poll))
        .nest("/guarded_recent", hello().layer(RequireAuth::new(knox.clone()).recent(RECENT)))
        .route("/guarded_poll/hello", get(me).layer(RequireAuth::new(knox.clone()).passive()))
        .nest("/guarded", hello().layer(RequireAuth::new(knox.clone())))
        .nest("/guarded_admin", hello().layer(RequireAuth::new(knox.clone()).scope("admin").unwrap()))
        .route("/guarded_me", get(me).layer(RequireAuth::new(knox.clone())))
        .merge(routes(knox.clone()))
        .merge(jwks_route(knox.clone()))
        .with_state(knox);
    serve::axum(app)
}
