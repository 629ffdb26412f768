//! A login that takes long, and a password that is changed in the meantime.

use jwt_knox::*;

use crate::fixture::{Audit, Fixture, KEY, START, at, seconds, subject};

fn assert_superseded(outcome: Result<Issued, IssueError>) {
    assert!(matches!(outcome, Err(IssueError::Superseded)), "{outcome:?}");
}

fn began(second: i64) -> NewSession {
    NewSession::new(subject("alice")).began_at(at(START + second))
}

#[tokio::test]
async fn a_login_that_began_before_all_sessions_were_revoked_does_not_begin() {
    // The leeway is for the expiry of sessions, and not for when they were revoked.
    for leeway in [0, 60, 600] {
        let audit = Audit::default();
        let fixture = Fixture::with(|builder| builder.observer(audit.observer()).leeway(seconds(leeway)));
        fixture.set(10);
        fixture.knox.revoke_all(&subject("alice")).await.unwrap();
        for second in [0, 9] {
            assert_superseded(fixture.knox.issue(began(second)).await);
        }
        fixture.set(1000);
        assert_superseded(fixture.knox.issue(began(9)).await);
        assert!(fixture.knox.sessions(&subject("alice")).await.unwrap().is_empty());
        assert_eq!(audit.take(), ["login_rejected alice superseded"; 3]);

        let equal = fixture.knox.issue(began(10)).await.unwrap();
        assert_eq!(equal.session.created_at, at(START + 10));
        assert!(fixture.is_valid(&equal).await, "the same time passes");
        assert!(fixture.knox.issue(began(11)).await.is_ok());
        assert!(fixture.knox.issue(subject("alice")).await.is_ok());
        let bob = NewSession::new(subject("bob")).began_at(at(START));
        assert!(fixture.knox.issue(bob).await.is_ok(), "another user's sessions were not revoked");
    }
}

#[tokio::test]
async fn to_revoke_the_others_keeps_logins_from_beginning_too() {
    let fixture = Fixture::with(|builder| builder.leeway(seconds(60)));
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    fixture.set(10);
    assert_eq!(fixture.knox.revoke_others(&auth).await.unwrap(), 0);
    assert_superseded(fixture.knox.issue(began(9)).await);
    assert!(fixture.is_valid(&issued).await, "the one that was spared goes on");
    let rotated = fixture.rotate(&issued).await;
    assert!(fixture.is_valid(&rotated).await, "and is rotated");
    assert!(fixture.knox.issue(began(10)).await.is_ok());
    // To revoke one session says nothing of the password.
    fixture.set(20);
    assert!(fixture.knox.revoke(&auth.session_ref()).await.unwrap().is_revoked());
    assert!(fixture.knox.issue(began(15)).await.is_ok());
}

#[tokio::test]
async fn an_admin_without_a_key_keeps_logins_from_beginning() {
    let fixture = Fixture::new();
    let admin = KnoxAdmin::new(fixture.store.clone()).clock(fixture.clock.clone()).leeway(seconds(600)).unwrap();
    fixture.set(10);
    assert_eq!(admin.revoke_all(&subject("alice")).await.unwrap(), 0);
    assert_superseded(fixture.knox.issue(began(9)).await);
}

#[tokio::test]
async fn began_at_is_when_the_session_began_and_not_what_its_lifetime_counts_from() {
    let fixture = Fixture::new();
    fixture.set(100);
    let issued = fixture.knox.issue(began(40)).await.unwrap();
    assert_eq!(issued.session.created_at, at(START + 40));
    assert_eq!(issued.session.expires_at, Some(at(START + 100 + 36_000)));
    assert_eq!(fixture.knox.now(), at(START + 100));
    let both = began(40).default_began_at(at(START + 50));
    assert_eq!(fixture.knox.issue(both).await.unwrap().session.created_at, at(START + 40));
    let default = NewSession::new(1).default_began_at(at(START + 50));
    assert_eq!(fixture.knox.issue(default).await.unwrap().session.created_at, at(START + 50));
    assert_eq!(fixture.knox.issue(1).await.unwrap().session.created_at, at(START + 100));
}

#[tokio::test]
async fn a_login_does_not_begin_in_the_future() {
    let fixture = Fixture::new();
    for began_at in [at(START + 1000), Timestamp::MAX] {
        let new = NewSession::new(subject("alice")).began_at(began_at);
        let issued = fixture.knox.issue(new.clone()).await.unwrap();
        assert_eq!(issued.session.created_at, at(START), "it is cut to now");
        fixture.set(10);
        fixture.knox.revoke_all(&subject("alice")).await.unwrap();
        // The clock is set back, and no claim about the future gets around that.
        fixture.set(9);
        assert_superseded(fixture.knox.issue(new).await);
        fixture.set(10);
        assert!(fixture.knox.issue(subject("alice")).await.is_ok());
        fixture.set(0);
        fixture.store.inner().remove_expired(Timestamp::MAX, std::num::NonZeroU32::MAX).await.unwrap();
    }
}

/// The application says that the user is active, and changes its mind before the session is in the store.
#[tokio::test]
async fn a_revocation_during_the_subject_check_is_seen() {
    let fixture = Fixture::new();
    let (clock, store) = (fixture.clock.clone(), fixture.store.clone());
    let check = subject_check_fn(move |session: SessionRecord| {
        let (clock, store) = (clock.clone(), store.clone());
        async move {
            clock.advance(seconds(1));
            store.remove_all(&session.subject, None, clock.now()).await?;
            clock.advance(seconds(1));
            Ok(SubjectStatus::Active)
        }
    });
    let knox = fixture.server(SigningKey::hs256(KEY).unwrap()).subject_check(check).build().unwrap();
    assert_superseded(knox.issue(subject("alice")).await);
    assert!(knox.sessions(&subject("alice")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_revocation_is_remembered_for_a_day_also_over_purges() {
    let fixture = Fixture::new();
    fixture.set(10);
    fixture.knox.revoke_all(&subject("alice")).await.unwrap();
    for second in [10, 3600, 86_400] {
        fixture.set(second);
        fixture.knox.purge_expired().await.unwrap();
        assert_superseded(fixture.knox.issue(began(9)).await);
    }
    // The latest one counts, whatever the order in which clocks tell of them.
    fixture.set(100_000);
    fixture.knox.revoke_all(&subject("alice")).await.unwrap();
    fixture.set(99_000);
    fixture.knox.revoke_all(&subject("alice")).await.unwrap();
    fixture.set(100_001);
    assert_superseded(fixture.knox.issue(began(99_999)).await);
}
