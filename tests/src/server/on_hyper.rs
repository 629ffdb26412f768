//! The application on plain hyper, by the adapter of the guide.

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::HeaderValue,
};
use jwt_knox::Authenticated;
use jwt_knox_http::{AuthSlot, HttpRejection, Requirement};

use super::{
    KnoxHttp, RECENT, Role, SocketAddr, greeting, maybe_greeting, own_check, own_login_of, own_session, project_scope,
    text,
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
        async move { answer(&knox, request).await.unwrap_or_else(|rejection| translate_response(rejection.to_response())) }
    })
}
