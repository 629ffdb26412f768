//! The trait that `KnoxHttp` and `VerifierHttp` share.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{request::Request, response::rejection::HttpRejection};

/// What a guard asks who sends a request: a [`KnoxHttp`](crate::KnoxHttp), or a [`VerifierHttp`](crate::VerifierHttp)
/// where there is no store. An adapter writes its guards once for both, on top of a
/// [`Requirement`](crate::Requirement). There are no other handles.
pub trait Handle: Sealed + Clone + fmt::Debug + Send + Sync + 'static {
    /// The name of the type, for what an adapter tells the developer.
    const NAME: &'static str;

    /// What a valid token gives.
    type Auth: Clone + fmt::Debug + Send + Sync + 'static;

    /// What a requirement may ask for besides a valid token and its scopes.
    type Conditions: Clone + fmt::Debug + Default + Send + Sync + 'static;

    /// A request in the words of the contract; see [`KnoxHttp::request`](crate::KnoxHttp::request).
    fn request<'a, V>(&self, method: &'a str, path: &'a str, header: impl Fn(&str) -> V) -> Request<'a>
    where
        V: IntoIterator<Item = &'a [u8]>;

    /// Decides who sends `request`, as `conditions` want it. The future does not hold the request.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`], with the response to send.
    fn authenticate_with<'a>(
        &'a self,
        request: &Request<'a>,
        conditions: &'a Self::Conditions,
    ) -> impl Future<Output = Result<Self::Auth, HttpRejection>> + Send + use<'a, Self>;

    /// Returns an error unless the token of `auth` has that scope.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`] with 403 and `insufficient_scope` if it does not.
    fn require_scope(&self, auth: &Self::Auth, scope: &str) -> Result<(), HttpRejection>;

    /// Returns an error unless `auth` meets the rest of `conditions`.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`], with the response to send.
    fn require_conditions(&self, auth: &Self::Auth, conditions: &Self::Conditions) -> Result<(), HttpRejection>;

    /// The claims of the token as a type of the application.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`] with 401 if they do not fit `T`.
    fn claims<T: DeserializeOwned>(&self, auth: &Self::Auth) -> Result<T, HttpRejection>;
}

/// Keeps others from writing handles, which would decide who is let in.
pub trait Sealed {}
