//! A server whose users log in with a password and a one-time code (TOTP, RFC 6238), through the built-in `/get_token`.
//!
//! `cargo run --example second_factor`, then follow what it prints.
//!
//! [`login`] is what jwt-knox asks: the password first, then the code. [`second_factor`] decides about codes: each is
//! accepted once, and wrong ones are counted. The users are in memory; see `examples/axum` for a table of users, and
//! for a `SubjectCheck` that rejects those who are disabled.
//!
//! Left out: setting the second factor up. An application shows the secret as a QR code (`otpauth://totp/…`), and
//! stores it once the user has sent a right code. It asks for a recent login before, tells the user by mail after, and
//! ends the other sessions (`revoke_others`), which began without it.

pub mod login;
pub mod passwords;
pub mod second_factor;
pub mod users;

use std::error::Error;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get, routing::post};
use jwt_knox_axum::{
    KnoxAuth, KnoxHttp, KnoxRejection, LoginError, Passwords, RecentAuth,
    jwt_knox::{KnoxBuilder, SessionRecord},
    routes,
};
use serde_json::{Value, json};

use crate::{
    login::{AMR, ONE_TIME_CODE, PasswordAndCode, SECOND_FACTOR_NEEDED},
    second_factor::SecondFactors,
    users::Users,
};

/// The handle for routes and guards. The login takes its time from the clock of `knox`.
///
/// # Errors
///
/// If `knox` is not complete.
pub fn connect(
    knox: KnoxBuilder,
    users: Users,
    passwords: Passwords,
    codes: SecondFactors,
) -> Result<KnoxHttp, Box<dyn Error>> {
    let knox = knox.build()?;
    let login = PasswordAndCode::new(users, passwords, codes, knox.clone());
    Ok(KnoxHttp::builder(knox).login(login).build()?)
}

/// The routes of the application.
pub fn app(knox: KnoxHttp) -> Router {
    Router::new()
        .route("/me", get(me))
        .route("/transfer", post(transfer))
        // /get_token, /verify, /logout, /logout_other, /logout_all, /rotate, /sessions
        .merge(routes(knox.clone()))
        .with_state(knox)
}

/// Who sends the request, and how they have logged in.
async fn me(auth: KnoxAuth) -> Json<Value> {
    Json(json!({"subject": auth.subject().as_str(), AMR: auth.session().attributes.get(AMR)}))
}

/// What a stolen token must not do: it needs a login within the last five minutes, and one with a second factor.
async fn transfer(auth: RecentAuth<300>, State(knox): State<KnoxHttp>) -> Result<StatusCode, KnoxRejection> {
    if !has_second_factor(auth.session()) {
        let detail = "This needs a login with a second factor.";
        return Err(knox.reject(LoginError::rejected(403, SECOND_FACTOR_NEEDED, detail)).into());
    }
    Ok(StatusCode::NO_CONTENT)
}

fn has_second_factor(session: &SessionRecord) -> bool {
    session.attributes.get(AMR).is_some_and(|methods| methods.split(' ').any(|method| method == ONE_TIME_CODE))
}
