//! Two kinds of users in one application: a handle for each, with the same ids in both.

use jwt_knox::*;

use crate::fixture::{Fixture, KEY, rejection, subject};

/// The second handle of an application whose first one is that of the fixture.
fn staff(fixture: &Fixture, key: impl Into<KeyRing>) -> KnoxBuilder {
    Knox::builder(key).store(MemoryStore::new()).clock(fixture.clock.clone())
}

fn other_key() -> SigningKey {
    SigningKey::hs256([1; 32]).unwrap()
}

#[tokio::test]
async fn a_handle_with_another_key_accepts_and_rotates_nothing_of_this_one() {
    let customers = Fixture::new();
    let same_id = other_key().with_key_id(SigningKey::hs256(KEY).unwrap().key_id()).unwrap();
    // On a separate store, and even on the same one.
    let handles = [
        staff(&customers, other_key()).build().unwrap(),
        customers.server(other_key()).build().unwrap(),
        staff(&customers, same_id).build().unwrap(),
    ];
    for staff in handles {
        let issued = customers.login("42").await;
        let own = staff.issue(subject("42")).await.unwrap();
        let auth = customers.authenticate(&issued).await;

        let reason = rejection(&staff, issued.token.expose()).await;
        assert!([Rejection::UnknownKey, Rejection::InvalidSignature].contains(&reason), "{reason:?}");
        let rotated = staff.rotate(&auth).await;
        assert!(matches!(&rotated, Err(IssueError::Rejected(Rejection::UnknownKey))), "{rotated:?}");
        let rechecked = staff.recheck(&auth).await;
        assert!(matches!(&rechecked, Err(AuthenticateError::Rejected(Rejection::UnknownKey))), "{rechecked:?}");
        assert!(customers.is_valid(&issued).await);
        assert!(staff.authenticate(own.token.expose()).await.is_ok());
    }
}

/// One key, and one store each: the stores tell them apart.
#[tokio::test]
async fn a_handle_with_another_store_accepts_and_rotates_nothing_of_this_one() {
    let customers = Fixture::new();
    let staff = staff(&customers, SigningKey::hs256(KEY).unwrap()).build().unwrap();
    let issued = customers.login("42").await;
    let own = staff.issue(subject("42")).await.unwrap();
    let auth = customers.authenticate(&issued).await;
    assert_eq!(rejection(&staff, issued.token.expose()).await, Rejection::Revoked);
    assert!(matches!(staff.rotate(&auth).await, Err(IssueError::Rejected(Rejection::Revoked))));
    assert!(!staff.revoke(&auth.session_ref()).await.unwrap().is_revoked());
    assert!(customers.is_valid(&issued).await);
    assert!(staff.authenticate(own.token.expose()).await.is_ok());
}

/// What keys, issuers and stores cannot prevent: an id is only an id. With a prefix, there are no equal ones.
#[tokio::test]
async fn revoking_goes_by_the_subject_whichever_handle_it_came_from() {
    for (customer, employee, left) in [("42", "42", 0), ("customer-42", "staff-42", 1)] {
        let customers = Fixture::new();
        let staff = staff(&customers, other_key()).build().unwrap();
        let issued = customers.login(customer).await;
        staff.issue(subject(employee)).await.unwrap();
        let auth = customers.authenticate(&issued).await;
        staff.revoke_all(auth.subject()).await.unwrap();
        assert_eq!(staff.sessions(&subject(employee)).await.unwrap().len(), left);
        assert!(customers.is_valid(&issued).await);
    }
}
