//! A job worker: each job carries a token, and the worker asks about it before it does the job.
//!
//! `cargo run -p jwt-knox --example job_worker` shows what becomes of three jobs.

#![allow(clippy::print_stdout)]

use std::{
    collections::VecDeque,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jwt_knox::{
    AuthenticateError, Authenticated, Knox, Lifetime, MemoryStore, NewToken, SigningKey, StoreError, Subject,
    SubjectCheck, SubjectStatus, Token, async_trait,
};

/// What waits in the queue.
struct Job {
    name: &'static str,
    token: Token,
}

impl Job {
    /// A job that `subject` wants done.
    ///
    /// A queue may lie on a disk. So the token is not that of the user's own login: it grants `scope` only, and only
    /// for an hour. It ends with the user's other logins in `revoke_all`.
    async fn new(knox: &Knox, name: &'static str, subject: &Subject, scope: &str) -> Result<Self, Box<dyn Error>> {
        let hour = Lifetime::absolute(Duration::from_secs(3600));
        let new = NewToken::for_subject(subject.clone()).label(name).scope(scope)?.lifetime(hour);
        Ok(Self { name, token: knox.issue_with(new).await?.token })
    }

    /// Whether the job may be done now.
    async fn check(&self, knox: &Knox) -> Result<Authenticated, AuthenticateError> {
        let auth = knox.authenticate(self.token.expose()).await?;
        auth.require_scope("jobs")?;
        Ok(auth)
    }
}

async fn work(knox: &Knox, mut queue: VecDeque<Job>) {
    while let Some(job) = queue.pop_front() {
        match job.check(knox).await {
            Ok(auth) => {
                println!("{}: done for {}", job.name, auth.subject());
                // The token has served. If this fails, it serves nobody after its hour.
                if let Err(error) = knox.revoke(&auth.key()).await {
                    println!("{}: its token could not be ended, {error}", job.name);
                }
            }
            // It will not get better: the job is dropped.
            Err(AuthenticateError::Refused(reason)) => println!("{}: dropped, {reason}", job.name),
            // Neither yes nor no. The job is kept, until somebody can tell or its token is over.
            Err(error) => {
                println!("{}: put back, {error}", job.name);
                queue.push_back(job);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Stands for the users in a database that does not always answer. A token store that is down has the same effect.
#[derive(Debug, Default)]
struct Users {
    misses_one: AtomicBool,
}

#[async_trait]
impl SubjectCheck for Users {
    async fn check(&self, _: &Subject) -> Result<SubjectStatus, StoreError> {
        if self.misses_one.swap(false, Ordering::Relaxed) {
            return Err(StoreError::new("users", "the connection was lost"));
        }
        Ok(SubjectStatus::Active)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Logins in memory end with the process, so the key may too.
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let users = Arc::new(Users::default());
    let knox = Knox::builder(SigningKey::hs256(key)?).store(MemoryStore::new()).subject_check(users.clone()).build()?;

    let (alice, bob, carol) = (Subject::new("alice")?, Subject::new("bob")?, Subject::new("carol")?);
    let queue = VecDeque::from([
        Job::new(&knox, "thumbnails", &alice, "jobs images").await?,
        Job::new(&knox, "backup", &bob, "images").await?,
        Job::new(&knox, "newsletter", &carol, "jobs").await?,
    ]);
    // Before the worker comes to it, Carol changes her password, and the users' database has a bad moment.
    knox.revoke_all(&carol).await?;
    users.misses_one.store(true, Ordering::Relaxed);

    work(&knox, queue).await;
    Ok(())
}
