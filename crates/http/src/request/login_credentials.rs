//! The user name and the password of a login, by HTTP Basic or in a JSON body.

use std::{borrow::Cow, fmt, sync::Arc};

use base64ct::{Base64, Encoding};
use jwt_knox::SessionId;
use serde::{
    Deserialize,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    request::{
        Body, Request,
        credential::Values,
        json_body::{self, Wanted},
    },
    response::rejection::Cause,
};

/// A user name and a password that a client sent, and what else came with them: a second factor, say.
///
/// Neither has a control character, and neither is longer than 1024 bytes. `Debug` is redacted, and the password and
/// the body that it came in are wiped from memory when dropped.
#[derive(Clone)]
pub struct Credentials {
    username: String,
    password: Zeroizing<String>,
    /// The JSON object that they came in; empty if they came by HTTP Basic.
    body: Arc<Zeroizing<Vec<u8>>>,
    headers: Arc<[(String, String)]>,
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

    /// Another member of the JSON object that the credentials came in. `None`: it is not there or `null`, or they came
    /// by HTTP Basic.
    ///
    /// # Errors
    ///
    /// [`MemberError`] if the member is not a `T`, or is there twice. With a `?` in a [`Login`](crate::Login) it is
    /// answered with 400.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox_http::{Credentials, LoginError};
    ///
    /// fn one_time_code(credentials: &Credentials) -> Result<String, LoginError> {
    ///     credentials
    ///         .member("otp")?
    ///         .ok_or(LoginError::rejected(401, "second_factor_needed", "Send the code of your app as `otp`."))
    /// }
    /// ```
    pub fn member<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, MemberError> {
        if self.body.is_empty() {
            return Ok(None);
        }
        let mut body = serde_json::Deserializer::from_slice(&self.body);
        let seed = Member { name, of: std::marker::PhantomData };
        seed.deserialize(&mut body).map_err(|_| MemberError { name: name.to_owned() })
    }

    /// The first value of a header of the request, if it is UTF-8. The name is in lower case. Those with credentials in
    /// them, `authorization` and `cookie`, are not there.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Rejects credentials that no account can have.
    fn new(username: &str, password: &str) -> Option<Self> {
        let is_plausible = |text: &str| text.len() <= Self::MAX_BYTES && !text.chars().any(char::is_control);
        (!username.is_empty() && is_plausible(username) && is_plausible(password)).then(|| Self {
            username: username.to_owned(),
            password: Zeroizing::new(password.to_owned()),
            body: Arc::default(),
            headers: Arc::default(),
        })
    }

    fn with_body_of(self, request: &Request<'_>) -> Self {
        let Body::Complete(body) = request.body else { return self };
        Self { body: Arc::new(Zeroizing::new(body.to_vec())), ..self }
    }

    pub(crate) fn with_headers_of(self, request: &Request<'_>) -> Self {
        let has_secret = |name: &str| SECRET_HEADERS.iter().any(|secret| name.eq_ignore_ascii_case(secret));
        let text = |value| std::str::from_utf8(value).ok().map(str::to_owned);
        let headers = request.headers.iter().filter(|(name, _)| !has_secret(name));
        let headers = headers.filter_map(|&(name, value)| Some((name.to_owned(), text(value)?)));
        Self { headers: headers.collect(), ..self }
    }
}

const SECRET_HEADERS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// A member of the body of a login is not what the [`Login`](crate::Login) reads there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the member `{name}` of the body is duplicated or has the wrong type")]
pub struct MemberError {
    name: String,
}

impl MemberError {
    /// The name of the member.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Reads one member of an object, and nothing of the others.
struct Member<'n, T> {
    name: &'n str,
    of: std::marker::PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Member<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Member<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name != self.name {
                map.next_value::<IgnoredAny>()?;
            } else if found.is_some() {
                return Err(serde::de::Error::custom("a member is there twice"));
            } else {
                found = Some(map.next_value::<Option<T>>()?);
            }
        }
        Ok(found.flatten())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// What a client sent to log in with.
pub(crate) enum Presented {
    /// Nothing; this says what to send.
    Nothing(&'static str),
    /// By HTTP Basic; `None` if no account can have them.
    Basic(Option<Credentials>),
    /// In a JSON body; likewise. With the session that is to end for the new one, if the client names one.
    Json(Option<Credentials>, Option<SessionId>),
    /// A body that cannot be read.
    Unreadable(Cause),
}

/// What a client sent to log in with: HTTP Basic if there is any, otherwise the body.
pub(crate) fn basic_or_json(request: &Request<'_>) -> Presented {
    match request.basic() {
        Some(encoded) => Presented::Basic(basic(encoded)),
        None if request.authorization == Values::Several => Presented::Basic(None),
        None => in_body(
            request,
            "Log in with HTTP Basic, or with a JSON body and the header `Content-Type: application/json`.",
            "No credentials were sent. Send a user name and a password by HTTP Basic or as JSON.",
        ),
    }
}

/// What a client sent to log in with where only a JSON body counts.
pub(crate) fn json(request: &Request<'_>) -> Presented {
    in_body(
        request,
        "Log in with a JSON body and the header `Content-Type: application/json`.",
        "No credentials were sent. Send a user name and a password as JSON.",
    )
}

/// What a client sent to log in with in the body. It is told `media_type` if that is of another type, and `missing` if
/// there is none.
fn in_body(request: &Request<'_>, media_type: &'static str, missing: &'static str) -> Presented {
    let wanted =
        Wanted { media_type, form: r#"The body must be JSON of the form {"username": "…", "password": "…"}."# };
    let sent = match json_body::object::<JsonCredentials<'_>>(request, &wanted) {
        Ok(Some(sent)) => sent,
        Ok(None) => return Presented::Nothing(missing),
        Err(cause) => return Presented::Unreadable(cause),
    };
    let end_session = sent.end_session;
    Presented::Json(sent.into_credentials().map(|sent| sent.with_body_of(request)), end_session)
}

/// Whether a login looks at the body at all. What nobody looks at, nobody should wait for.
pub(crate) fn login_needs_body(request: &Request<'_>) -> bool {
    request.authorization != Values::Several && request.basic().is_none()
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
            let headers = [("content-type", content_type.as_bytes())];
            let request = Request::new("POST", "/", "authorization", None, |_| None).with_headers(headers);
            match basic_or_json(&request.with_body(Body::Complete(body.as_bytes()))) {
                Presented::Json(Some(credentials), None) => Ok(credentials.username().to_owned()),
                Presented::Json(Some(_), Some(_)) => Err(1),
                Presented::Json(None, _) => Err(401),
                Presented::Unreadable(Cause::Other(code, _)) => Err(code.status()),
                Presented::Unreadable(_) => Err(1),
                Presented::Nothing(_) | Presented::Basic(_) => Err(0),
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
    fn other_members_are_read_on_demand() {
        let body =
            br#"{"username":"a","otp":"123456","password":"x","remember":true,"no":null,"two":1,"two":2,"\u006fdd":3}"#;
        let headers = [("content-type", b"application/json".as_slice())];
        let request = Request::new("POST", "/", "authorization", None, |_| None).with_headers(headers);
        let Presented::Json(Some(credentials), None) = basic_or_json(&request.with_body(Body::Complete(body))) else {
            panic!("credentials were sent");
        };
        assert_eq!(credentials.member::<String>("otp"), Ok(Some("123456".to_owned())));
        assert_eq!(credentials.member::<bool>("remember"), Ok(Some(true)));
        assert_eq!(credentials.member::<u8>("odd"), Ok(Some(3)));
        assert_eq!(credentials.member::<bool>("no"), Ok(None));
        assert_eq!(credentials.member::<bool>("nowhere"), Ok(None));
        assert_eq!(credentials.member::<u32>("otp").unwrap_err().name(), "otp");
        assert!(credentials.member::<u32>("two").is_err());
        let basic = basic(Base64::encode_string(b"a:x").as_bytes()).unwrap();
        assert_eq!(basic.member::<String>("otp"), Ok(None));
    }

    #[test]
    fn a_login_sees_the_headers_but_for_credentials() {
        let request = Request::new("POST", "/", "authorization", None, |_| None).with_headers([
            ("x-device", b"phone".as_slice()),
            ("cookie", b"a=b"),
            ("authorization", b"Basic eA=="),
            ("x-odd", b"\xff"),
        ]);
        let credentials = Credentials::new("a", "x").unwrap().with_headers_of(&request);
        assert_eq!(credentials.header("X-Device"), Some("phone"));
        for name in ["cookie", "authorization", "x-odd", "x-other"] {
            assert_eq!(credentials.header(name), None, "{name}");
        }
    }

    #[test]
    fn debug_shows_no_credentials() {
        assert_eq!(format!("{:?}", Credentials::new("alice", "wonderland")), "Some(Credentials(redacted))");
    }
}
