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
    let check = subject_check_fn(move |session| {
        log.lock().unwrap().push(session.subject.to_string());
        async move {
            match session.subject.as_str() {
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

/// A user of the application, with the number of their password.
#[derive(Clone, PartialEq, Debug)]
struct User {
    name: &'static str,
    password_version: u32,
}

/// A users table with one row.
#[derive(Clone)]
struct Table(Arc<Mutex<User>>);

impl Table {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(User { name: "Alice", password_version: 1 })))
    }

    fn change_password(&self) {
        self.0.lock().unwrap().password_version += 1;
    }

    /// Sessions that began with another password are rejected.
    fn check(&self) -> impl SubjectCheck + use<> {
        let table = self.clone();
        subject_check_fn(move |session| {
            let user = table.0.lock().unwrap().clone();
            async move {
                let version = session.attributes.get("password_version").map(String::as_str);
                Ok(if version == Some(&user.password_version.to_string()) {
                    SubjectStatus::active_with(user)
                } else {
                    SubjectStatus::Inactive
                })
            }
        })
    }

    /// What a login makes of the row that it has read.
    fn session(&self) -> NewSession {
        let version = self.0.lock().unwrap().password_version.to_string();
        NewSession::new(subject("alice")).attribute("password_version", version).unwrap()
    }
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_the_old_one_at_the_next_request() {
    let table = Table::new();
    let fixture = Fixture::with(|builder| builder.subject_check(table.check()));
    let issued = fixture.knox.issue(table.session()).await.unwrap();
    let slow = table.session();
    let auth = fixture.authenticate(&issued).await;
    table.change_password();
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::SubjectInactive);
    let rotated = fixture.knox.rotate(&auth).await;
    assert!(matches!(rotated, Err(IssueError::Rejected(Rejection::SubjectInactive))));
    // The check sees the record of a session that has not begun yet.
    let login = fixture.knox.issue(slow).await;
    assert!(matches!(login, Err(IssueError::Rejected(Rejection::SubjectInactive))), "it read the old password");
    assert!(fixture.knox.issue(table.session()).await.is_ok());
}

#[tokio::test]
async fn handlers_get_the_user_that_the_check_has_read() {
    let table = Table::new();
    let fixture = Fixture::with(|builder| builder.subject_check(table.check()));
    let issued = fixture.knox.issue(table.session()).await.unwrap();
    let auth = fixture.authenticate(&issued).await;
    assert_eq!(auth.user::<User>(), Some(&User { name: "Alice", password_version: 1 }));
    assert_eq!(auth.user::<String>(), None, "it is of another type");
    assert!(!format!("{auth:?}").contains("Alice"));
    table.0.lock().unwrap().name = "Al";
    assert_eq!(auth.user::<User>().map(|user| user.name), Some("Alice"), "it is as it was read");
    let rechecked = fixture.knox.recheck(&auth).await.unwrap();
    assert_eq!(rechecked.user::<User>().map(|user| user.name), Some("Al"));

    let without = Fixture::new();
    let issued = without.login("alice").await;
    assert_eq!(without.authenticate(&issued).await.user::<User>(), None);
}
