//! The body of a request, as the form in which clients of OAuth send parameters.

use std::borrow::Cow;

use crate::{
    request::{
        Request,
        body::{bytes, has_type},
    },
    response::{problem::ProblemCode, rejection::Cause},
};

/// The parameters in the body of a request (RFC 6749 Appendix B).
pub(crate) struct Form<'a>(&'a [u8]);

impl<'a> Form<'a> {
    /// Those of `request`.
    pub(crate) fn read(request: &Request<'a>) -> Result<Self, Cause> {
        const TYPE: &str = "application/x-www-form-urlencoded";
        let body = bytes(request)?;
        if body.is_empty() || has_type(request, TYPE.as_bytes()) {
            return Ok(Self(body));
        }
        let detail = "Send the parameters with the header `Content-Type: application/x-www-form-urlencoded`.";
        Err(Cause::Other(ProblemCode::UnsupportedMediaType, detail.into()))
    }

    /// A parameter, which may be there once; one without a value is not there (RFC 6749 §3.2).
    pub(crate) fn parameter(&self, name: &str, if_repeated: &'static str) -> Result<Option<Cow<'a, str>>, Cause> {
        let mut values = form_urlencoded::parse(self.0).filter(|(found, _)| found == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Cause::OAuth(ProblemCode::InvalidRequest, if_repeated)),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Body;

    fn parameter<'a>(body: &'a [u8], content_type: &'a str) -> Result<Option<Cow<'a, str>>, u16> {
        let headers = [("content-type", content_type.as_bytes())];
        let request = Request::new("POST", "/", "authorization", None, |_| None).with_headers(headers);
        let form = Form::read(&request.with_body(Body::Complete(body)));
        form.and_then(|form| form.parameter("token", "twice")).map_err(|cause| match cause {
            Cause::Other(code, _) | Cause::OAuth(code, _) => code.status(),
            _ => 0,
        })
    }

    #[test]
    fn a_parameter_is_there_once_and_has_a_value() {
        let read = |body| parameter(body, "application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(read(b"x=1&token=a.b%2Bc+d&y").unwrap().unwrap(), "a.b+c d");
        assert_eq!(read(b"%74oken=a").unwrap().unwrap(), "a");
        assert_eq!(read(b"token=\xff%ff").unwrap().unwrap(), "\u{fffd}\u{fffd}");
        for body in [b"".as_slice(), b"token", b"token=", b"Token=a", b"a=token", b"token%00=a", b"{\"token\":\"a\"}"] {
            assert_eq!(read(body), Ok(None), "{body:?}");
        }
        for body in [b"token=a&token=a".as_slice(), b"token=a&token", b"token=&token=", b"token=a&%74oken=b"] {
            assert_eq!(read(body), Err(400), "{body:?}");
        }
    }

    #[test]
    fn a_body_of_another_type_is_not_read() {
        for content_type in ["", "application/json", "text/plain", "application/x-www-form-urlencoded2"] {
            assert_eq!(parameter(b"token=a", content_type), Err(415), "{content_type}");
            assert_eq!(parameter(b"", content_type), Ok(None), "{content_type}");
        }
    }
}
