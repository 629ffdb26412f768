//! The same guards where there is no store, on each framework and on a real socket.

use std::net::SocketAddr;

use jwt_knox::StatelessToken;
use jwt_knox_http::VerifierHttp;

use crate::server::{Admin, Framework, Role, project_scope};

/// A server without a store, which runs until the process ends.
///
/// Its routes are those of [`Server`](crate::Server) that it can have, and answer the same: `/me` and, for POST, `/change`;
/// `/maybe`, `/admin`, `/thrice`, `/role` and `/project`; `/guarded/hello`, `/guarded_admin/hello` and `/guarded_me`. On
/// Actix Web and Rocket also `/swallow`, which takes the framework's own `Option<VerifiedToken>`.
#[derive(Debug, Clone, Copy)]
pub struct VerifyingServer {
    /// Where it listens.
    pub address: SocketAddr,
}

impl VerifyingServer {
    /// Starts the application on a port that is free.
    pub fn start(framework: Framework, verifier: VerifierHttp) -> Self {
        let address = match framework {
            Framework::Axum => on_axum::start(verifier),
            Framework::Actix => on_actix::start(verifier),
            Framework::Rocket => on_rocket::start(verifier),
            Framework::Hyper => on_hyper::start(verifier),
        };
        Self { address }
    }
}

/// What `/me` and the like answer.
fn greeting(token: &StatelessToken) -> String {
    format!("{} {}", token.subject(), token.session_id())
}

/// What `/maybe` answers.
fn maybe_greeting(token: Option<&StatelessToken>) -> String {
    token.map_or_else(|| "nobody".to_owned(), greeting)
}

mod on_axum {
    use axum::{
        Router,
        extract::State,
        routing::{get, post},
    };
    use jwt_knox_axum::{KnoxRejection, RequireToken, ScopedToken, TokenClaims, VerifiedToken};

    use super::{Admin, Role, SocketAddr, VerifierHttp, greeting, maybe_greeting, project_scope};
    use crate::serve;

    async fn me(token: VerifiedToken) -> String {
        greeting(&token)
    }

    async fn maybe(token: Option<VerifiedToken>) -> String {
        maybe_greeting(token.as_deref())
    }

    async fn admin(token: ScopedToken<Admin>) -> String {
        greeting(&token)
    }

    async fn thrice(first: VerifiedToken, second: Option<VerifiedToken>, third: ScopedToken<Admin>) -> String {
        format!("{} {} {}", first.subject(), maybe_greeting(second.as_deref()), third.subject())
    }

    async fn role(TokenClaims(Role { role }): TokenClaims<Role>) -> String {
        role
    }

    async fn project(State(verifier): State<VerifierHttp>, token: VerifiedToken) -> Result<String, KnoxRejection> {
        verifier.require_scope(&token, &project_scope())?;
        Ok(greeting(&token))
    }

    pub(super) fn start(verifier: VerifierHttp) -> SocketAddr {
        let hello = || Router::new().route("/hello", get(|| async { "hello" }));
        let guard = RequireToken::new(verifier.clone());
        let app = Router::new()
            .route("/me", get(me))
            .route("/change", post(me))
            .route("/maybe", get(maybe))
            .route("/admin", get(admin))
            .route("/thrice", get(thrice))
            .route("/role", get(role))
            .route("/project", get(project))
            .nest("/guarded", hello().layer(guard.clone()))
            .nest("/guarded_admin", hello().layer(guard.clone().scope("admin").unwrap()))
            .route("/guarded_me", get(me).layer(guard))
            .with_state(verifier);
        serve::axum(app)
    }
}

mod on_actix {
    use actix_web::{
        App, HttpServer,
        web::{self, Data},
    };
    use jwt_knox_actix::{KnoxRejection, MaybeToken, RequireToken, ScopedToken, TokenClaims, VerifiedToken};

    use super::{Admin, Role, SocketAddr, VerifierHttp, greeting, maybe_greeting, project_scope};
    use crate::serve;

    async fn me(token: VerifiedToken) -> String {
        greeting(&token)
    }

    async fn maybe(MaybeToken(token): MaybeToken) -> String {
        maybe_greeting(token.as_ref())
    }

    async fn swallow(token: Option<VerifiedToken>) -> String {
        maybe_greeting(token.as_deref())
    }

    async fn admin(token: ScopedToken<Admin>) -> String {
        greeting(&token)
    }

    async fn thrice(first: VerifiedToken, second: MaybeToken, third: ScopedToken<Admin>) -> String {
        format!("{} {} {}", first.subject(), maybe_greeting(second.0.as_ref()), third.subject())
    }

    async fn role(TokenClaims(Role { role }): TokenClaims<Role>) -> String {
        role
    }

    async fn project(verifier: Data<VerifierHttp>, token: VerifiedToken) -> Result<String, KnoxRejection> {
        verifier.require_scope(&token, &project_scope())?;
        Ok(greeting(&token))
    }

    pub(super) fn start(verifier: VerifierHttp) -> SocketAddr {
        let hello = || web::get().to(|| async { "hello" });
        let app = move || {
            let guard = RequireToken::new(verifier.clone());
            App::new()
                .app_data(Data::new(verifier.clone()))
                .route("/me", web::get().to(me))
                .route("/change", web::post().to(me))
                .route("/maybe", web::get().to(maybe))
                .route("/swallow", web::get().to(swallow))
                .route("/admin", web::get().to(admin))
                .route("/thrice", web::get().to(thrice))
                .route("/role", web::get().to(role))
                .route("/project", web::get().to(project))
                .service(web::resource("/guarded_me").wrap(guard.clone()).route(web::get().to(me)))
                .service(web::scope("/guarded").wrap(guard.clone()).route("/hello", hello()))
                .service(web::scope("/guarded_admin").wrap(guard.with_scope::<Admin>()).route("/hello", hello()))
        };
        serve::actix(|listener| Ok(HttpServer::new(app).workers(2).disable_signals().listen(listener)?.run()))
    }
}

mod on_rocket {
    use jwt_knox_rocket::{KnoxRejection, MaybeToken, RequireToken, ScopedToken, TokenClaims, VerifiedToken, fairing};
    use rocket::{State, get, post};

    use super::{Admin, Role, SocketAddr, VerifierHttp, greeting, maybe_greeting, project_scope};
    use crate::serve;

    #[get("/me")]
    fn me(token: VerifiedToken) -> String {
        greeting(&token)
    }

    #[post("/change")]
    fn change(token: VerifiedToken) -> String {
        greeting(&token)
    }

    #[get("/maybe")]
    fn maybe(token: MaybeToken) -> String {
        maybe_greeting(token.0.as_ref())
    }

    #[get("/swallow")]
    fn swallow(token: Option<VerifiedToken>) -> String {
        maybe_greeting(token.as_deref())
    }

    #[get("/admin")]
    fn admin(token: ScopedToken<Admin>) -> String {
        greeting(&token)
    }

    #[get("/thrice")]
    fn thrice(first: VerifiedToken, second: MaybeToken, third: ScopedToken<Admin>) -> String {
        format!("{} {} {}", first.subject(), maybe_greeting(second.0.as_ref()), third.subject())
    }

    #[get("/role")]
    fn role(claims: TokenClaims<Role>) -> String {
        claims.0.role
    }

    #[get("/project")]
    fn project(verifier: &State<VerifierHttp>, token: VerifiedToken) -> Result<String, KnoxRejection> {
        verifier.require_scope(&token, &project_scope())?;
        Ok(greeting(&token))
    }

    #[get("/guarded_me")]
    fn guarded_me(token: VerifiedToken) -> String {
        greeting(&token)
    }

    #[get("/hello")]
    fn hello() -> &'static str {
        "hello"
    }

    pub(super) fn start(verifier: VerifierHttp) -> SocketAddr {
        let guard = RequireToken::new(verifier.clone());
        serve::rocket(move |rocket| {
            rocket
                .attach(fairing(verifier))
                .mount("/", rocket::routes![me, change, maybe, swallow, admin, thrice, role, project])
                .mount("/", guard.around(rocket::routes![guarded_me]))
                .mount("/guarded", guard.around(rocket::routes![hello]))
                .mount("/guarded_admin", guard.with_scope::<Admin>().around(rocket::routes![hello]))
        })
    }
}

mod on_hyper {
    use example_adapter_hyper::{authenticate, translate_request, translate_response};
    use http_body_util::Full;
    use hyper::{
        Request, Response,
        body::{Bytes, Incoming},
    };
    use jwt_knox_http::{AuthSlot, HttpRejection, Requirement};

    use super::{Admin, Role, SocketAddr, VerifierHttp, greeting, maybe_greeting, project_scope};
    use crate::{serve, server::text};

    async fn answer(
        verifier: &VerifierHttp,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, HttpRejection> {
        let (mut parts, _) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let slot = AuthSlot::default();
        let request = translate_request(verifier, &parts, &slot);
        let admin = Requirement::new(verifier.clone()).with_scope::<Admin>();
        let body = match path.as_str() {
            "/me" | "/change" | "/guarded_me" => greeting(&authenticate(&mut parts, verifier).await?),
            "/maybe" => maybe_greeting(verifier.authenticate_optional(&request).await?.as_ref()),
            "/admin" => greeting(&admin.authenticate(&request).await?),
            "/thrice" => {
                let first = verifier.authenticate(&request).await?;
                let second = verifier.authenticate_optional(&request).await?;
                let third = admin.authenticate(&request).await?;
                format!("{} {} {}", first.subject(), maybe_greeting(second.as_ref()), third.subject())
            }
            "/role" => Requirement::new(verifier.clone()).claims::<Role>(&request).await?.role,
            "/project" => {
                let token = verifier.authenticate(&request).await?;
                verifier.require_scope(&token, &project_scope())?;
                greeting(&token)
            }
            "/guarded/hello" => {
                verifier.authenticate(&request).await?;
                "hello".to_owned()
            }
            "/guarded_admin/hello" => {
                admin.authenticate(&request).await?;
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

    pub(super) fn start(verifier: VerifierHttp) -> SocketAddr {
        serve::hyper(move |request| {
            let verifier = verifier.clone();
            async move {
                answer(&verifier, request).await.unwrap_or_else(|rejection| translate_response(rejection.to_response()))
            }
        })
    }
}
