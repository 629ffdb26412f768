//! The application without a store on plain hyper, by the adapter of the guide.

use example_adapter_hyper::{authenticate, translate_request, translate_response};
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
};
use jwt_knox_http::{AuthSlot, HttpRejection, Requirement};

use super::{Admin, Role, SocketAddr, VerifierHttp, greeting, maybe_greeting, project_scope};
use crate::{serve, server::text};

async fn answer(verifier: &VerifierHttp, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, HttpRejection> {
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
