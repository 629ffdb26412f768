//! The application on Rocket.

use jwt_knox_rocket::{
    KnoxAuth, KnoxClaims, KnoxLogin, KnoxRejection, KnoxResponse, MaybeAuth, PassiveAuth, RecentAuth, RequireAuth,
    ScopedAuth, fairing, jwks_route, routes,
};
use rocket::{Request, State, get, post, request::FromRequest, request::Outcome};

use super::{
    Admin, KnoxHttp, RECENT, Role, SocketAddr, greeting, maybe_greeting, own_check, own_login_of, own_session,
    project_scope,
};
use crate::serve;

#[get("/me")]
fn me(auth: KnoxAuth) -> String {
    greeting(&auth)
}

#[post("/change")]
fn change(auth: KnoxAuth) -> String {
    greeting(&auth)
}

#[get("/maybe")]
fn maybe(auth: MaybeAuth) -> String {
    maybe_greeting(auth.0.as_ref())
}

#[get("/swallow")]
fn swallow(auth: Option<KnoxAuth>) -> String {
    maybe_greeting(auth.as_deref())
}

#[get("/admin")]
fn admin(auth: ScopedAuth<Admin>) -> String {
    greeting(&auth)
}

#[get("/thrice")]
fn thrice(first: KnoxAuth, second: MaybeAuth, third: ScopedAuth<Admin>) -> String {
    format!("{} {} {}", first.subject(), maybe_greeting(second.0.as_ref()), third.subject())
}

#[get("/recent")]
fn recent(auth: RecentAuth<300>) -> String {
    greeting(&auth)
}

#[get("/poll")]
fn poll(auth: PassiveAuth) -> String {
    greeting(&auth)
}

#[get("/hello")]
fn polled(auth: KnoxAuth) -> String {
    greeting(&auth)
}

#[get("/guarded_me")]
fn guarded_me(auth: KnoxAuth) -> String {
    greeting(&auth)
}

#[get("/hello")]
fn hello() -> &'static str {
    "hello"
}

#[get("/role")]
async fn role(claims: KnoxClaims<Role>) -> String {
    claims.0.role
}

#[get("/project")]
async fn project(knox: &State<KnoxHttp>, auth: KnoxAuth) -> Result<String, KnoxRejection> {
    knox.require_scope(&auth, &project_scope())?;
    Ok(greeting(&auth))
}

#[get("/again")]
async fn again(knox: &State<KnoxHttp>, auth: KnoxAuth) -> Result<String, KnoxRejection> {
    Ok(knox.issue(auth.subject().clone()).await?.session.id.to_string())
}

struct OwnLogin {
    user: Option<String>,
    end: Option<String>,
    next: Option<String>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for OwnLogin {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let header = |name| request.headers().get_one(name).map(str::to_owned);
        Outcome::Success(Self { user: header("x-user"), end: header("x-end"), next: header("x-next") })
    }
}

#[post("/own_login")]
async fn own_login(login: KnoxLogin, own: OwnLogin) -> Result<KnoxResponse, KnoxRejection> {
    own_check(own.user.as_deref()).map_err(|error| login.reject(error))?;
    let login = own_login_of(login.0, own.end.as_deref(), own.next.as_deref());
    KnoxLogin(login).log_in(own_session(own.user.as_deref())?).await
}

#[get("/own_login")]
async fn own_callback(login: KnoxLogin, own: OwnLogin) -> Result<KnoxResponse, KnoxRejection> {
    own_check(own.user.as_deref()).map_err(|error| login.reject(error))?;
    let login = own_login_of(login.0, own.end.as_deref(), own.next.as_deref());
    KnoxLogin(login).log_in(own_session(own.user.as_deref())?).await
}

#[get("/leave")]
async fn leave(knox: &State<KnoxHttp>, auth: KnoxAuth) -> Result<String, KnoxRejection> {
    Ok(knox.revoke_all(auth.subject()).await?.to_string())
}

pub(super) fn start(knox: KnoxHttp) -> SocketAddr {
    let guard = RequireAuth::new(knox.clone());
    serve::rocket(move |rocket| {
        rocket
            .attach(fairing(knox.clone()))
            .mount("/", rocket::routes![me, maybe, swallow, admin, thrice, role, project, again, leave, recent, poll])
            .mount("/", rocket::routes![own_login, own_callback, change])
            .mount("/", guard.protect(rocket::routes![guarded_me]))
            .mount("/guarded", guard.protect(rocket::routes![hello]))
            .mount("/guarded_recent", guard.clone().recent(RECENT).protect(rocket::routes![hello]))
            .mount("/guarded_poll", guard.clone().passive().protect(rocket::routes![polled]))
            .mount("/guarded_admin", guard.with_scope::<Admin>().protect(rocket::routes![hello]))
            .mount("/", routes(knox.clone()))
            .mount("/", jwks_route(knox))
    })
}
