//! The application's users. A product has them in a table.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jwt_knox_axum::jwt_knox::{SessionRecord, StoreError, SubjectCheck, SubjectStatus, async_trait};

/// Users by the id that the provider gives them. Cheap to clone; clones share them.
///
/// Never by their e-mail address: people change it, providers give it to the next person, and not every provider has
/// checked that it is theirs. Where there are several providers, the key is the provider and its id.
#[derive(Debug, Clone, Default)]
pub struct Users(Arc<Mutex<HashMap<String, User>>>);

#[derive(Debug, Clone, Copy)]
struct User {
    /// The application's own id, which never changes: the subject of the user's tokens.
    id: i64,
    is_active: bool,
}

impl Users {
    /// The id of the user whom the provider knows by `provider_id`. Whoever logs in for the first time becomes a user;
    /// an application that lets in only whom it knows rejects them here.
    #[must_use]
    pub fn find_or_add(&self, provider_id: &str) -> i64 {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // No user is ever removed, so no id is given twice.
        let next = i64::try_from(users.len()).unwrap_or(i64::MAX);
        users.entry(provider_id.to_owned()).or_insert(User { id: next, is_active: true }).id
    }

    /// Lets a user in again, or locks them out: at once, whatever sessions they have.
    pub fn set_active(&self, id: i64, is_active: bool) {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(user) = users.values_mut().find(|user| user.id == id) {
            user.is_active = is_active;
        }
    }
}

#[async_trait]
impl SubjectCheck for Users {
    async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError> {
        let Ok(id) = session.subject.parse::<i64>() else { return Ok(SubjectStatus::Unknown) };
        let users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match users.values().find(|user| user.id == id) {
            Some(user) if user.is_active => SubjectStatus::Active,
            Some(_) => SubjectStatus::Inactive,
            None => SubjectStatus::Unknown,
        })
    }
}
