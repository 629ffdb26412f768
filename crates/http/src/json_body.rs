//! The body of a request, as a JSON object.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{
    authorization::trim,
    problem::ProblemCode,
    rejection::Cause,
    request::{Body, Request},
};

/// What a route wants as its body, in the words of the answer to a client that sends something else.
pub(crate) struct Wanted {
    /// For one that is not called JSON.
    pub(crate) media_type: &'static str,
    /// For one that is not such an object.
    pub(crate) form: &'static str,
}

/// The object that is the body of `request`; `None`: it has none.
pub(crate) fn object<'a, T: Deserialize<'a>>(request: &Request<'a>, wanted: &Wanted) -> Result<Option<T>, Cause> {
    let invalid = || error(ProblemCode::InvalidRequest, wanted.form);
    match request.body {
        Body::TooSlow => Err(error(ProblemCode::RequestTimeout, "Timed out waiting for the request body.")),
        Body::TooLarge => Err(too_large()),
        Body::Complete(body) if body.len() > Request::MAX_BODY_BYTES => Err(too_large()),
        Body::Complete([]) => Ok(None),
        Body::Complete(_) if !is_json(request.content_type) => {
            Err(error(ProblemCode::UnsupportedMediaType, wanted.media_type))
        }
        // Serde would also take an array for a struct.
        Body::Complete(body) if body.trim_ascii_start().first() != Some(&b'{') => Err(invalid()),
        Body::Complete(body) => serde_json::from_slice(body).map(Some).map_err(|_| invalid()),
    }
}

fn error(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Cause {
    Cause::Other(code, detail.into())
}

fn too_large() -> Cause {
    let detail = format!("The request body must not exceed {} bytes.", Request::MAX_BODY_BYTES);
    error(ProblemCode::ContentTooLarge, detail)
}

fn is_json(content_type: Option<&[u8]>) -> bool {
    let essence = content_type.unwrap_or_default().split(|&byte| byte == b';').next().unwrap_or_default();
    trim(essence).eq_ignore_ascii_case(b"application/json")
}
