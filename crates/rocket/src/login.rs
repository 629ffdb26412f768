//! Logins of the application's own.

use std::borrow::Cow;

use jwt_knox::{NewSession, SessionId};
use jwt_knox_http::{HttpRejection, KnoxHttp, LoginError, PendingLogin};
use rocket::{
    Ignite, Request, Rocket, Sentinel,
    request::{FromRequest, Outcome},
    response::{self, Responder},
};

use crate::{
    rejection::KnoxRejection,
    translate::{self, configured, is_unconfigured},
};

/// A login of the application's own: by OAuth, a passkey, a link in a mail, or a form of its own. It answers as
/// `/get_token` does.
///
/// Take it as an argument, so that it is there before the handler reads what the login is checked against.
/// `login_time_limit` is for the built-in routes and not for such a handler, which sets its own.
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::{KnoxLogin, KnoxRejection, KnoxResponse, LoginError, jwt_knox::NewSession};
/// use rocket::post;
///
/// # async fn user_of(code: &str) -> Option<i64> { code.parse().ok() }
/// #[post("/link", data = "<code>")]
/// async fn log_in(login: KnoxLogin, code: String) -> Result<KnoxResponse, KnoxRejection> {
///     let user = user_of(&code).await.ok_or_else(|| login.reject(LoginError::InvalidCredentials))?;
///     login.log_in(NewSession::new(user)).await
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use = "it begins a session when `log_in` is called"]
pub struct KnoxLogin(pub PendingLogin);

impl KnoxLogin {
    /// The session that ends if, and only if, the limit would deny the login otherwise.
    pub fn end_session(self, end_session: impl Into<Option<SessionId>>) -> Self {
        Self(self.0.end_session(end_session))
    }

    /// Answers with the token in the body even if cookies are on: for a client that is no browser, which need not send
    /// an `Origin` then.
    pub fn without_cookie(self) -> Self {
        Self(self.0.without_cookie())
    }

    /// Keeps the cookie of this session until the browser is closed: for a login without a tick at "keep me logged in".
    pub fn until_browser_closes(self) -> Self {
        Self(self.0.until_browser_closes())
    }

    /// Sends the browser to that page after the login, with 303: for a callback or a link that it has followed. It
    /// needs cookies. Take a page of your own, never one that somebody else can choose.
    pub fn redirect_to(self, location: impl Into<Cow<'static, str>>) -> Self {
        Self(self.0.redirect_to(location))
    }

    /// Rejects the login, as the built-in routes do: wrong credentials ([`LoginError::InvalidCredentials`]) are
    /// reported to the log and the observer, which the bare error is not.
    #[must_use]
    pub fn reject(&self, error: LoginError) -> KnoxRejection {
        self.0.reject(error).into()
    }

    /// Logs in whom the application has checked. It does so to the end, even if the client goes away.
    ///
    /// # Errors
    ///
    /// [`KnoxRejection`], with the response to send: 401 if the user is inactive or the login was superseded, 403 at
    /// the session limit, or `cross_origin` without the proof that a cookie needs, 503 if the store cannot tell.
    pub async fn log_in(self, new: impl Into<NewSession>) -> Result<KnoxResponse, KnoxRejection> {
        Ok(KnoxResponse(self.0.log_in(new).await?))
    }
}

impl KnoxLogin {
    fn extract(request: &Request<'_>) -> Result<Self, HttpRejection> {
        let knox: KnoxHttp = configured(request)?;
        let headers: Vec<_> = request.headers().iter().collect();
        Ok(Self(knox.begin_login(&translate::request(&knox, request).with_headers(translate::headers(&headers)))?))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for KnoxLogin {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::extract(request))
    }
}

impl Sentinel for KnoxLogin {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured::<KnoxHttp>(rocket)
    }
}

/// A response of the contract, for a handler to return.
#[derive(Debug, Clone)]
#[must_use = "it is a response to send"]
pub struct KnoxResponse(pub jwt_knox_http::Response);

impl<'r> Responder<'r, 'static> for KnoxResponse {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        Ok(translate::response(self.0))
    }
}
