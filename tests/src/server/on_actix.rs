//! The application on Actix Web.

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
