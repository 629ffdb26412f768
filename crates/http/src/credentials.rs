//! Reading credentials out of a request: a bearer token, or a user name and a password.

use std::{borrow::Cow, fmt};

use base64ct::{Base64, Encoding};
use jwt_knox::SessionId;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    authorization::{Authorization, after_scheme, trim},
    problem::ProblemCode,
    rejection::Cause,
    request::{Body, Request},
};

/// A user name and a password that a client sent.
///
/// Neither has a control character, and neither is longer than 1024 bytes. `Debug` is redacted, and the password is
/// wiped from memory when dropped.
#[derive(Clone)]
pub struct Credentials {
    username: String,
    password: Zeroizing<String>,
}

impl Credentials {
    /// The longest user name and the longest password, in bytes.
    const MAX_BYTES: usize = 1024;

    /// The user name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Rejects credentials that no account can have.
    fn new(username: &str, password: &str) -> Option<Self> {
        let is_plausible = |text: &str| text.len() <= Self::MAX_BYTES && !text.chars().any(char::is_control);
        (!username.is_empty() && is_plausible(username) && is_plausible(password))
            .then(|| Self { username: username.to_owned(), password: Zeroizing::new(password.to_owned()) })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// What a client sent to log in with.
pub(crate) enum Presented {
    Nothing,
    /// By HTTP Basic; `None` if no account can have them.
    Basic(Option<Credentials>),
    /// In a JSON body; likewise. With the session that is to end for the new one, if the client names one.
    Json(Option<Credentials>, Option<SessionId>),
    /// A body that cannot be read.
    Unreadable(Cause),
}

/// What a client sent to log in with: HTTP Basic if there is any, otherwise the body.
pub(crate) fn login(request: &Request<'_>) -> Presented {
    if let Authorization::One(value) = request.authorization
        && let Some(encoded) = after_scheme(value, "Basic")
    {
        return Presented::Basic(basic(encoded));
    }
    if matches!(request.authorization, Authorization::Several) {
        return Presented::Basic(None);
    }
    match request.body {
        Body::TooSlow => unreadable(ProblemCode::RequestTimeout, "Timed out waiting for the request body."),
        Body::TooLarge => too_large(),
        Body::Complete(body) if body.len() > Request::MAX_BODY_BYTES => too_large(),
        Body::Complete([]) => Presented::Nothing,
        Body::Complete(_) if !is_json(request.content_type) => unreadable(
            ProblemCode::UnsupportedMediaType,
            "Log in with HTTP Basic, or with a JSON body and the header `Content-Type: application/json`.",
        ),
        // Serde would also take an array for a struct.
        Body::Complete(body) if body.trim_ascii_start().first() != Some(&b'{') => not_credentials(),
        Body::Complete(body) => match serde_json::from_slice::<JsonCredentials<'_>>(body) {
            Ok(sent) => {
                let end_session = sent.end_session;
                Presented::Json(sent.into_credentials(), end_session)
            }
            Err(_) => not_credentials(),
        },
    }
}

fn unreadable(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Presented {
    Presented::Unreadable(Cause::Other(code, detail.into()))
}

fn not_credentials() -> Presented {
    let detail = r#"The body must be JSON of the form {"username": "…", "password": "…"}."#;
    unreadable(ProblemCode::InvalidRequest, detail)
}

fn too_large() -> Presented {
    let detail = format!("The request body must not exceed {} bytes.", Request::MAX_BODY_BYTES);
    unreadable(ProblemCode::ContentTooLarge, detail)
}

/// Whether a login looks at the body at all. What nobody looks at, nobody should wait for.
pub(crate) fn login_needs_body(request: &Request<'_>) -> bool {
    match request.authorization {
        Authorization::None => true,
        Authorization::One(value) => after_scheme(value, "Basic").is_none(),
        Authorization::Several => false,
    }
}

#[derive(Deserialize)]
struct JsonCredentials<'a> {
    #[serde(borrow)]
    username: Cow<'a, str>,
    #[serde(borrow)]
    password: Cow<'a, str>,
    end_session: Option<SessionId>,
}

impl JsonCredentials<'_> {
    fn into_credentials(self) -> Option<Credentials> {
        let credentials = Credentials::new(&self.username, &self.password);
        // A password with escapes in it is a copy of its own.
        if let Cow::Owned(mut password) = self.password {
            password.zeroize();
        }
        credentials
    }
}

/// RFC 7617 §2: base64 of the user name, a colon and the password, as UTF-8.
fn basic(encoded: &[u8]) -> Option<Credentials> {
    const MAX_ENCODED_BYTES: usize = (2 * Credentials::MAX_BYTES + 1).div_ceil(3) * 4;
    if encoded.len() > MAX_ENCODED_BYTES {
        return None;
    }
    let decoded = Zeroizing::new(Base64::decode_vec(std::str::from_utf8(encoded).ok()?).ok()?);
    let (username, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Credentials::new(username, password)
}

fn is_json(content_type: Option<&[u8]>) -> bool {
    let essence = content_type.unwrap_or_default().split(|&byte| byte == b';').next().unwrap_or_default();
    trim(essence).eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_read_up_to_the_first_colon() {
        let read = |text: &[u8]| basic(Base64::encode_string(text).as_bytes());
        let credentials = read(b"alice:won:der").unwrap();
        assert_eq!((credentials.username(), credentials.password()), ("alice", "won:der"));
        assert_eq!(read("Zoë:ü".as_bytes()).unwrap().password(), "ü");
        assert_eq!(read(b"alice:").unwrap().password(), "");
        for text in [b"alice".as_slice(), b":x", b"", b"\xff:x", b"a\0:x", b"a:x\n", &[b'a'; 3000], b"a:\x7f"] {
            assert!(read(text).is_none());
        }
        for encoded in ["YTpi=", "YT pi", "****", "YTpi\n", "YWxpY2U6eA"] {
            assert!(basic(encoded.as_bytes()).is_none(), "{encoded}");
        }
    }

    #[test]
    fn json_is_read_if_it_is_called_json() {
        let read = |content_type: &'static str, body: &'static str| {
            let request = Request::new("POST", "/", move |name| match name {
                "content-type" => vec![content_type.as_bytes()],
                _ => Vec::new(),
            });
            match login(&request.with_body(Body::Complete(body.as_bytes()))) {
                Presented::Json(Some(credentials), None) => Ok(credentials.username().to_owned()),
                Presented::Json(Some(_), Some(_)) => Err(1),
                Presented::Json(None, _) => Err(401),
                Presented::Unreadable(Cause::Other(code, _)) => Err(code.status()),
                Presented::Unreadable(_) => Err(1),
                Presented::Nothing | Presented::Basic(_) => Err(0),
            }
        };
        let good = r#"{"username":"al\u0069ce","password":"x"}"#;
        assert_eq!(read("application/json", good), Ok("alice".to_owned()));
        assert_eq!(read("Application/JSON ; charset=utf-8", good), Ok("alice".to_owned()));
        for content_type in ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
            assert_eq!(read(content_type, good), Err(415), "{content_type}");
        }
        for body in [
            "{",
            "[]",
            "null",
            r#"{"username":"a"}"#,
            r#"{"username":1,"password":"x"}"#,
            r#"{"username":"\ud800","password":"x"}"#,
        ] {
            assert_eq!(read("application/json", body), Err(400), "{body}");
        }
        let ending = r#"{"username":"a","password":"x","end_session":"ba7816bf8f01cfea414140de5dae2223"}"#;
        assert_eq!(read("application/json", ending), Err(1));
        assert_eq!(
            read("application/json", r#"{"username":"a","password":"x","end_session":null}"#),
            Ok("a".to_owned())
        );
        assert_eq!(read("application/json", r#"{"username":"a","password":"x","end_session":"1"}"#), Err(400));
        assert_eq!(read("application/json", r#"{"username":"a\u0000","password":"x"}"#), Err(401));
        assert_eq!(read("application/json", r#"{"username":"","password":"x"}"#), Err(401));
        assert_eq!(read("application/json", ""), Err(0));
    }

    #[test]
    fn debug_shows_no_credentials() {
        assert_eq!(format!("{:?}", Credentials::new("alice", "wonderland")), "Some(Credentials(redacted))");
    }
}
