//! What is not a hash is told from a hash.

use example_axum::passwords::{compare, hash};

#[test]
fn right_is_right_and_wrong_is_wrong() -> Result<(), Box<dyn std::error::Error>> {
    let stored = hash("wonderland")?;
    assert_eq!(compare("wonderland", &stored), Some(true));
    assert_eq!(compare("Wonderland", &stored), Some(false));
    Ok(())
}

/// Nothing was hashed for these, so that `Passwords` hashes once more: the time does not tell who has no password.
#[test]
fn what_is_not_a_hash_compares_with_nothing() {
    for unusable in [
        "",
        "!",
        "*",
        "wonderland",
        "$argon2id$v=19$m=19456,t=2,p=1",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
        "$argon2id$v=19$m=1,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
        "$pbkdf2-sha256$i=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
        "$2b$12$c2FsdHNhbHRzYWx0c2FsdO8Xn4Xn4Xn4Xn4Xn4Xn4Xn4Xn4Xn4Xn",
    ] {
        for password in ["wonderland", "nobody's password", "", unusable] {
            assert_eq!(compare(password, unusable), None, "{unusable}");
        }
    }
}
