//! What jwt-knox asks when somebody logs in.

use jwt_knox_axum::{
    Credentials, Login, LoginError, Passwords,
    jwt_knox::{Knox, NewSession, async_trait},
};

use crate::{
    second_factor::{Answer, SecondFactors},
    users::Users,
};

/// The attribute of a session that says how its user has logged in: methods of RFC 8176, separated by spaces.
pub const AMR: &str = "amr";

/// The method of a user who has sent a one-time code.
pub const ONE_TIME_CODE: &str = "otp";

/// The code of the problem that asks for a one-time code.
pub const SECOND_FACTOR_NEEDED: &str = "second_factor_needed";

/// A login with a password and, if the user has set it up, a one-time code: the member `otp` of the body, beside
/// `username` and `password`.
#[allow(missing_debug_implementations, reason = "it has the hashes of passwords")]
pub struct PasswordAndCode {
    users: Users,
    passwords: Passwords,
    codes: SecondFactors,
    knox: Knox,
}

impl PasswordAndCode {
    /// A login of these users, by the clock of `knox`.
    #[must_use]
    pub fn new(users: Users, passwords: Passwords, codes: SecondFactors, knox: Knox) -> Self {
        Self { users, passwords, codes, knox }
    }
}

#[async_trait]
impl Login for PasswordAndCode {
    async fn login(&self, credentials: &Credentials) -> Result<NewSession, LoginError> {
        // Before anything else, so that a member of another form is answered with 400 whoever sends it.
        let code = credentials.member::<String>("otp")?;

        let user = self.users.find(credentials.username());
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let is_right = self.passwords.verify(credentials.password(), hash).await?;
        let Some(user) = user.filter(|_| is_right) else { return Err(LoginError::InvalidCredentials) };

        // From here on the answer may tell what it likes about the account: the password was right. For the same reason
        // only somebody who has the password can use up the attempts of a user.
        let session = NewSession::new(user.id);
        match self.codes.check(user.id, code.as_deref(), self.knox.now()) {
            Answer::NotSetUp => Ok(session.attribute(AMR, "pwd")?),
            Answer::Accepted => Ok(session.attribute(AMR, format!("pwd {ONE_TIME_CODE}"))?),
            Answer::Needed => {
                let detail = "Send the code of your app, or a recovery code, as `otp`.";
                Err(LoginError::rejected(401, SECOND_FACTOR_NEEDED, detail))
            }
            Answer::Wrong => {
                // Worth an alert: somebody has the password. A wrong password is reported by `/get_token` itself.
                self.knox.report_rejected_login(Some(session.subject()));
                let detail = "The code is wrong, or has been used. Wait for the next one.";
                Err(LoginError::rejected(401, "second_factor_wrong", detail))
            }
            Answer::Locked => {
                let detail = "Too many wrong codes. Try again in a few minutes.";
                Err(LoginError::rejected(429, "second_factor_locked", detail))
            }
        }
    }
}
