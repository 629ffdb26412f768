//! Scopes as types, so that a handler can say in its signature what it needs.

use jwt_knox::is_scope;

/// A scope that a handler needs, as a type. [`scopes!`](crate::scopes) makes such types.
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
    message = "`{Self}` is not a scope",
    label = "needs `impl Scope for {Self}` with a `NAME`"
)]
pub trait Scope: Send + Sync + 'static {
    /// The scope, as it stands in the `scope` claim ([RFC 8693 §4.2]): printable ASCII without spaces, quotes and
    /// backslashes.
    ///
    /// [RFC 8693 §4.2]: https://www.rfc-editor.org/rfc/rfc8693#section-4.2
    const NAME: &'static str;
}

/// Makes types that are scopes.
///
/// # Examples
///
/// ```
/// use jwt_knox_http::{Scope, scopes};
///
/// scopes! {
///     /// May do everything.
///     pub Admin = "admin";
///     ReadUsers = "users:read";
/// }
///
/// assert_eq!(ReadUsers::NAME, "users:read");
/// ```
#[macro_export]
macro_rules! scopes {
    ($($(#[$attribute:meta])* $visibility:vis $scope:ident = $name:literal;)+) => {
        $(
            $(#[$attribute])*
            #[derive(Debug, Clone, Copy)]
            $visibility struct $scope;

            impl $crate::Scope for $scope {
                const NAME: &'static str = $name;
            }
        )+
    };
}

/// The name of `S`, which is checked when the guard is compiled.
pub(crate) const fn name_of<S: Scope>() -> &'static str {
    const { assert!(is_scope(S::NAME), "a scope is printable ASCII without spaces, quotes and backslashes") };
    S::NAME
}
