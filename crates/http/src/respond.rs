//! What the ready routes do.

use jwt_knox::{AuthError, Authenticated, IssueError, Issued, TokenKey};

use crate::{
    answers::{DebugBody, DeletedBody, SessionBody, TokenBody},
    credentials::{self, Presented},
    endpoint::Endpoint,
    knox_http::KnoxHttp,
    login::LoginError,
    refusal::Refusal,
    request::Request,
    response::Response,
};

impl KnoxHttp {
    /// Answers a request to one of the ready routes.
    ///
    /// Where a token is needed, whoever has none is told so before anything else, even before that the method is wrong.
    pub async fn respond(&self, endpoint: Endpoint, request: &Request<'_>) -> Response {
        let answer = match endpoint {
            Endpoint::GetToken => self.get_token(request).await,
            Endpoint::Verify => self.verify(request).await,
            Endpoint::Logout => self.logout(request).await,
            Endpoint::LogoutOther => self.logout_other(request).await,
            Endpoint::LogoutAll => self.logout_all(request).await,
            Endpoint::Rotate => self.rotate(request).await,
            Endpoint::DebugVerify => self.debug_verify(request).await,
            Endpoint::Sessions => self.sessions(request).await,
            Endpoint::Session => self.end_session(request).await,
            Endpoint::Jwks => self.jwks(request),
        };
        answer.unwrap_or_else(|refusal| refusal.response().clone())
    }

    async fn get_token(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        check_method(Endpoint::GetToken, request)?;
        let Some(login) = self.login() else { return Ok(not_found()) };
        // Where the credentials came as JSON, a browser must not put up its own login window on top of the page's.
        let (credentials, offer_basic) = match credentials::login(request) {
            Presented::Basic(credentials) => (credentials, true),
            Presented::Json(credentials) => (credentials, false),
            Presented::Unreadable(response) => return Err(Refusal::request(response)),
            Presented::Nothing => {
                let detail = "No credentials were sent. Send a user name and a password by HTTP Basic or as JSON.";
                return Err(Refusal::login(self.challenge(), detail, true));
            }
        };
        let refused = |error| Refusal::login_error(self.challenge(), error, offer_basic);
        let credentials = credentials.ok_or_else(|| refused(LoginError::InvalidCredentials))?;
        let mut new = login.login(&credentials).await.map_err(refused)?;
        if let Some(user_agent) = request.user_agent {
            new = new.label_if_none(String::from_utf8_lossy(user_agent));
        }
        let issued = self.knox().issue_with(new).await.map_err(|error| match error {
            // An inactive user with the right password is told what one with a wrong password is told.
            IssueError::Refused(_) => refused(LoginError::InvalidCredentials),
            error => Refusal::issue(self.challenge(), error),
        })?;
        Ok(self.hand_out(&issued))
    }

    async fn rotate(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        let auth = self.admit(Endpoint::Rotate, request).await?;
        let issued = self.knox().rotate(&auth).await.map_err(|error| Refusal::issue(self.challenge(), error))?;
        Ok(self.hand_out(&issued))
    }

    fn hand_out(&self, issued: &Issued) -> Response {
        match self.token_response() {
            Some(response) => response(issued, self.scheme()),
            None => Response::json(&TokenBody::new(issued, self.scheme())),
        }
    }

    async fn verify(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        self.admit(Endpoint::Verify, request).await?;
        Ok(Response::no_content())
    }

    async fn logout(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        let auth = self.admit(Endpoint::Logout, request).await?;
        // Not there any more: it was ended meanwhile, or rotated, and then it lives on under another token. No reason
        // to say that it has ended.
        if !self.knox().revoke(&auth.key()).await? {
            return Err(Refusal::auth(self.challenge(), AuthError::Revoked));
        }
        Ok(Response::no_content())
    }

    async fn logout_other(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        let auth = self.admit(Endpoint::LogoutOther, request).await?;
        let deleted_sessions = self.knox().revoke_others(&auth).await?;
        Ok(Response::json(&DeletedBody { deleted_sessions }))
    }

    async fn logout_all(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        let auth = self.admit(Endpoint::LogoutAll, request).await?;
        self.knox().revoke_all(auth.subject()).await?;
        Ok(Response::no_content())
    }

    async fn debug_verify(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        let auth = self.admit(Endpoint::DebugVerify, request).await?;
        Ok(Response::json(&DebugBody::new(&auth)))
    }

    async fn sessions(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        let auth = self.admit(Endpoint::Sessions, request).await?;
        let records = self.knox().tokens(auth.subject()).await?;
        let sessions: Vec<_> = records.iter().map(|record| SessionBody::new(record, &auth)).collect();
        Ok(Response::json(&sessions))
    }

    /// Ends the login that the path names, if it is one of the subject's own: a foreign one is as unknown as any other.
    async fn end_session(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        let auth = self.admit(Endpoint::Session, request).await?;
        let id = request.path.rsplit('/').next().unwrap_or_default();
        let Ok(id) = id.parse() else { return Ok(not_found()) };
        let key = TokenKey { subject: auth.subject().clone(), id };
        Ok(if self.knox().revoke(&key).await? { Response::no_content() } else { not_found() })
    }

    fn jwks(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        check_method(Endpoint::Jwks, request)?;
        Ok(Response::jwks(self.knox().keys().jwks(), self.jwks_max_age()))
    }

    /// Who sends the request, if the method is right too.
    async fn admit(&self, endpoint: Endpoint, request: &Request<'_>) -> Result<Authenticated, Refusal> {
        let auth = self.authenticate(request).await?;
        check_method(endpoint, request)?;
        Ok(auth)
    }
}

fn check_method(endpoint: Endpoint, request: &Request<'_>) -> Result<(), Refusal> {
    if endpoint.allows(request.method) {
        return Ok(());
    }
    let allow = endpoint.allow();
    let response = Response::problem(405, &format!("This route answers to {allow} only.")).with_header("allow", allow);
    Err(Refusal::request(response))
}

fn not_found() -> Response {
    Response::problem(404, "There is nothing here by that name.")
}

#[cfg(test)]
mod tests {
    use jwt_knox::{Knox, MemoryStore, SigningKey, Subject};

    use super::*;

    /// A rotation comes between the guard and the route: the login lives on under another token, so it has not been
    /// ended.
    #[tokio::test]
    async fn a_logout_that_ended_nothing_does_not_say_so() {
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
        let http = KnoxHttp::builder(knox.clone()).build().unwrap();
        let issued = knox.issue(Subject::new("alice").unwrap()).await.unwrap();
        let header = format!("Bearer {}", issued.token.expose());
        let request = Request::new("POST", "/logout", |name| (name == "authorization").then_some(header.as_bytes()));
        let outcome = http.authenticate(&request).await;
        let guarded = http.remember(&request, &outcome);
        let rotated = knox.rotate(&outcome.unwrap()).await.unwrap();

        let response = http.respond(Endpoint::Logout, &request.clone().with_verification(Some(&guarded))).await;
        assert_eq!(response.status(), 401);
        assert!(knox.authenticate(rotated.token.expose()).await.is_ok());
    }
}
