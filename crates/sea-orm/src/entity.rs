//! The table of sessions, for an application that wants to query it.
//!
//! All times are UTC. Write to it through [`SeaOrmStore`](crate::SeaOrmStore) only.

use chrono::NaiveDateTime;
use sea_orm::entity::prelude::*;

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jwt_knox_sessions")]
pub struct Model {
    /// Who the session is for. Compares byte for byte.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: String,
    /// Which of the subject's sessions it is: 32 hexadecimal digits.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The hash of the token's secret, as `sha256:…` or `sha512:…`.
    pub digest: String,
    /// The secret before the last rotation: its digest, a nonce, and until when it is valid; null: none.
    pub previous: Option<String>,
    /// When the session began.
    pub created_at: NaiveDateTime,
    /// When it expires unless it is used again, exclusive; null: never.
    pub expires_at: Option<NaiveDateTime>,
    /// When it was last used, give or take the touch interval; null: not since the login.
    pub last_used_at: Option<NaiveDateTime>,
    /// The absolute expiry: use moves `expires_at` up to this time and not beyond; null: there is none.
    pub absolute_expires_at: Option<NaiveDateTime>,
    /// How many seconds it may stay unused; null: use makes no difference.
    pub idle_seconds: Option<i64>,
    /// The scopes of the token, separated by spaces.
    #[sea_orm(column_type = "Text", nullable)]
    pub scope: Option<String>,
    /// The digest of the token's custom claims; null: it was not kept.
    pub claims: Option<String>,
    /// What to call it in a list of sessions.
    pub label: Option<String>,
    /// What else the application keeps with it: a JSON object of strings.
    #[sea_orm(column_type = "Text")]
    pub attributes: String,
}

/// The table has no relations: subjects are whatever the application says they are.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// One row for each subject that has logged in. A transaction that adds a session, or ends all of them, holds the lock
/// on it.
// The derive wants these items public, in a module that is not.
#[allow(unreachable_pub)]
pub(crate) mod subject_lock {
    use sea_orm::entity::prelude::*;

    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "jwt_knox_subjects")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject: String,
        /// When all sessions of the subject were last revoked.
        pub revoked_at: Option<chrono::NaiveDateTime>,
    }

    #[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
