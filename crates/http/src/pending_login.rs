//! A login that is under way, after the credentials were read and before there is a session.

use std::{borrow::Cow, error::Error, fmt};

use jwt_knox::{IssueError, Issued, NewSession, Revocation, SessionId, SessionInfo, SessionRef, Timestamp};
use zeroize::Zeroizing;

use crate::{
    knox_http::KnoxHttp,
    login::{LoginError, WRONG_PASSWORD},
    request::{
        Request,
        cookies::{COOKIE_ATTRIBUTE, UNTIL_BROWSER_CLOSES},
        credential::cookie_token,
    },
    response::{
        Response,
        problem::ProblemCode,
        rejection::{Cause, HttpRejection},
    },
};

/// A login of the application's own that is under way: by OAuth, a passkey, a link in a mail, or a form of its own.
///
/// [`KnoxHttp::begin_login`] makes one before the application checks who logs in; [`log_in`](Self::log_in) answers as
/// `/get_token` does.
#[derive(Clone)]
#[must_use = "it begins a session when `log_in` is called"]
pub struct PendingLogin {
    knox: KnoxHttp,
    began_at: Timestamp,
    user_agent: Option<String>,
    end_session: Option<SessionId>,
    rejected: Rejected,
    transport: Transport,
    /// Whether a page of the same origin has sent the request, as far as a cookie needs that.
    is_same_origin: bool,
    /// The session that the browser has now.
    before: Option<Zeroizing<Vec<u8>>>,
    location: Option<Cow<'static, str>>,
    until_browser_closes: bool,
}

/// How the token reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Body,
    Cookie,
}

/// How a login is answered that is rejected without a reason.
#[derive(Debug, Clone, Copy)]
struct Rejected {
    detail: &'static str,
    offer_basic: bool,
}

impl KnoxHttp {
    /// Begins a login of the application's own. Call it before you read what the login is checked against: a session of
    /// a password that was changed in the meantime does not begin. Give the request
    /// [all headers](Request::with_headers), among which the label is found.
    ///
    /// With cookies on, a request that is no GET needs a [proof] that a page of the same origin has sent it. This
    /// rejects only proof of the contrary; [`log_in`](PendingLogin::log_in) asks for the proof, since a login [without
    /// a cookie](PendingLogin::without_cookie) needs none. A callback that a GET reaches needs a proof of its own, such
    /// as the `state` of OAuth.
    ///
    /// [proof]: crate::KnoxHttpBuilder::cookies
    ///
    /// # Errors
    ///
    /// [`HttpRejection`] with 403 `cross_origin` if cookies are on and the browser says that a page of another origin
    /// has sent the request, unless it is a GET.
    pub fn begin_login(&self, request: &Request<'_>) -> Result<PendingLogin, HttpRejection> {
        self.protocol().require_no_foreign_page(request)?;
        let rejected = Rejected { detail: "The login was rejected.", offer_basic: false };
        let transport = if self.cookies().is_some() { Transport::Cookie } else { Transport::Body };
        Ok(PendingLogin::new(self, request, rejected, transport))
    }

    /// Logs in whom the application has checked, and answers as `/get_token` does: with the token, with the label from
    /// `User-Agent` if the request has [all headers](Request::with_headers), and with the same rejections. With
    /// [cookies](crate::KnoxHttpBuilder::cookies) on it answers as `/login` does: the token is in the cookie and not in
    /// the body. A login whose check takes a while calls [`begin_login`](Self::begin_login) before it.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`], with the response to send: 401 if the user is inactive or the login was superseded, 403 at
    /// the session limit, or `cross_origin` without the proof that a cookie needs, 503 if the store cannot tell.
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
    fn new(knox: &KnoxHttp, request: &Request<'_>, rejected: Rejected, transport: Transport) -> Self {
        let user_agent = request.header("user-agent").map(|agent| String::from_utf8_lossy(agent).into_owned());
        let before = cookie_token(request.cookie(), knox.max_token_bytes()).ok().flatten();
        Self {
            knox: knox.clone(),
            began_at: knox.now(),
            user_agent,
            end_session: None,
            rejected,
            transport,
            is_same_origin: knox.protocol().require_same_origin(request).is_ok(),
            before: before.filter(|_| transport == Transport::Cookie).map(|token| Zeroizing::new(token.to_owned())),
            location: None,
            until_browser_closes: false,
        }
    }

    /// For `/get_token`. With `offer_basic`, a browser may ask its user for the password again.
    pub(crate) fn for_token(knox: &KnoxHttp, request: &Request<'_>, offer_basic: bool) -> Self {
        Self::new(knox, request, Rejected { detail: WRONG_PASSWORD, offer_basic }, Transport::Body)
    }

    /// For `/login`.
    pub(crate) fn for_cookie(knox: &KnoxHttp, request: &Request<'_>) -> Self {
        Self::new(knox, request, Rejected { detail: WRONG_PASSWORD, offer_basic: false }, Transport::Cookie)
    }

    /// Answers with the token in the body even if cookies are on: for a client that is no browser, such as an app on a
    /// phone. Such a client need not send an `Origin`. A request that a browser says comes from another origin is
    /// rejected all the same, since the handler may go by what the browser remembers.
    pub fn without_cookie(self) -> Self {
        Self { transport: Transport::Body, before: None, ..self }
    }

    /// Keeps the cookie of this session until the browser is closed, as
    /// [`Cookies::until_browser_closes`](crate::Cookies::until_browser_closes) does for all: for a login without a tick
    /// at "keep me logged in". `/rotate` keeps to it; the session has the attribute `jwt_knox_cookie` for that, so a
    /// store that cannot keep attributes rejects such a login. Without cookies it makes no difference.
    pub fn until_browser_closes(self) -> Self {
        Self { until_browser_closes: true, ..self }
    }

    /// Sends the browser to that page after the login, with 303: for a callback or a link that it has followed. It
    /// needs [cookies](crate::KnoxHttpBuilder::cookies), since the token would be lost otherwise.
    ///
    /// Take a page of your own. A `location` that somebody else can choose sends users wherever they like.
    pub fn redirect_to(self, location: impl Into<Cow<'static, str>>) -> Self {
        Self { location: Some(location.into()), ..self }
    }

    /// The session that ends if, and only if, the limit would deny the login otherwise.
    pub fn end_session(self, end_session: impl Into<Option<SessionId>>) -> Self {
        Self { end_session: end_session.into(), ..self }
    }

    /// Rejects the login, as the built-in routes do. Wrong credentials ([`LoginError::InvalidCredentials`]) are
    /// reported to the log and the observer, and answered as [`log_in`](Self::log_in) answers an inactive user, so that
    /// nobody learns who has an account.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox_http::{HttpRejection, LoginError, PendingLogin, Response};
    ///
    /// # fn user_of(code: &str) -> Option<i64> { code.parse().ok() }
    /// async fn by_mail(login: PendingLogin, code: &str) -> Result<Response, HttpRejection> {
    ///     let user = user_of(code).ok_or_else(|| login.reject(LoginError::InvalidCredentials))?;
    ///     login.log_in(user).await
    /// }
    /// ```
    #[must_use]
    pub fn reject(&self, error: LoginError) -> HttpRejection {
        let knox = &self.knox;
        match error {
            LoginError::InvalidCredentials => {
                // No name: what is typed as a name is often a password.
                knox.report_rejected_login(None);
                knox.reject(self.rejected.cause())
            }
            error => knox.reject(error),
        }
    }

    /// Logs in whom the application has checked, and answers as `/get_token` does.
    ///
    /// # Errors
    ///
    /// As for [`KnoxHttp::log_in`].
    pub async fn log_in(self, new: impl Into<NewSession>) -> Result<Response, HttpRejection> {
        let knox = &self.knox;
        if self.transport == Transport::Cookie && !self.is_same_origin {
            return Err(knox.reject(Cause::cross_origin()));
        }
        let mut new = new.into().default_began_at(self.began_at);
        if let Some(user_agent) = &self.user_agent {
            new = new.default_label(user_agent);
        }
        if self.until_browser_closes && self.transport == Transport::Cookie {
            new = new.attribute(COOKIE_ATTRIBUTE, UNTIL_BROWSER_CLOSES).map_err(|error| knox.reject(error))?;
        }
        let before = self.session_before().await;
        match self.issue(&new, before.as_ref()).await {
            Ok(issued) => {
                let response = self.answer(&issued).await?;
                // The browser forgets it, so nobody could end it (ASVS 7.2.4).
                if let Some(before) = before.filter(|before| *before != issued.session.session_ref())
                    && let Err(error) = knox.revoke(&before).await
                {
                    tracing::warn!(error = &error as &dyn Error, "the session before a login could not be ended");
                }
                Ok(response)
            }
            // An inactive user with the right password, or one whose password was changed in the meantime, is told what
            // one with a wrong password is told.
            Err(IssueError::Rejected(_) | IssueError::Superseded) => Err(knox.reject(self.rejected.cause())),
            Err(error @ IssueError::LimitReached { max }) if knox.may_use_sessions(new.scope()) => {
                let records = knox.sessions(new.subject()).await.map_err(|error| knox.reject(error))?;
                Err(knox.reject(Cause::Limit { error, max, sessions: records.iter().map(SessionInfo::from).collect() }))
            }
            Err(error) => Err(knox.reject(error)),
        }
    }

    /// Begins the session. If the limit denies it, `end_session` ends for it: a user all of whose answers were lost has
    /// the password and no token, and must not be locked out.
    async fn issue(&self, new: &NewSession, before: Option<&SessionRef>) -> Result<Issued, IssueError> {
        let knox = &self.knox;
        let outcome = knox.issue(new.clone()).await;
        // Only here is it known that the login is neither inactive nor superseded.
        let Err(IssueError::LimitReached { .. }) = &outcome else { return outcome };
        let own = before.filter(|before| before.subject == *new.subject()).map(|before| before.id);
        let named = self.end_session.filter(|_| knox.may_use_sessions(new.scope()));
        let Some(id) = own.or(named) else { return outcome };
        match knox.revoke(&SessionRef::new(new.subject().clone(), id)).await? {
            Revocation::Revoked => knox.issue(new.clone()).await,
            Revocation::NotFound => outcome,
        }
    }
}

impl PendingLogin {
    /// The session that the browser has now, and forgets at this login.
    async fn session_before(&self) -> Option<SessionRef> {
        let token = self.before.as_deref()?;
        // If the store cannot tell, the login cannot be carried out either.
        self.knox.knox().authenticate_passively(token).await.ok().map(|auth| auth.session_ref())
    }

    async fn answer(&self, issued: &Issued) -> Result<Response, HttpRejection> {
        let knox = &self.knox;
        let response = match self.transport {
            Transport::Body => knox.token_response(issued),
            Transport::Cookie => knox.cookie_response(issued),
        };
        let is_location = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let response = match (&self.location, response) {
            (Some(location), Ok(response)) if self.transport == Transport::Cookie && is_location(location) => {
                Ok(Response::see_other(location.clone().into_owned()).with_cookie_of(response))
            }
            (Some(_), Ok(_)) => {
                let what = "a login that redirects needs cookies, and a location of printable ASCII";
                Err(knox.reject(Cause::Internal(what.into())))
            }
            (_, response) => response,
        };
        if response.is_err() {
            // Nobody has its token.
            if let Err(error) = knox.revoke(&issued.session.session_ref()).await {
                tracing::warn!(error = &error as &dyn Error, "a session without a client could not be ended");
            }
        }
        response
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without `before`, which is a token.
        f.debug_struct("PendingLogin")
            .field("began_at", &self.began_at)
            .field("user_agent", &self.user_agent)
            .field("end_session", &self.end_session)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
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

    #[tokio::test]
    async fn debug_shows_no_token() {
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
        let http = KnoxHttp::builder(knox).cookies(crate::Cookies::new()).build().unwrap();
        let token = http.issue(1).await.unwrap().token.expose().to_owned();
        let cookie = format!("__Host-session={token}");
        let request = http.request("POST", "/own", |name| match name {
            "cookie" => Some(cookie.as_bytes()),
            "sec-fetch-site" => Some(b"same-origin".as_slice()),
            _ => None,
        });
        let pending = http.begin_login(&request).unwrap();
        assert!(pending.before.is_some(), "the token is there");
        let response = pending.clone().log_in(1).await.unwrap();
        for shown in [format!("{request:?}"), format!("{pending:?}"), format!("{response:?}"), format!("{http:?}")] {
            assert!(!shown.contains("eyJ"), "{shown}");
        }
    }
}
