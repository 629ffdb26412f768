//! What becomes of three jobs: `cargo run --example job_worker`.

use std::{
    collections::VecDeque,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use example_job_worker::{Job, work};
use jwt_knox::{Knox, MemoryStore, SigningKey, StoreError, Subject, SubjectStatus, subject_check_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Sessions in memory end with the process, so the key may too.
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    // Stands for the users in a database that does not always answer. A token store that is down has the same effect.
    let loses_connection = Arc::new(AtomicBool::new(false));
    let connection = loses_connection.clone();
    let users = subject_check_fn(move |_| {
        let is_lost = connection.swap(false, Ordering::Relaxed);
        async move {
            if is_lost {
                return Err(StoreError::new("the connection was lost").in_store("users"));
            }
            Ok(SubjectStatus::Active)
        }
    });
    let knox = Knox::builder(SigningKey::hs256(key)?).store(MemoryStore::new()).subject_check(users).build()?;

    let (alice, bob, carol) = (Subject::new("alice")?, Subject::new("bob")?, Subject::new("carol")?);
    let queue = VecDeque::from([
        Job::new(&knox, "thumbnails", &alice, &["jobs", "images"]).await?,
        Job::new(&knox, "backup", &bob, &["images"]).await?,
        Job::new(&knox, "newsletter", &carol, &["jobs"]).await?,
    ]);
    // Before the worker comes to it, Carol changes her password, and the users' database loses a connection.
    knox.revoke_all(&carol).await?;
    loses_connection.store(true, Ordering::Relaxed);

    work(&knox, queue).await;
    Ok(())
}
