//! What the built-in routes do.

pub(crate) mod forward_auth;
pub(crate) mod introspection;

use jwt_knox::{Authenticated, IssueError, Rejection, Revocation, SessionRef};
use serde::Deserialize;

use crate::{
    endpoint::Endpoint,
    knox_http::KnoxHttp,
    login::LoginError,
    pending_login::PendingLogin,
    request::{
        Request,
        credential::Credential,
        json_body::{self, Wanted},
        login_credentials::{self, Presented},
    },
    response::{
        Response,
        answers::{DebugAnswer, DeletedAnswer, SessionAnswer},
        problem::ProblemCode,
        rejection::{Cause, HttpRejection},
    },
};

type Answer = Result<Response, HttpRejection>;

impl KnoxHttp {
    /// Answers a request to one of the built-in routes.
    ///
    /// Where a token is needed, a client without one is told so before anything else, even before that the method is
    /// wrong.
    pub async fn respond(&self, endpoint: Endpoint, request: &Request<'_>) -> Response {
        let answer = match endpoint {
            Endpoint::GetToken => get_token(self, request).await,
            Endpoint::Login => login(self, request).await,
            Endpoint::Verify => verify(self, request).await,
            Endpoint::Logout => logout(self, request).await,
            Endpoint::LogoutOther => logout_other(self, request).await,
            Endpoint::LogoutAll => logout_all(self, request).await,
            Endpoint::Rotate => rotate(self, request).await,
            Endpoint::DebugVerify => debug_verify(self, request).await,
            Endpoint::ForwardAuth => forward_auth::answer(self, request).await,
            Endpoint::Sessions => sessions(self, request).await,
            Endpoint::Session => session(self, request).await,
            Endpoint::Jwks => jwks(self, request),
            Endpoint::Introspect => introspect(self, request).await,
            Endpoint::Revoke => revoke(self, request).await,
        };
        answer.unwrap_or_else(|rejection| {
            let response = self.reject(rejection).to_response();
            // So that a page gets rid of the cookie of a session that has ended elsewhere.
            let is_logout = matches!(endpoint, Endpoint::Logout | Endpoint::LogoutAll);
            if is_logout && response.status() == 401 { without_cookie(self, request, response) } else { response }
        })
    }
}

async fn get_token(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    check_method(Endpoint::GetToken, request)?;
    let presented = login_credentials::basic_or_json(request);
    if let Presented::Basic(_) = presented {
        knox.protocol().require_no_foreign_page(request)?;
    }
    // Where the credentials came as JSON, a browser must not put up its own login window on top of the page's.
    let offer_basic = knox.protocol().offers_basic() && !matches!(presented, Presented::Json(..));
    let pending = PendingLogin::for_token(knox, request, offer_basic);
    log_in(knox, request, presented, pending, offer_basic).await
}

/// The same for browsers: in JSON only, which a page of another origin cannot send unasked, and with a cookie.
async fn login(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    check_method(Endpoint::Login, request)?;
    knox.protocol().require_same_origin(request)?;
    log_in(knox, request, login_credentials::json(request), PendingLogin::for_cookie(knox, request), false).await
}

async fn log_in(
    knox: &KnoxHttp,
    request: &Request<'_>,
    presented: Presented,
    pending: PendingLogin,
    offer_basic: bool,
) -> Answer {
    let (login, time_limit) =
        knox.login_with().ok_or_else(|| knox.reject(Cause::Other(ProblemCode::NotFound, "Not found.".into())))?;
    let (credentials, end_session) = match presented {
        Presented::Basic(credentials) => (credentials, None),
        Presented::Json(credentials, end_session) => (credentials, end_session),
        Presented::Unreadable(cause) => return Err(knox.reject(cause)),
        Presented::Nothing(detail) => {
            let code = ProblemCode::MissingCredentials;
            return Err(knox.reject(Cause::Credentials { code, detail, offer_basic }));
        }
    };
    let credentials =
        credentials.ok_or_else(|| pending.reject(LoginError::InvalidCredentials))?.with_headers_of(request);
    let new = time_limit.apply(login.login(&credentials)).await.map_err(|error| pending.reject(error))?;
    pending.end_session(end_session).log_in(new).await
}

async fn rotate(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    let auth = authenticate_for(knox, Endpoint::Rotate, request).await?;
    match (request.credential(), knox.cookies()) {
        (Credential::Cookie(_), Some(cookies)) => {
            // What fits no cookie must not take the place of the token that the browser has.
            let room = cookies.max_token_bytes();
            let issued = knox.rotate_within(&auth, room).await;
            knox.cookie_response(&issued.map_err(|error| match error {
                IssueError::TooLarge { max, .. } if max == room => knox.reject(Cause::no_room_in_a_cookie()),
                error => knox.reject(error),
            })?)
        }
        _ => knox.token_response(&knox.rotate(&auth).await.map_err(|error| knox.reject(error))?),
    }
}

async fn verify(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    authenticate_for(knox, Endpoint::Verify, request).await?;
    Ok(Response::no_content())
}

async fn logout(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    let auth = match authenticate_for(knox, Endpoint::Logout, request).await {
        Ok(auth) => auth,
        Err(rejection) if rejection.may_have_session() => return log_out_anyone(knox, request, rejection).await,
        Err(rejection) => return Err(rejection),
    };
    // Not there any more: it was revoked in the meantime.
    match knox.revoke(&auth.session_ref()).await? {
        Revocation::Revoked => Ok(without_cookie(knox, request, Response::no_content())),
        Revocation::NotFound => Err(knox.reject(Rejection::Revoked)),
    }
}

/// Ends the session of a user who is inactive now, or of whom nobody can tell: it must not be there when they come
/// back.
async fn log_out_anyone(knox: &KnoxHttp, request: &Request<'_>, rejection: HttpRejection) -> Answer {
    if check_method(Endpoint::Logout, request).is_err() {
        return Err(rejection);
    }
    let token = knox.protocol().token(request.credential(), knox.max_token_bytes())?;
    match knox.revoke_token(token).await? {
        Revocation::Revoked if rejection.is_undecided() => Ok(without_cookie(knox, request, Response::no_content())),
        Revocation::NotFound if rejection.is_undecided() => Err(knox.reject(Rejection::Revoked)),
        _ => Err(rejection),
    }
}

async fn logout_other(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    let auth = authenticate_for(knox, Endpoint::LogoutOther, request).await?;
    let deleted_sessions = knox.revoke_others(&auth).await?;
    knox.json(serde_json::to_string(&DeletedAnswer { deleted_sessions }))
}

async fn logout_all(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    let auth = authenticate_for(knox, Endpoint::LogoutAll, request).await?;
    knox.revoke_all(auth.subject()).await?;
    Ok(without_cookie(knox, request, Response::no_content()))
}

/// Makes the browser forget the session that has just ended.
fn without_cookie(knox: &KnoxHttp, request: &Request<'_>, response: Response) -> Response {
    match (request.credential(), knox.cookies()) {
        (Credential::Cookie(_), Some(cookies)) => response.with_header("set-cookie", cookies.clear()),
        _ => response,
    }
}

async fn debug_verify(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    let auth = authenticate_for(knox, Endpoint::DebugVerify, request).await?;
    knox.json(serde_json::to_string(&DebugAnswer::new(&auth)))
}

async fn sessions(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    let auth = authenticate_for(knox, Endpoint::Sessions, request).await?;
    let records = knox.sessions(auth.subject()).await?;
    let sessions: Vec<_> = records.iter().map(|record| SessionAnswer::new(record, &auth)).collect();
    knox.json(serde_json::to_string(&sessions))
}

/// Revokes the session that the path names, or gives it another label, if it is one of the subject's own: a foreign one
/// is as unknown as any other.
async fn session(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    let auth = authenticate_for(knox, Endpoint::Session, request).await?;
    let id = request.path.rsplit('/').next().unwrap_or_default().parse()?;
    let session = auth.own_session(id);
    match request.method {
        "PATCH" => set_label(knox, request, &auth, &session).await,
        _ => end_session(knox, request, &auth, &session).await,
    }
}

async fn end_session(knox: &KnoxHttp, request: &Request<'_>, auth: &Authenticated, session: &SessionRef) -> Answer {
    match knox.revoke(session).await? {
        Revocation::Revoked if session.id == auth.session_id() => {
            Ok(without_cookie(knox, request, Response::no_content()))
        }
        Revocation::Revoked => Ok(Response::no_content()),
        Revocation::NotFound => Err(knox.reject(Cause::no_such_session())),
    }
}

async fn set_label(knox: &KnoxHttp, request: &Request<'_>, auth: &Authenticated, session: &SessionRef) -> Answer {
    const WANTED: Wanted = Wanted {
        media_type: "Send a JSON body with the header `Content-Type: application/json`.",
        form: r#"The body must be JSON of the form {"label": "…"}, or {"label": null} for none."#,
    };
    let sent = json_body::object::<LabelBody>(request, &WANTED).map_err(|cause| knox.reject(cause))?;
    let Some(LabelBody { label }) = sent else {
        return Err(knox.reject(Cause::Other(ProblemCode::InvalidRequest, WANTED.form.into())));
    };
    let record = knox.set_label(session, &label.unwrap_or_default()).await?;
    let record = record.ok_or_else(|| knox.reject(Cause::no_such_session()))?;
    knox.json(serde_json::to_string(&SessionAnswer::new(&record, auth)))
}

/// The body of a request for another label. The member has to be there: `null` takes the label away.
#[derive(Deserialize)]
struct LabelBody {
    #[serde(deserialize_with = "Option::deserialize")]
    label: Option<String>,
}

fn jwks(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    check_method(Endpoint::Jwks, request)?;
    Ok(Response::jwks(knox.key_ring().jwks(), knox.jwks_max_age()))
}

async fn introspect(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    introspection::require_introspector(knox, request).await?;
    check_method(Endpoint::Introspect, request)?;
    introspection::introspect(knox, request).await
}

async fn revoke(knox: &KnoxHttp, request: &Request<'_>) -> Answer {
    introspection::require_client(knox, request)?;
    check_method(Endpoint::Revoke, request)?;
    introspection::revoke(knox, request).await
}

/// Who sends the request, if the method is right too.
async fn authenticate_for(
    knox: &KnoxHttp,
    endpoint: Endpoint,
    request: &Request<'_>,
) -> Result<Authenticated, HttpRejection> {
    let auth = knox.authenticate(request).await?;
    check_method(endpoint, request)?;
    if endpoint.is_about_sessions() && !knox.may_use_sessions(auth.session().scope.as_deref()) {
        knox.require_scope(&auth, knox.session_scope())?;
    }
    Ok(auth)
}

fn check_method(endpoint: Endpoint, request: &Request<'_>) -> Result<(), HttpRejection> {
    match endpoint.allow() {
        Some(allow) if !endpoint.allows(request.method) => Err(Cause::Method { allow }.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use jwt_knox::{Knox, MemoryStore, SigningKey};

    use super::*;
    use crate::request::slot::AuthSlot;

    /// A rotation comes between the guard and the route: it is the same session, so it ends.
    #[tokio::test]
    async fn a_logout_that_meets_a_rotation_ends_the_session() {
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
        let http = KnoxHttp::builder(knox.clone()).build().unwrap();
        let issued = knox.issue(1).await.unwrap();
        let header = format!("Bearer {}", issued.token.expose());
        let request = http.request("POST", "/logout", |name| (name == "authorization").then_some(header.as_bytes()));
        let slot = AuthSlot::default();
        let request = request.with_slot(&slot);
        let guarded = http.authenticate(&request).await.unwrap();
        let rotated = knox.rotate(&guarded).await.unwrap();

        let response = http.respond(Endpoint::Logout, &request).await;
        assert_eq!(response.status(), 204);
        assert!(knox.authenticate(rotated.token.expose()).await.is_err());
        let response = http.respond(Endpoint::Logout, &request).await;
        assert_eq!(response.status(), 401, "nothing was ended");
    }
}
