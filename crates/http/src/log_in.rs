//! A login that is under way, after the credentials were read and before there is a session.

use jwt_knox::{IssueError, Issued, NewSession, Revocation, Session, SessionId, SessionRef, Timestamp};

use crate::{
    knox_http::KnoxHttp,
    login::WRONG_PASSWORD,
    problem::ProblemCode,
    rejection::{Cause, HttpRejection},
    request::Request,
    response::Response,
};

/// A login of the application's own that is under way: by OAuth, a passkey, a link in a mail, or a form of its own.
///
/// [`KnoxHttp::begin_login`] makes one before the application checks who logs in; [`log_in`](Self::log_in) answers as
/// `/get_token` does.
#[derive(Debug, Clone)]
#[must_use = "it begins a session when `log_in` is called"]
pub struct PendingLogin {
    knox: KnoxHttp,
    began_at: Timestamp,
    user_agent: Option<String>,
    end_session: Option<SessionId>,
    rejected: Rejected,
}

/// How a login is answered that is rejected without a reason.
#[derive(Debug, Clone, Copy)]
struct Rejected {
    detail: &'static str,
    offer_basic: bool,
}

impl KnoxHttp {
    /// Begins a login of the application's own. Call it before you read what the login is checked against: a session of
    /// a password that was changed in the meantime does not begin.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`] if the request may not log in at all.
    pub fn begin_login(&self, request: &Request<'_>) -> Result<PendingLogin, HttpRejection> {
        let rejected = Rejected { detail: "The login was rejected.", offer_basic: false };
        Ok(PendingLogin::new(self, request, rejected))
    }

    /// Logs in whom the application has checked, and answers as `/get_token` does: with the token, with the label from
    /// `User-Agent`, and with the same rejections. A login whose check takes a while calls
    /// [`begin_login`](Self::begin_login) before it.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`], with the response to send: 401 if the user is inactive or the login was superseded, 403 at the
    /// session limit, 503 if the store cannot tell.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, NewSession, SigningKey};
    /// use jwt_knox_http::KnoxHttp;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// let knox = KnoxHttp::builder(Knox::builder(key).store(MemoryStore::new()).build()?).build()?;
    /// let request = knox.request("GET", "/oauth/callback", |_| None);
    /// let response = knox.log_in(NewSession::new(42), &request).await?;
    /// assert_eq!(response.status(), 200);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn log_in(&self, new: impl Into<NewSession>, request: &Request<'_>) -> Result<Response, HttpRejection> {
        self.begin_login(request)?.log_in(new).await
    }
}

impl PendingLogin {
    fn new(knox: &KnoxHttp, request: &Request<'_>, rejected: Rejected) -> Self {
        let user_agent = request.user_agent.map(|agent| String::from_utf8_lossy(agent).into_owned());
        Self { knox: knox.clone(), began_at: knox.now(), user_agent, end_session: None, rejected }
    }

    /// For a login by user name and password. With `offer_basic`, a browser may ask its user for them again.
    pub(crate) fn by_password(knox: &KnoxHttp, request: &Request<'_>, offer_basic: bool) -> Self {
        Self::new(knox, request, Rejected { detail: WRONG_PASSWORD, offer_basic })
    }

    /// The session that ends if, and only if, the limit would deny the login otherwise.
    pub fn end_session(self, end_session: impl Into<Option<SessionId>>) -> Self {
        Self { end_session: end_session.into(), ..self }
    }

    /// Logs in whom the application has checked, and answers as `/get_token` does.
    ///
    /// # Errors
    ///
    /// As for [`KnoxHttp::log_in`].
    pub async fn log_in(self, new: impl Into<NewSession>) -> Result<Response, HttpRejection> {
        let knox = &self.knox;
        let mut new = new.into().default_began_at(self.began_at);
        if let Some(user_agent) = &self.user_agent {
            new = new.default_label(user_agent);
        }
        match self.issue(&new).await {
            Ok(issued) => knox.token_response(&issued),
            // An inactive user with the right password, or one whose password was changed in the meantime, is told what
            // one with a wrong password is told.
            Err(IssueError::Rejected(_) | IssueError::Superseded) => Err(knox.reject(self.rejected.cause())),
            Err(error @ IssueError::LimitReached { max }) if knox.may_use_sessions(new.scope()) => {
                let records = knox.sessions(new.subject()).await.map_err(|error| knox.reject(error))?;
                Err(knox.reject(Cause::Limit { error, max, sessions: records.iter().map(Session::from).collect() }))
            }
            Err(error) => Err(knox.reject(error)),
        }
    }

    /// Begins the session. If the limit denies it, `end_session` ends for it: a user all of whose answers were lost has
    /// the password and no token, and must not be locked out.
    async fn issue(&self, new: &NewSession) -> Result<Issued, IssueError> {
        let knox = &self.knox;
        let outcome = knox.issue(new.clone()).await;
        // Only here is it known that the login is neither inactive nor superseded.
        let Err(IssueError::LimitReached { .. }) = &outcome else { return outcome };
        let Some(id) = self.end_session.filter(|_| knox.may_use_sessions(new.scope())) else { return outcome };
        match knox.revoke(&SessionRef::new(new.subject().clone(), id)).await? {
            Revocation::Revoked => knox.issue(new.clone()).await,
            Revocation::NotFound => outcome,
        }
    }
}

impl Rejected {
    fn cause(self) -> Cause {
        let Self { detail, offer_basic } = self;
        Cause::Credentials { code: ProblemCode::InvalidCredentials, detail, offer_basic }
    }
}

#[cfg(test)]
mod tests {
    use jwt_knox::{Knox, ManualClock, MemoryStore, SigningKey, Subject};

    use super::*;

    /// The password is changed, and all sessions are ended, while the application checks who logs in.
    #[tokio::test]
    async fn an_own_login_under_way_does_not_survive_a_logout_everywhere() {
        let clock = ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap());
        let key = SigningKey::hs256([7; 32]).unwrap();
        let knox = Knox::builder(key).store(MemoryStore::new()).clock(clock.clone()).build().unwrap();
        let http = KnoxHttp::builder(knox).build().unwrap();
        let request = http.request("POST", "/own", |_| None);
        let pending = http.begin_login(&request).unwrap();
        clock.set(Timestamp::from_second(1_800_000_001).unwrap());
        http.revoke_all(&Subject::from(42)).await.unwrap();
        let rejection = pending.log_in(42).await.unwrap_err();
        assert_eq!((rejection.status(), rejection.code()), (401, "invalid_credentials"));
        assert_eq!(http.log_in(42, &request).await.unwrap().status(), 200);
    }
}
