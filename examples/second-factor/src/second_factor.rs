//! One-time codes: each is accepted once, and wrong ones are counted.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use jwt_knox_axum::jwt_knox::Timestamp;
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret, Totp, TotpError};

/// So many wrong codes in a row, and then a wait.
///
/// With 5 codes in 5 minutes, of which 3 are right at any time, somebody with the password gets in with a probability
/// of 0.4 % a day. A product makes each wait longer than the one before, and tells the user by mail that somebody has
/// the password.
pub const MAX_WRONG: u32 = 5;

/// How long no code is looked at then, in seconds.
pub const WAIT_SECONDS: u64 = 300;

/// The second factors of all users who have set one up, by the user's id. Cheap to clone; clones share them.
///
/// A product has them in a table. What a [`Mutex`] does here, a conditional update does there, or two requests at once
/// use one code: `UPDATE … SET last_step = 5 WHERE user = 1 AND last_step < 5` must change one row. The same holds for
/// counting wrong codes. It encrypts the secrets with a key that is not in the database.
#[derive(Clone, Default)]
#[allow(missing_debug_implementations, reason = "it has the digests of recovery codes")]
pub struct SecondFactors(Arc<Mutex<HashMap<i64, SecondFactor>>>);

/// What becomes of a login with the right password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The user has no second factor.
    NotSetUp,
    /// There is a second factor, and no code.
    Needed,
    /// The code is right. It will not be accepted again.
    Accepted,
    /// The code is wrong, or was used before.
    Wrong,
    /// There were too many wrong codes, and this one was not looked at.
    Locked,
}

impl SecondFactors {
    /// Gives a user a second factor, in place of any other.
    pub fn set_up(&self, user: i64, second_factor: SecondFactor) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(user, second_factor);
    }

    /// Looks at the code that came with the right password, if one did.
    #[must_use]
    pub fn check(&self, user: i64, code: Option<&str>, now: Timestamp) -> Answer {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (all.get_mut(&user), code) {
            (None, _) => Answer::NotSetUp,
            (Some(_), None) => Answer::Needed,
            (Some(second_factor), Some(code)) => second_factor.check(code, now.as_second().max(0).unsigned_abs()),
        }
    }
}

/// What one user proves that they hold their device with.
#[allow(missing_debug_implementations, reason = "it has the digests of recovery codes")]
pub struct SecondFactor {
    totp: Totp,
    /// The time step of the last code that was accepted. That code and all before it are used up (RFC 6238 §5.2).
    last_step: Option<u64>,
    /// SHA-256 of the codes that are left. A slow hash is for passwords: nobody guesses 80 random bits.
    recovery_codes: HashSet<[u8; 32]>,
    wrong: u32,
    locked_until: u64,
}

impl SecondFactor {
    /// Codes of six digits, which change every 30 seconds. One step of 30 seconds earlier or later is accepted, for
    /// clocks that differ and people who type slowly.
    ///
    /// # Errors
    ///
    /// [`TotpError`] if the secret has less than 16 bytes.
    pub fn new(secret: Secret) -> Result<Self, TotpError> {
        let totp = Builder::new().with_secret(secret).build()?;
        Ok(Self { totp, last_step: None, recovery_codes: HashSet::new(), wrong: 0, locked_until: 0 })
    }

    /// Makes a code for a user whose device is lost, to be shown once. It may be used once.
    ///
    /// # Errors
    ///
    /// If the operating system gives no random bytes.
    pub fn add_recovery_code(&mut self) -> Result<String, getrandom::Error> {
        let code = random_secret(10)?.to_base32();
        self.recovery_codes.insert(digest(&code));
        Ok(code)
    }

    fn check(&mut self, code: &str, now: u64) -> Answer {
        if now < self.locked_until {
            return Answer::Locked;
        }
        if self.accept(code, now) {
            self.wrong = 0;
            return Answer::Accepted;
        }
        self.wrong += 1;
        if self.wrong == MAX_WRONG {
            self.wrong = 0;
            self.locked_until = now.saturating_add(WAIT_SECONDS);
        }
        Answer::Wrong
    }

    /// Whether the code is right, and uses it up.
    fn accept(&mut self, code: &str, now: u64) -> bool {
        // People type `123 456`, and `abcd-efgh`.
        let code = code.replace([' ', '-'], "").to_ascii_uppercase();
        match self.totp.check(&code, now) {
            Some(step) if self.last_step.is_none_or(|last| step > last) => {
                self.last_step = Some(step);
                true
            }
            Some(_) => false,
            None => self.recovery_codes.remove(&digest(&code)),
        }
    }
}

/// So many random bytes: 20 for the secret of a device (RFC 4226 §4).
///
/// # Errors
///
/// If the operating system gives none.
pub fn random_secret(bytes: usize) -> Result<Secret, getrandom::Error> {
    let mut secret = vec![0; bytes];
    getrandom::fill(&mut secret)?;
    Ok(Secret::from(secret))
}

fn digest(code: &str) -> [u8; 32] {
    Sha256::digest(code).into()
}
