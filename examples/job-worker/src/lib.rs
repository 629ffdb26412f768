//! A job worker: each job carries a token, and the worker asks about it before it does the job.
//!
//! `cargo run --example job_worker` shows what becomes of three jobs.

use std::{collections::VecDeque, error::Error, time::Duration};

use jwt_knox::{AuthenticateError, Knox, Lifetime, NewSession, Subject, Token};

/// What waits in the queue.
#[derive(Debug)]
pub struct Job {
    name: &'static str,
    token: Token,
}

impl Job {
    /// A job that `subject` wants done.
    ///
    /// A queue may lie on a disk. So the token is not that of the user's own session: it grants `scopes` only, and only
    /// for an hour. It is revoked with the user's other sessions by `revoke_all`.
    ///
    /// # Errors
    ///
    /// Those of [`Knox::issue`], or one of `scopes` is not a scope.
    pub async fn new(
        knox: &Knox,
        name: &'static str,
        subject: &Subject,
        scopes: &[&str],
    ) -> Result<Self, Box<dyn Error>> {
        let hour = Lifetime::expires_after(Duration::from_secs(3600))?;
        let new = NewSession::new(subject.clone()).label(name).scopes(scopes)?.lifetime(hour);
        Ok(Self { name, token: knox.issue(new).await?.token })
    }
}

/// Does the jobs in the queue.
pub async fn work(knox: &Knox, mut queue: VecDeque<Job>) {
    #![allow(clippy::print_stdout)]
    while let Some(job) = queue.pop_front() {
        let auth = match knox.authenticate(job.token.expose()).await {
            Ok(auth) => auth,
            // It will not get better: the job is dropped.
            Err(AuthenticateError::Rejected(reason)) => {
                println!("{}: dropped, {reason}", job.name);
                continue;
            }
            // Neither yes nor no. The job is kept, until the store can tell or the token has expired.
            Err(AuthenticateError::Store(error)) => {
                println!("{}: put back, {error}", job.name);
                queue.push_back(job);
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(missing) = auth.require_scope("jobs") {
            println!("{}: dropped, {missing}", job.name);
            continue;
        }
        println!("{}: done for {}", job.name, auth.subject());
        // The token is not needed any more. If this fails, it expires after its hour.
        if let Err(error) = knox.revoke(&auth.session_ref()).await {
            println!("{}: its token could not be revoked, {error}", job.name);
        }
    }
}
