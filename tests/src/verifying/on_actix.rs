//! The application without a store on Actix Web.

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
