//! The application's users. A product has them in a table.

use std::{collections::HashMap, sync::Arc};

/// Users by the name that they type. Cheap to clone.
#[derive(Clone, Default)]
#[allow(missing_debug_implementations, reason = "it has the hashes of passwords")]
pub struct Users(Arc<HashMap<String, User>>);

/// A user.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "it has the hash of a password")]
pub struct User {
    /// Never changes: the subject of the user's tokens.
    pub id: i64,
    /// Argon2id, in PHC form.
    pub password_hash: String,
}

impl Users {
    /// The user with that name.
    #[must_use]
    pub fn find(&self, username: &str) -> Option<User> {
        self.0.get(username).cloned()
    }
}

impl FromIterator<(String, User)> for Users {
    fn from_iter<I: IntoIterator<Item = (String, User)>>(users: I) -> Self {
        Self(Arc::new(users.into_iter().collect()))
    }
}
