//! Lists of scopes (RFC 6749 §3.3).

/// The scopes of a list, which is separated by spaces.
pub(crate) fn scopes(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty())
}

/// Any printable ASCII character but space, `"` and `\`.
pub(crate) fn is_scope(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}
