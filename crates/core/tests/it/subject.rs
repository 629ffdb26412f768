//! What the application says of a subject.

use std::sync::{Arc, Mutex};

use jwt_knox::*;

use crate::fixture::{Fixture, KEY, subject};

#[tokio::test]
async fn rejects_an_inactive_or_unknown_subject_and_issues_no_token_for_it() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    for (status, reason) in
        [(SubjectStatus::Inactive, Rejection::SubjectInactive), (SubjectStatus::Unknown, Rejection::SubjectUnknown)]
    {
        fixture.users.are(status);
        assert_eq!(fixture.rejection(issued.token.expose()).await, reason);
        let login = fixture.knox.issue(subject("alice")).await;
        assert!(matches!(login, Err(IssueError::Rejected(rejection)) if rejection == reason));
    }
    fixture.users.are(SubjectStatus::Active);
    assert!(fixture.is_valid(&issued).await);
}

#[tokio::test]
async fn a_closure_can_check_subjects() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let check = subject_check_fn(move |subject| {
        log.lock().unwrap().push(subject.to_string());
        async move {
            match subject.as_str() {
                "alice" => Ok(SubjectStatus::Active),
                "bob" => Ok(SubjectStatus::Inactive),
                _ => Err(StoreError::new("no such table").in_store("users")),
            }
        }
    });
    let fixture = Fixture::new();
    let knox = fixture.server(SigningKey::hs256(KEY).unwrap()).subject_check(check).build().unwrap();
    let issued = knox.issue(subject("alice")).await.unwrap();
    assert!(knox.authenticate(issued.token.expose()).await.is_ok());
    assert!(matches!(knox.issue(subject("bob")).await, Err(IssueError::Rejected(Rejection::SubjectInactive))));
    let error = knox.issue(subject("carol")).await.unwrap_err();
    assert_eq!(format!("{error:?}"), "the users store could not answer: no such table");
    assert_eq!(*asked.lock().unwrap(), ["alice", "alice", "bob", "carol"]);
    // Nobody is asked about a token that is not valid.
    assert!(knox.authenticate("a.b.c").await.is_err());
    assert_eq!(asked.lock().unwrap().len(), 4);
}
