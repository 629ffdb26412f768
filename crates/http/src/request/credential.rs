//! What a request is authenticated by: a bearer token in a header, or a session cookie.

use jwt_knox::Rejection;
use memchr::memchr2;

/// The values of something of which there may be one at most, as of the `Authorization` header (RFC 9110 §11.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Values<'a> {
    None,
    One(&'a [u8]),
    Several,
}

impl<'a> Values<'a> {
    /// All of them.
    pub(crate) fn new(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

/// What a request presents to be authenticated by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Credential<'a> {
    None,
    /// The header, which counts if there is one, whatever is in it.
    Header(Values<'a>),
    /// The session cookie.
    Cookie(Values<'a>),
}

/// The token of a session cookie; `None` if it is empty.
pub(crate) fn cookie_token(cookie: Values<'_>, max_bytes: usize) -> Result<Option<&[u8]>, Rejection> {
    match cookie {
        Values::None | Values::One([]) => Ok(None),
        Values::One(value) if value.len() > max_bytes => Err(Rejection::Malformed("too long")),
        Values::One(value) => Ok(Some(value)),
        Values::Several => Err(Rejection::Malformed("two session cookies")),
    }
}

/// The bearer token of a request; `None` if no credential was sent, or one of another scheme.
pub(crate) fn bearer<'a>(
    authorization: Values<'a>,
    scheme: &str,
    max_bytes: usize,
) -> Result<Option<&'a [u8]>, Rejection> {
    let value = match authorization {
        Values::None => return Ok(None),
        Values::One(value) => value,
        Values::Several => return Err(Rejection::Malformed("two Authorization headers")),
    };
    // Room for the scheme and for generous spacing, and a bound on what is looked at.
    if value.len() > max_bytes.saturating_add(1024) {
        return Err(Rejection::Malformed("too long"));
    }
    let Some(token) = after_scheme(value, scheme) else { return Ok(None) };
    if token.is_empty() {
        return Err(Rejection::Malformed("no token after the scheme"));
    }
    if memchr2(b' ', b'\t', token).is_some() {
        return Err(Rejection::Malformed("spaces in the token"));
    }
    Ok(Some(token))
}

/// What stands behind `scheme`, which compares without regard to case (RFC 9110 §11.1), with blanks cut off; `None` if
/// the header is empty or of another scheme.
pub(crate) fn after_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (found, rest) = trim(value).split_at_checked(scheme.len())?;
    let is_whole_word = rest.first().is_none_or(|&byte| is_blank(byte));
    (is_whole_word && found.eq_ignore_ascii_case(scheme.as_bytes())).then(|| trim(rest))
}

pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token<'a>(values: &'a [&'a [u8]]) -> Result<&'a [u8], &'static str> {
        bearer(Values::new(values.iter().copied()), "Bearer", 100).map_err(|error| error.as_str())?.ok_or("missing")
    }

    #[test]
    fn the_scheme_is_of_any_case_and_blanks_do_not_matter() {
        for value in ["Bearer a.b", "bEaReR a.b", "BEARER\ta.b", "Bearer   \t a.b", " \tBearer a.b \t"] {
            assert_eq!(token(&[value.as_bytes()]), Ok(b"a.b".as_slice()), "{value:?}");
        }
    }

    #[test]
    fn no_header_an_empty_one_and_another_scheme_are_no_credential() {
        assert_eq!(token(&[]), Err("missing"));
        for value in ["", " ", "\t", "Basic YTpi", "Bearers a.b", "Bear", "a.b", "Bearer:a.b", "\u{ff22}earer a.b"] {
            assert_eq!(token(&[value.as_bytes()]), Err("missing"), "{value:?}");
        }
        assert_eq!(token(&[b"\xff\xfe a.b"]), Err("missing"));
    }

    #[test]
    fn a_broken_credential_is_malformed() {
        let long = format!("Bearer {}", "a".repeat(2000));
        for value in ["Bearer", "Bearer ", "bearer\t", "Bearer a b", "Bearer a\tb", "Bearer a, Bearer b", long.as_str()]
        {
            assert_eq!(token(&[value.as_bytes()]), Err("malformed"), "{value:.20}");
        }
        assert_eq!(token(&[b"Bearer a", b"Bearer a"]), Err("malformed"));
        assert_eq!(token(&[b"Basic a", b"Bearer a"]), Err("malformed"));
    }

    #[test]
    fn a_bound_that_is_none_is_no_overflow() {
        let long = format!("Bearer {}", "a".repeat(100_000));
        assert!(bearer(Values::One(long.as_bytes()), "Bearer", usize::MAX).is_ok());
    }
}
