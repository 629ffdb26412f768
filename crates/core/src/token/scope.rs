//! Lists of scopes (RFC 6749 §3.3).

/// The scopes of a list, which is separated by spaces.
pub(crate) fn scopes(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty())
}

/// Whether a string is one scope ([RFC 6749 §3.3]): printable ASCII without spaces, quotes and backslashes.
///
/// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
///
/// # Examples
///
/// ```
/// use jwt_knox::is_scope;
///
/// assert!(is_scope("users:read"));
/// assert!(!is_scope("users read") && !is_scope(""));
/// ```
#[must_use]
pub const fn is_scope(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if !bytes[index].is_ascii_graphic() || bytes[index] == b'"' || bytes[index] == b'\\' {
            return false;
        }
        index += 1;
    }
    !bytes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_one_printable_word() {
        assert!(is_scope("admin") && is_scope("users:read") && is_scope("https://example.com/x"));
        for scope in ["", "a b", "a\"", "a\\", "é", "a\n", "a\tb"] {
            assert!(!is_scope(scope), "{scope}");
        }
    }
}
