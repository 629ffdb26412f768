//! Logins of the application's own.

use std::borrow::Cow;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use jwt_knox::{NewSession, SessionId, StoreError};
use jwt_knox_http::{KnoxHttp, LoginError, PendingLogin};

use crate::{
    rejection::KnoxRejection,
    task::to_its_end,
    translate::{self, request_with_headers},
};

/// A login of the application's own: by OAuth, a passkey, a link in a mail, or a form of its own. It answers as
/// `/get_token` does.
///
/// Take it as the first argument, so that it is there before the handler reads what the login is checked against.
/// `login_time_limit` is for the built-in routes and not for such a handler, which sets its own.
///
/// # Examples
///
/// ```
/// use axum::Json;
/// use jwt_knox_axum::{KnoxLogin, KnoxRejection, KnoxResponse, LoginError, jwt_knox::NewSession};
///
/// #[derive(serde::Deserialize)]
/// struct Link {
///     code: String,
/// }
///
/// # async fn user_of(code: &str) -> Option<i64> { code.parse().ok() }
/// async fn log_in(login: KnoxLogin, Json(link): Json<Link>) -> Result<KnoxResponse, KnoxRejection> {
///     let user = user_of(&link.code).await.ok_or_else(|| login.reject(LoginError::InvalidCredentials))?;
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
        let response = to_its_end(self.0.log_in(new.into())).await;
        Ok(KnoxResponse(response.unwrap_or_else(|| Err(StoreError::new("the server is shutting down").into()))?))
    }
}

impl<S> FromRequestParts<S> for KnoxLogin
where
    KnoxHttp: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = KnoxRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, KnoxRejection> {
        let knox = KnoxHttp::from_ref(state);
        Ok(Self(knox.begin_login(&request_with_headers(&knox, parts))?))
    }
}

/// A response of the contract, for a handler to return.
#[derive(Debug, Clone)]
#[must_use = "it is a response to send"]
pub struct KnoxResponse(pub jwt_knox_http::Response);

impl IntoResponse for KnoxResponse {
    fn into_response(self) -> Response {
        translate::response(self.0)
    }
}
