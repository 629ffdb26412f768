//! The body of a request, whatever is in it.

use crate::{
    request::{Body, Request, credential::trim},
    response::{problem::ProblemCode, rejection::Cause},
};

/// The whole body of `request`.
pub(crate) fn bytes<'a>(request: &Request<'a>) -> Result<&'a [u8], Cause> {
    match request.body {
        Body::TooSlow => {
            Err(Cause::Other(ProblemCode::RequestTimeout, "Timed out waiting for the request body.".into()))
        }
        Body::Complete(body) if body.len() <= Request::MAX_BODY_BYTES => Ok(body),
        Body::Complete(_) | Body::TooLarge => {
            let detail = format!("The request body must not exceed {} bytes.", Request::MAX_BODY_BYTES);
            Err(Cause::Other(ProblemCode::ContentTooLarge, detail.into()))
        }
    }
}

/// Whether the body of `request` is said to be of that media type, with parameters or without.
pub(crate) fn has_type(request: &Request<'_>, media_type: &[u8]) -> bool {
    let content_type = request.header("content-type").unwrap_or_default();
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    trim(essence).eq_ignore_ascii_case(media_type)
}
