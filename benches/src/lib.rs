//! What the benchmarks share: a handle, and tokens of each algorithm. `cargo bench -p jwt-knox-benches` runs them all.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

pub mod load;
pub mod serve;

use std::time::Duration;

use jwt_knox::{Algorithm, Cache, Issued, Knox, Lifetime, NewSession, SigningKey, TokenStore};

/// The secret of HMAC.
pub const KEY: &[u8] = b"a key of the benchmarks, long enough";

/// The subject of all tokens, as long as a UUID.
pub const SUBJECT: &str = "5b0a1d4e-6c3f-4f0e-9a53-0d6b6a3e7c11";

/// The algorithms that are compared, with HS256 first.
pub const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256, Algorithm::MlDsa44];

/// A key of that algorithm.
#[must_use]
pub fn key(algorithm: Algorithm) -> SigningKey {
    if algorithm == Algorithm::Hs256 { SigningKey::hs256(KEY) } else { SigningKey::generate(algorithm) }.unwrap()
}

/// A handle whose tokens expire in a day.
#[must_use]
pub fn knox(key: SigningKey, store: impl TokenStore, cache: Cache) -> Knox {
    let day = Lifetime::expires_after(Duration::from_secs(24 * 3600)).unwrap();
    Knox::builder(key).lifetime(day).store(store).cache(cache).build().unwrap()
}

/// A session of [`SUBJECT`].
///
/// # Panics
///
/// If none can be issued, which no benchmark asks for.
pub async fn issue(knox: &Knox) -> Issued {
    let subject = jwt_knox::Subject::new(SUBJECT).unwrap();
    knox.issue(NewSession::new(subject)).await.unwrap()
}
