//! The HTTP contract, over real sockets: every case on every framework, each with logins in memory and in SQLite.

#![allow(clippy::unwrap_used)]

/// Makes tests of the cases of a file: each on every framework and store.
macro_rules! contract {
    ($($case:ident)*) => {
        contract!(@framework axum Axum $($case)*);
        contract!(@framework actix Actix $($case)*);
        contract!(@framework rocket Rocket $($case)*);
        contract!(@framework hyper Hyper $($case)*);
    };
    (@framework $name:ident $framework:ident $($case:ident)*) => {
        mod $name {
            contract!(@store memory Memory $framework $($case)*);
            contract!(@store sqlite Sqlite $framework $($case)*);
        }
    };
    (@store $name:ident $kind:ident $framework:ident $($case:ident)*) => {
        mod $name {
            use jwt_knox_tests::{Framework, StoreKind};

            use crate::fixture::Fixture;
            $(
                #[test]
                fn $case() {
                    super::super::$case(&Fixture::new(Framework::$framework, StoreKind::$kind));
                }
            )*
        }
    };
}

mod asking_the_issuer;
mod cookies;
mod fixture;
mod forward_auth;
mod guards;
mod introspection;
mod login;
mod rotation;
mod sessions;
mod settings;
mod tokens;
mod without_store;
