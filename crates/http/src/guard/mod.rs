//! Requirements as types, so that a handler can say in its signature what it needs.

pub(crate) mod requirement;
pub(crate) mod scope;

use std::{marker::PhantomData, time::Duration};

use crate::{
    guard::{requirement::Requirement, scope::Scope},
    handle::Handle,
    knox_http::KnoxHttp,
};

/// What a handler needs besides a valid token, as a type: for the extractor `GuardedAuth<G>` of each adapter, and its
/// short forms `ScopedAuth`, `RecentAuth` and `PassiveAuth`. A pair needs both.
///
/// With a [`VerifierHttp`](crate::VerifierHttp) for `H`, for the extractors `GuardedToken<G>` and `ScopedToken`: these
/// need scopes and nothing else, since only the store knows when a login was, and counts a use.
///
/// # Examples
///
/// ```
/// use jwt_knox_http::{Guard, Recent, Scoped, scopes};
///
/// scopes! { Admin = "admin"; }
///
/// /// For `GuardedAuth<AdminNow>` in the signature of a handler.
/// type AdminNow = (Scoped<Admin>, Recent<300>);
/// # fn is_guard<G: Guard>() {}
/// # is_guard::<AdminNow>();
/// ```
pub trait Guard<H: Handle = KnoxHttp>: Send + Sync + 'static {
    /// Adds what it needs.
    #[must_use]
    fn add_to(requirement: Requirement<H>) -> Requirement<H>;
}

/// Needs a token that grants the scope `S`. Otherwise: 403 `insufficient_scope`.
#[derive(Debug)]
pub struct Scoped<S: Scope>(PhantomData<S>);

impl<S: Scope, H: Handle> Guard<H> for Scoped<S> {
    fn add_to(requirement: Requirement<H>) -> Requirement<H> {
        requirement.with_scope::<S>()
    }
}

/// Needs a login that is no older than so many seconds. Otherwise: 401 `insufficient_user_authentication` ([RFC 9470]).
///
/// [RFC 9470]: https://www.rfc-editor.org/rfc/rfc9470
#[derive(Debug)]
pub struct Recent<const SECONDS: u64>(());

impl<const SECONDS: u64> Guard for Recent<SECONDS> {
    fn add_to(requirement: Requirement) -> Requirement {
        requirement.recent(Duration::from_secs(SECONDS))
    }
}

/// Does not count the request as a use of the session: for what a page polls by itself.
#[derive(Debug)]
pub struct Passive(());

impl Guard for Passive {
    fn add_to(requirement: Requirement) -> Requirement {
        requirement.passive()
    }
}

impl<H: Handle, A: Guard<H>, B: Guard<H>> Guard<H> for (A, B) {
    fn add_to(requirement: Requirement<H>) -> Requirement<H> {
        B::add_to(A::add_to(requirement))
    }
}
