//! The application's users: a table, and what jwt-knox asks about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use jwt_knox_axum::{
    Credentials, Login, LoginError,
    jwt_knox::{NewSession, SessionRecord, StoreError, SubjectCheck, SubjectStatus, async_trait},
};
use serde::{Deserialize, Serialize};

/// What a user may do besides what all users may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Publishes articles.
    Editor,
    /// Says who has which role.
    Admin,
}

impl Role {
    /// The name of the role, which is also that of the scope.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct User {
    /// Never changes: the subject of the user's sessions.
    pub id: i64,
    /// What the user types, and may change.
    pub name: String,
    /// The roles, as of now.
    pub roles: BTreeSet<Role>,
    /// Whether the user may log in and use sessions.
    pub is_active: bool,
}

impl User {
    /// A user who is active.
    pub fn new(id: i64, name: impl Into<String>, roles: impl IntoIterator<Item = Role>) -> Self {
        Self { id, name: name.into(), roles: roles.into_iter().collect(), is_active: true }
    }
}

/// The table. Replace it by your database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Users(Arc<Mutex<BTreeMap<i64, User>>>);

impl Users {
    /// A table with these users.
    #[must_use]
    pub fn new(users: impl IntoIterator<Item = User>) -> Self {
        let users = users.into_iter().map(|user| (user.id, user)).collect();
        Self(Arc::new(Mutex::new(users)))
    }

    /// Changes a user, as an `UPDATE` does. `false`: there is none of that name.
    pub fn update(&self, name: &str, change: impl FnOnce(&mut User)) -> bool {
        self.with_rows(|users| users.values_mut().find(|user| user.name == name).map(change).is_some())
    }

    /// One query. A database may fail to answer; then the client gets a 503.
    async fn find(&self, condition: impl Fn(&User) -> bool) -> Result<Option<User>, StoreError> {
        Ok(self.with_rows(|users| users.values().find(|user| condition(user)).cloned()))
    }

    fn with_rows<T>(&self, act: impl FnOnce(&mut BTreeMap<i64, User>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl SubjectCheck for Users {
    async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError> {
        // Not an id of this table.
        let Ok(id) = session.subject.parse::<i64>() else { return Ok(SubjectStatus::Unknown) };
        Ok(match self.find(|user| user.id == id).await? {
            Some(user) if user.is_active => SubjectStatus::active_with(user),
            Some(_) => SubjectStatus::Inactive,
            None => SubjectStatus::Unknown,
        })
    }
}

#[async_trait]
impl Login for Users {
    async fn login(&self, credentials: &Credentials) -> Result<NewSession, LoginError> {
        let user = self.find(|user| user.name == credentials.username()).await?;
        match user {
            // No scopes: the session is its owner's.
            Some(user) if is_password(&user, credentials.password()) => Ok(NewSession::new(user.id)),
            _ => Err(LoginError::InvalidCredentials),
        }
    }
}

/// Replace this by `Passwords`, which checks the slow hash in the user's row where it blocks no other request, and
/// takes as long if there is no user; `examples/axum/src/users.rs` shows how.
fn is_password(user: &User, password: &str) -> bool {
    matches!((&*user.name, password), ("alice", "wonderland") | ("bob", "builder"))
}
