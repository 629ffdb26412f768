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
