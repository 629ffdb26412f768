//! The same small application on each framework, on a real socket.

use std::{net::SocketAddr, time::Duration};

use http_body_util::Full;
use hyper::body::Bytes;
use jwt_knox_http::{KnoxHttp, LoginError, PendingLogin, scopes};

use crate::document;

scopes! {
    /// A scope that some routes need.
    pub Admin = "admin";
}

/// What `/role` reads out of a token.
#[derive(Debug, serde::Deserialize)]
pub struct Role {
    pub(crate) role: String,
}

/// The scope that `/project` needs, which no type names.
pub(crate) fn project_scope() -> String {
    format!("project:{}:write", 7)
}

/// How old a login may be for `/recent`.
const RECENT: Duration = Duration::from_secs(300);

/// What a server runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framework {
    /// `jwt-knox-axum`.
    Axum,
    /// `jwt-knox-actix`.
    Actix,
    /// `jwt-knox-rocket`.
    Rocket,
    /// The adapter for plain hyper of this crate.
    Hyper,
}

impl Framework {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Axum, Self::Actix, Self::Rocket, Self::Hyper];
}

/// A server that runs until the process ends.
///
/// Besides the built-in routes it has, on every framework: `/me` and, for POST, `/change` (need a token), `/maybe` (optional), `/admin` (needs the
/// scope `admin`), `/thrice` (asks three times), `/.well-known/jwks.json`, `/guarded/hello` and `/guarded_admin/hello`
/// (behind [`RequireAuth`]); `/recent` (needs a login of the last 300 seconds), `/poll` (does not count as use) and the same
/// behind [`RequireAuth`], `/guarded_recent/hello` and `/guarded_poll/hello`; and with a `?` on errors of the core: `/role` (a claim), `/project` (a scope known at run
/// time only), `/own_login` (logs the user in whom the header `x-user` names, and does what `x-end` and
/// `x-next` say), `/again` (one more session), `/leave` (revokes all of them). On Actix Web and Rocket also `/swallow`, which takes the framework's own
/// `Option<KnoxAuth>`.
///
/// [`RequireAuth`]: jwt_knox_axum::RequireAuth
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts the application on a port that is free.
    pub fn start(framework: Framework, knox: KnoxHttp) -> Self {
        let documented = knox.clone();
        let address = match framework {
            Framework::Axum => on_axum::start(knox),
            Framework::Actix => on_actix::start(knox),
            Framework::Rocket => on_rocket::start(knox),
            Framework::Hyper => on_hyper::start(knox),
        };
        document::register(address, &documented);
        Self { address }
    }
}

/// What `/me` and the like answer.
fn greeting(auth: &jwt_knox::Authenticated) -> String {
    format!("{} {}", auth.subject(), auth.session_id())
}

/// What `/maybe` answers.
fn maybe_greeting(auth: Option<&jwt_knox::Authenticated>) -> String {
    auth.map_or_else(|| "nobody".to_owned(), greeting)
}

/// The session that `/own_login` shall begin.
fn own_session(user: Option<&str>) -> Result<jwt_knox::NewSession, jwt_knox::SubjectError> {
    Ok(jwt_knox::NewSession::new(jwt_knox::Subject::new(user.unwrap_or_default())?))
}

/// Who `/own_login` does not know.
fn own_check(user: Option<&str>) -> Result<(), LoginError> {
    if user == Some("nobody") { Err(LoginError::InvalidCredentials) } else { Ok(()) }
}

/// `/own_login` as the headers `x-end` and `x-next` want it.
fn own_login_of(login: PendingLogin, end: Option<&str>, next: Option<&str>) -> PendingLogin {
    let login = login.end_session(own_end(end));
    match next {
        Some("body") => login.without_cookie(),
        Some("closing") => login.until_browser_closes(),
        Some(next) => login.redirect_to(next.to_owned()),
        None => login,
    }
}

/// The session that `/own_login` may end.
fn own_end(id: Option<&str>) -> Option<jwt_knox::SessionId> {
    id.and_then(|id| id.parse().ok())
}

/// An answer in plain text.
pub(crate) fn text(body: String) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::from(body));
    let text = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert("content-type", text);
    response
}

mod on_axum {
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
}

mod on_actix {
    use actix_web::{
        App, HttpRequest, HttpServer,
        web::{self, Data},
    };
    use jwt_knox_actix::{
        KnoxAuth, KnoxClaims, KnoxLogin, KnoxRejection, KnoxResponse, MaybeAuth, PassiveAuth, RecentAuth, RequireAuth,
        ScopedAuth, jwks_route, routes,
    };

    use super::{
        Admin, KnoxHttp, RECENT, Role, SocketAddr, greeting, maybe_greeting, own_check, own_login_of, own_session,
        project_scope,
    };
    use crate::serve;

    async fn me(auth: KnoxAuth) -> String {
        greeting(&auth)
    }

    async fn maybe(MaybeAuth(auth): MaybeAuth) -> String {
        maybe_greeting(auth.as_ref())
    }

    async fn swallow(auth: Option<KnoxAuth>) -> String {
        maybe_greeting(auth.as_deref())
    }

    async fn admin(auth: ScopedAuth<Admin>) -> String {
        greeting(&auth)
    }

    async fn thrice(first: KnoxAuth, second: MaybeAuth, third: ScopedAuth<Admin>) -> String {
        format!("{} {} {}", first.subject(), maybe_greeting(second.0.as_ref()), third.subject())
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

    async fn project(knox: Data<KnoxHttp>, auth: KnoxAuth) -> Result<String, KnoxRejection> {
        knox.require_scope(&auth, &project_scope())?;
        Ok(greeting(&auth))
    }

    async fn again(knox: Data<KnoxHttp>, auth: KnoxAuth) -> Result<String, KnoxRejection> {
        Ok(knox.issue(auth.subject().clone()).await?.session.id.to_string())
    }

    async fn leave(knox: Data<KnoxHttp>, auth: KnoxAuth) -> Result<String, KnoxRejection> {
        Ok(knox.revoke_all(auth.subject()).await?.to_string())
    }

    async fn own_login(login: KnoxLogin, request: HttpRequest) -> Result<KnoxResponse, KnoxRejection> {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        own_check(header("x-user")).map_err(|error| login.reject(error))?;
        let login = own_login_of(login.0, header("x-end"), header("x-next"));
        KnoxLogin(login).log_in(own_session(header("x-user"))?).await
    }

    pub(super) fn start(knox: KnoxHttp) -> SocketAddr {
        let hello = || web::get().to(|| async { "hello" });
        let app = move || {
            let guard = RequireAuth::new(knox.clone());
            App::new()
                .app_data(Data::new(knox.clone()))
                .route("/me", web::get().to(me))
                .route("/change", web::post().to(me))
                .route("/maybe", web::get().to(maybe))
                .route("/swallow", web::get().to(swallow))
                .route("/admin", web::get().to(admin))
                .route("/thrice", web::get().to(thrice))
                .route("/role", web::get().to(role))
                .route("/project", web::get().to(project))
                .route("/again", web::get().to(again))
                .route("/leave", web::get().to(leave))
                .service(web::resource("/own_login").to(own_login))
                .route("/recent", web::get().to(recent))
                .route("/poll", web::get().to(poll))
                .service(web::scope("/guarded_recent").wrap(guard.clone().recent(RECENT)).route("/hello", hello()))
                .service(web::scope("/guarded_poll").wrap(guard.clone().passive()).route("/hello", web::get().to(me)))
                .service(web::resource("/guarded_me").wrap(guard.clone()).route(web::get().to(me)))
                .service(web::scope("/guarded").wrap(guard.clone()).route("/hello", hello()))
                .service(web::scope("/guarded_admin").wrap(guard.with_scope::<Admin>()).route("/hello", hello()))
                .configure(routes(knox.clone()))
                .configure(jwks_route(knox.clone()))
        };
        serve::actix(|listener| Ok(HttpServer::new(app).workers(2).disable_signals().listen(listener)?.run()))
    }
}

mod on_rocket {
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
                .mount(
                    "/",
                    rocket::routes![me, maybe, swallow, admin, thrice, role, project, again, leave, recent, poll],
                )
                .mount("/", rocket::routes![own_login, own_callback, change])
                .mount("/", guard.around(rocket::routes![guarded_me]))
                .mount("/guarded", guard.around(rocket::routes![hello]))
                .mount("/guarded_recent", guard.clone().recent(RECENT).around(rocket::routes![hello]))
                .mount("/guarded_poll", guard.clone().passive().around(rocket::routes![polled]))
                .mount("/guarded_admin", guard.with_scope::<Admin>().around(rocket::routes![hello]))
                .mount("/", routes(knox.clone()))
                .mount("/", jwks_route(knox))
        })
    }
}

mod on_hyper {
    use http_body_util::Full;
    use hyper::{
        Request, Response,
        body::{Bytes, Incoming},
        header::HeaderValue,
    };
    use jwt_knox::Authenticated;
    use jwt_knox_http::{AuthSlot, HttpRejection, Requirement};

    use super::{
        KnoxHttp, RECENT, Role, SocketAddr, greeting, maybe_greeting, own_check, own_login_of, own_session,
        project_scope, text,
    };
    use crate::serve;
    use example_adapter_hyper::{authenticate, built_in_routes, headers, translate_request, translate_response};

    fn optional(outcome: Result<Authenticated, HttpRejection>) -> Result<Option<Authenticated>, HttpRejection> {
        match outcome {
            Err(rejection) if rejection.is_missing_token() => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    async fn answer(knox: &KnoxHttp, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, HttpRejection> {
        let request = match built_in_routes(knox, request).await {
            Ok(response) => return Ok(response),
            Err(request) => request,
        };
        let (mut parts, _) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let body = match path.as_str() {
            "/me" | "/change" | "/guarded_me" => greeting(&authenticate(&mut parts, knox).await?),
            "/maybe" => maybe_greeting(optional(authenticate(&mut parts, knox).await)?.as_ref()),
            "/admin" => {
                let auth = authenticate(&mut parts, knox).await?;
                knox.require_scope(&auth, "admin")?;
                greeting(&auth)
            }
            "/thrice" => {
                let first = authenticate(&mut parts, knox).await?;
                let second = optional(authenticate(&mut parts, knox).await)?;
                let third = authenticate(&mut parts, knox).await?;
                knox.require_scope(&third, "admin")?;
                format!("{} {} {}", first.subject(), maybe_greeting(second.as_ref()), third.subject())
            }
            "/role" => {
                let auth = authenticate(&mut parts, knox).await?;
                auth.claims::<Role>().map_err(|error| knox.reject(error))?.role
            }
            "/project" => {
                let auth = authenticate(&mut parts, knox).await?;
                knox.require_scope(&auth, &project_scope())?;
                greeting(&auth)
            }
            "/again" => {
                let auth = authenticate(&mut parts, knox).await?;
                knox.issue(auth.subject().clone()).await?.session.id.to_string()
            }
            "/own_login" => {
                let header = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
                let slot = AuthSlot::default();
                let login = knox.begin_login(&translate_request(knox, &parts, &slot).with_headers(headers(&parts)))?;
                own_check(header("x-user")).map_err(|error| login.reject(error))?;
                let login = own_login_of(login, header("x-end"), header("x-next"));
                // In a task, as the adapters do.
                let response = tokio::spawn(login.log_in(own_session(header("x-user"))?)).await.unwrap();
                return Ok(translate_response(response?));
            }
            "/leave" => {
                let auth = authenticate(&mut parts, knox).await?;
                knox.revoke_all(auth.subject()).await?.to_string()
            }
            "/recent" | "/guarded_recent/hello" => {
                let auth = authenticate(&mut parts, knox).await?;
                knox.require_recent(&auth, RECENT)?;
                greeting(&auth)
            }
            "/poll" | "/guarded_poll/hello" => {
                let slot = AuthSlot::default();
                let requirement = Requirement::new(knox.clone()).passive();
                greeting(&requirement.authenticate(&translate_request(knox, &parts, &slot)).await?)
            }
            "/guarded/hello" => {
                authenticate(&mut parts, knox).await?;
                "hello".to_owned()
            }
            "/guarded_admin/hello" => {
                let auth = authenticate(&mut parts, knox).await?;
                knox.require_scope(&auth, "admin")?;
                "hello".to_owned()
            }
            _ => {
                let mut response = Response::new(Full::default());
                *response.status_mut() = hyper::StatusCode::NOT_FOUND;
                return Ok(response);
            }
        };
        Ok(text(body))
    }

    pub(super) fn start(knox: KnoxHttp) -> SocketAddr {
        serve::hyper(move |request| {
            let knox = knox.clone();
            async move {
                answer(&knox, request).await.unwrap_or_else(|rejection| translate_response(rejection.to_response()))
            }
        })
    }
}
