//! Actions that want a recent login.

use jwt_knox::*;

use crate::fixture::{Fixture, START, at, seconds, subject};

#[tokio::test]
async fn a_login_is_recent_for_so_long_and_a_rotation_does_not_renew_it() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    assert_eq!(auth.authenticated_at(), at(START));
    auth.require_recent(seconds(0)).unwrap();

    fixture.set(300);
    fixture.authenticate(&issued).await.require_recent(seconds(300)).unwrap();
    let error = fixture.authenticate(&issued).await.require_recent(seconds(299)).unwrap_err();
    assert_eq!(error.max_age, seconds(299));

    let rotated = fixture.rotate(&issued).await;
    let auth = fixture.authenticate(&rotated).await;
    assert_eq!(auth.authenticated_at(), at(START));
    assert!(auth.require_recent(seconds(299)).is_err());
    // What is known is as old as the check.
    fixture.set(301);
    auth.require_recent(seconds(300)).unwrap();
    assert!(fixture.knox.recheck(&auth).await.unwrap().require_recent(seconds(300)).is_err());
}

/// The check of a password is part of the login, and takes its time.
#[tokio::test]
async fn a_login_is_as_old_as_the_check_of_the_credentials() {
    let fixture = Fixture::new();
    fixture.set(100);
    let new = NewSession::new(subject("alice")).began_at(at(START + 90));
    let issued = fixture.knox.issue(new).await.unwrap();
    let auth = fixture.authenticate(&issued).await;
    assert_eq!(auth.authenticated_at(), at(START + 90));
    assert!(auth.require_recent(seconds(9)).is_err());
    auth.require_recent(seconds(10)).unwrap();
}

/// The server that logged the user in was ahead.
#[tokio::test]
async fn a_login_in_the_future_is_recent() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    for ahead in [5, 600] {
        fixture.set(-ahead);
        fixture.authenticate(&issued).await.require_recent(seconds(0)).unwrap();
    }
    // So far ahead no clock is allowed to be. This one was set back, and the login may have been at any time.
    fixture.set(-601);
    assert!(fixture.authenticate(&issued).await.require_recent(seconds(300)).is_err());
}
