//! What an adapter hands in.

use crate::knox_http::Verification;

/// The part of an HTTP request that the contract looks at, in plain bytes.
///
/// An adapter says how to find the values of a header; which headers matter is decided here.
///
/// # Examples
///
/// ```
/// use jwt_knox_http::Request;
///
/// let headers = [("authorization", b"Bearer a.b.c".as_slice())];
/// let request = Request::new("GET", "/verify", |name| {
///     headers.iter().filter(move |(header, _)| *header == name).map(|(_, value)| *value)
/// });
/// ```
#[derive(Clone)]
pub struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) authorization: Authorization<'a>,
    pub(crate) content_type: Option<&'a [u8]>,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) body: Body<'a>,
    pub(crate) verification: Option<&'a Verification>,
}

/// The `Authorization` header, of which there may be one at most (RFC 9110 §11.6.2).
#[derive(Clone, Copy)]
pub(crate) enum Authorization<'a> {
    None,
    One(&'a [u8]),
    Several,
}

#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    TooLarge,
}

impl<'a> Request<'a> {
    /// The longest body that is read, in bytes.
    pub const MAX_BODY_BYTES: usize = 8 * 1024;

    /// A request without a body.
    ///
    /// `path` is the path of the URL as it was sent, percent-encoded. `header` gives all values of the header with that
    /// name, which is in lower case; names of headers compare without regard to case.
    pub fn new<V>(method: &'a str, path: &'a str, header: impl Fn(&'static str) -> V) -> Self
    where
        V: IntoIterator<Item = &'a [u8]>,
    {
        let first = |name| header(name).into_iter().next();
        let mut authorization = header("authorization").into_iter();
        Self {
            method,
            path,
            authorization: match (authorization.next(), authorization.next()) {
                (None, _) => Authorization::None,
                (Some(value), None) => Authorization::One(value),
                (Some(_), Some(_)) => Authorization::Several,
            },
            content_type: first("content-type"),
            user_agent: first("user-agent"),
            body: Body::Bytes(&[]),
            verification: None,
        }
    }

    /// Adds the body. `None`: it was longer than [`MAX_BODY_BYTES`](Self::MAX_BODY_BYTES) and was not read to its end.
    #[must_use]
    pub fn with_body(self, body: Option<&'a [u8]>) -> Self {
        let body = match body {
            Some(bytes) if bytes.len() <= Self::MAX_BODY_BYTES => Body::Bytes(bytes),
            _ => Body::TooLarge,
        };
        Self { body, ..self }
    }

    /// Adds what [`KnoxHttp::remember`](crate::KnoxHttp::remember) gave for this request before, so that it is verified
    /// once however many guards ask.
    #[must_use]
    pub fn with_verification(self, verification: Option<&'a Verification>) -> Self {
        Self { verification, ..self }
    }
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither headers nor body: both carry secrets.
        f.debug_struct("Request").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}
