//! What the tests share: a world with a clock, users and a store that can fail; a server on each framework; a client
//! that sends whatever bytes a test wants; a forger.
//!
//! The tests themselves are in `tests/tests/`.

// This is test code, which may fail by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, clippy::must_use_candidate)]

pub mod client;
pub mod databases;
mod document;
pub mod forge;
pub mod interop;
pub mod log;
pub mod proxy;
pub mod serve;
pub mod server;
pub mod verifying;
pub mod world;

pub use client::{Call, Reply};
pub use server::{Framework, Server};
pub use verifying::VerifyingServer;
pub use world::{StoreKind, World};

/// The pages of the guide, so that their code blocks are compiled.
#[cfg(doctest)]
mod docs {
    macro_rules! compile {
        ($($name:ident $page:literal)*) => {
            $(
                #[doc = include_str!(concat!("../../", $page))]
                struct $name;
            )*
        };
    }

    compile! {
        Readme "README.md"
        Architecture "docs/architecture.md"
        Browsers "docs/browsers.md"
        ChoosingAnAdapter "docs/choosing-an-adapter.md"
        CustomStore "docs/custom-store.md"
        DrfJwtKnox "docs/drf-jwt-knox.md"
        GettingStarted "docs/getting-started.md"
        HttpApi "docs/http-api.md"
        Operations "docs/operations.md"
        Proxies "docs/proxies.md"
        Security "docs/security.md"
        Services "docs/services.md"
        Stores "docs/stores.md"
        Testing "docs/testing.md"
        WithoutHttp "docs/without-http.md"
        WritingAnAdapter "docs/writing-an-adapter.md"
    }
}
