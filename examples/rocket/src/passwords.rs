//! Hashing passwords with Argon2id.

use argon2::{
    Argon2,
    password_hash::{Error, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use jwt_knox_rocket::Passwords;

/// Verifies passwords, not too many at once, and in the same time whether there is such a user or not.
///
/// # Errors
///
/// [`Error`] if the operating system gives no random salt.
pub fn passwords() -> Result<Passwords, Error> {
    Ok(Passwords::new(hash("nobody's password")?, compare))
}

/// Hashes `password`, into the form that [`compare`] reads.
///
/// # Errors
///
/// [`Error`] if the operating system gives no random salt.
pub fn hash(password: &str) -> Result<String, Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

/// Hashes `password` and compares it with `stored`. `None`: that is not a hash to compare with, as `!` is not, and
/// nothing was hashed.
#[must_use]
pub fn compare(password: &str, stored: &str) -> Option<bool> {
    let stored = PasswordHash::new(stored).ok().filter(|stored| stored.salt.is_some() && stored.hash.is_some())?;
    match Argon2::default().verify_password(password.as_bytes(), &stored) {
        Ok(()) => Some(true),
        Err(Error::PasswordInvalid) => Some(false),
        // Of another algorithm, or with parameters that are out of range.
        Err(_) => None,
    }
}
