//! How many sessions a subject may have.

use jwt_knox::*;

use crate::fixture::{Fixture, expires_after, subject};

fn with_limit(limit: SessionLimit) -> Fixture {
    Fixture::with(|builder| builder.lifetime(expires_after(100)).limit(limit))
}

#[tokio::test]
async fn a_limit_denies_or_evicts_and_counts_active_sessions_only() {
    let deny = with_limit(SessionLimit::deny(2).unwrap());
    deny.login("alice").await;
    deny.login("alice").await;
    deny.login("bob").await;
    let third = deny.knox.issue(subject("alice")).await;
    assert!(matches!(third, Err(IssueError::LimitReached { max: 2 })));
    deny.set(100);
    deny.login("alice").await;

    let evict = with_limit(SessionLimit::evict_oldest(2).unwrap());
    let mut logins = Vec::new();
    for second in 0..4 {
        evict.set(second);
        logins.push(evict.login("alice").await);
    }
    assert!(!evict.is_valid(&logins[0]).await && !evict.is_valid(&logins[1]).await);
    assert!(evict.is_valid(&logins[2]).await && evict.is_valid(&logins[3]).await);
}

#[tokio::test]
async fn a_limit_by_use_evicts_the_session_that_was_unused_for_longest() {
    let limit = SessionLimit::evict_least_recently_used(2).unwrap();
    let fixture = Fixture::with(|builder| builder.limit(limit));
    let phone = fixture.login("alice").await;
    fixture.set(1);
    let laptop = fixture.login("alice").await;
    fixture.set(120);
    assert!(fixture.is_valid(&phone).await);
    fixture.set(121);
    let tablet = fixture.login("alice").await;
    assert_eq!(fixture.rejection(laptop.token.expose()).await, Rejection::Revoked);
    assert!(fixture.is_valid(&phone).await && fixture.is_valid(&tablet).await);
}

#[tokio::test]
async fn a_login_replaces_the_session_with_the_same_label() {
    let fixture = with_limit(SessionLimit::deny(2).unwrap().one_per_label());
    let log_in = async |label: &str| fixture.knox.issue(NewSession::new(subject("alice")).label(label)).await;
    let old = log_in("Firefox").await.unwrap();
    let phone = log_in("Phone").await.unwrap();
    let new = log_in("Firefox").await.unwrap();
    assert_eq!(fixture.rejection(old.token.expose()).await, Rejection::Revoked);
    assert!(fixture.is_valid(&new).await && fixture.is_valid(&phone).await);
    assert!(matches!(log_in("firefox").await, Err(IssueError::LimitReached { max: 2 })));
    let unlabelled = fixture.knox.issue(subject("alice")).await;
    assert!(matches!(unlabelled, Err(IssueError::LimitReached { max: 2 })));
    assert!(fixture.is_valid(&new).await && fixture.is_valid(&phone).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_parallel_logins_at_a_limit_of_3_exactly_3_are_active() {
    for limit in [SessionLimit::deny(3), SessionLimit::evict_oldest(3), SessionLimit::evict_least_recently_used(3)] {
        let fixture = with_limit(limit.unwrap());
        let logins: Vec<_> = (0..64)
            .map(|_| {
                let knox = fixture.knox.clone();
                tokio::spawn(async move { knox.issue(subject("alice")).await })
            })
            .collect();
        for login in logins {
            let _: Result<Issued, IssueError> = login.await.unwrap();
        }
        assert_eq!(fixture.knox.sessions(&subject("alice")).await.unwrap().len(), 3);
    }
}

/// The `User-Agent` of a browser does not name a device.
#[tokio::test]
async fn two_computers_with_the_same_browser_are_two_devices() {
    let limit = SessionLimit::evict_oldest(5).unwrap().one_per_label();
    let fixture = with_limit(limit);
    let log_in = async |new: NewSession| fixture.knox.issue(new).await.unwrap();
    let browser = || NewSession::new(1).default_label("Mozilla/5.0");
    let (home, office) = (log_in(browser()).await, log_in(browser()).await);
    assert!(fixture.is_valid(&home).await && fixture.is_valid(&office).await);

    let device = || NewSession::new(1).label("Phone").default_label("Mozilla/5.0");
    let (old, new) = (log_in(device()).await, log_in(device()).await);
    assert!(!fixture.is_valid(&old).await && fixture.is_valid(&new).await);
    assert!(fixture.is_valid(&home).await && fixture.is_valid(&office).await);
}
