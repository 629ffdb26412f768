//! Calls that wait, and time limits that are over when a test says so.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use jwt_knox::{Algorithm, AuthenticateError, SigningKey, StatelessToken, TimeLimit};
use tokio::sync::watch;

/// Whether a call has an outcome by now.
pub(crate) fn poll_once<F: Future + ?Sized>(call: Pin<&mut F>) -> Poll<F::Output> {
    call.poll(&mut Context::from_waker(Waker::noop()))
}

/// The same of a call in a box.
pub(crate) fn poll<F: Future + ?Sized>(call: &mut Pin<Box<F>>) -> Poll<F::Output> {
    poll_once(call.as_mut())
}

/// The outcome of a call that waits for nothing.
pub(crate) fn done<F: Future>(call: F) -> F::Output {
    match poll_once(pin!(call)) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("this waits"),
    }
}

/// A time limit, and what says whether it is over.
pub(crate) fn time_limit() -> (TimeLimit, watch::Sender<bool>) {
    let is_over = watch::Sender::new(false);
    let timer = is_over.clone();
    let limit = TimeLimit::default().with_timer(move |_| {
        let mut is_over = timer.subscribe();
        async move { drop(is_over.wait_for(|is_over| *is_over).await) }
    });
    (limit, is_over)
}

/// What a service without the store says of a token.
pub(crate) fn verdict(outcome: &Result<StatelessToken, AuthenticateError>) -> &'static str {
    match outcome {
        Ok(_) => "valid",
        Err(AuthenticateError::Rejected(reason)) => reason.as_str(),
        Err(AuthenticateError::Store(_)) => "cannot tell",
    }
}

/// The key of an issuer.
pub(crate) fn key(id: &str) -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap().with_key_id(id).unwrap()
}
