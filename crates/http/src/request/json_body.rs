//! The body of a request, as a JSON object.

use serde::Deserialize;

use crate::{
    request::{
        Request,
        body::{bytes, has_type},
    },
    response::{problem::ProblemCode, rejection::Cause},
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
    let error = |code, detail: &'static str| Cause::Other(code, detail.into());
    let invalid = || error(ProblemCode::InvalidRequest, wanted.form);
    match bytes(request)? {
        [] => Ok(None),
        _ if !has_type(request, b"application/json") => {
            Err(error(ProblemCode::UnsupportedMediaType, wanted.media_type))
        }
        // Serde would also take an array for a struct.
        body if body.trim_ascii_start().first() != Some(&b'{') => Err(invalid()),
        body => serde_json::from_slice(body).map(Some).map_err(|_| invalid()),
    }
}
