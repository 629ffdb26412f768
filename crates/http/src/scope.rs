//! Scopes as types, so that a handler can name in its signature what it needs.

/// A scope that a handler needs, as a type.
///
/// Each adapter has a guard `ScopedAuth<S>` that takes one.
///
/// # Examples
///
/// ```
/// use jwt_knox_http::Scope;
///
/// struct Admin;
///
/// impl Scope for Admin {
///     const NAME: &'static str = "admin";
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name a scope",
    label = "needs `impl Scope for {Self}` with a `NAME`"
)]
pub trait Scope: Send + Sync + 'static {
    /// The scope, as it stands in the `scope` claim ([RFC 8693 §4.2]): printable ASCII without spaces, quotes and
    /// backslashes.
    ///
    /// [RFC 8693 §4.2]: https://www.rfc-editor.org/rfc/rfc8693#section-4.2
    const NAME: &'static str;
}

/// RFC 6749 §3.3. Checked when a guard is compiled.
pub(crate) const fn is_valid(scope: &str) -> bool {
    let bytes = scope.as_bytes();
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
        assert!(is_valid("admin") && is_valid("users:read") && is_valid("https://example.com/x"));
        for scope in ["", "a b", "a\"", "a\\", "é", "a\n"] {
            assert!(!is_valid(scope), "{scope}");
        }
    }
}
