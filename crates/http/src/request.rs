//! The request, as an adapter gives it.

use std::time::Duration;

use crate::{authorization::Authorization, slot::AuthSlot};

/// The part of an HTTP request that the contract looks at, in plain bytes. [`KnoxHttp::request`] makes one.
///
/// [`KnoxHttp::request`]: crate::KnoxHttp::request
#[derive(Clone)]
pub struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) authorization: Authorization<'a>,
    pub(crate) content_type: Option<&'a [u8]>,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
    pub(crate) body: Body<'a>,
    pub(crate) slot: Option<&'a AuthSlot>,
}

/// The body of a request, as far as an adapter could read it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Body<'a> {
    /// All of it.
    Complete(&'a [u8]),
    /// It is longer than [`Request::MAX_BODY_BYTES`], or broke off, and was not read to its end.
    TooLarge,
    /// It was not there after [`Request::BODY_TIMEOUT`].
    TooSlow,
}

impl std::fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The bytes may be a password.
        f.write_str(match self {
            Self::Complete(_) => "Complete(redacted)",
            Self::TooLarge => "TooLarge",
            Self::TooSlow => "TooSlow",
        })
    }
}

impl<'a> Request<'a> {
    /// The longest body that is read, in bytes.
    pub const MAX_BODY_BYTES: usize = 8 * 1024;

    /// How long an adapter waits for a body.
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

    /// A request without a body, with its credential in the header of the name `credential`.
    pub(crate) fn new<V>(method: &'a str, path: &'a str, credential: &str, header: impl Fn(&str) -> V) -> Self
    where
        V: IntoIterator<Item = &'a [u8]>,
    {
        let first = |name| header(name).into_iter().next();
        Self {
            method,
            path,
            authorization: Authorization::new(header(credential)),
            content_type: first("content-type"),
            user_agent: first("user-agent"),
            headers: Vec::new(),
            body: Body::Complete(&[]),
            slot: None,
        }
    }

    /// Adds all headers, which a [`Login`](crate::Login) may ask for. A guard needs none of them.
    #[must_use]
    pub fn with_headers(self, headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        Self { headers: headers.into_iter().collect(), ..self }
    }

    /// Adds the body.
    #[must_use]
    pub fn with_body(self, body: Body<'a>) -> Self {
        Self { body, ..self }
    }

    /// Adds the slot that the adapter keeps with this request, so that it is verified once however many guards ask.
    #[must_use]
    pub fn with_slot(self, slot: &'a AuthSlot) -> Self {
        Self { slot: Some(slot), ..self }
    }
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither headers nor body: both carry secrets.
        f.debug_struct("Request").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}
