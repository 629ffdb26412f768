//! The table of logins, for an application that wants to query it.
//!
//! All times are UTC. Write to it through [`SeaOrmStore`](crate::SeaOrmStore) only.

use chrono::NaiveDateTime;
use sea_orm::entity::prelude::*;

/// One login.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jwt_knox_tokens")]
pub struct Model {
    /// Who the login is for. Compares byte for byte.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: String,
    /// Which of the subject's logins it is: 32 hexadecimal digits.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The hash of the token's secret, as `sha256:…` or `sha512:…`.
    pub digest: String,
    /// When the login began.
    pub created_at: NaiveDateTime,
    /// When it ends; null: it has no deadline.
    pub expires_at: Option<NaiveDateTime>,
    /// When it was last used; null: not since the login.
    pub last_used_at: Option<NaiveDateTime>,
    /// When it ends however much it is used; null: never.
    pub deadline: Option<NaiveDateTime>,
    /// How many seconds it may stay unused; null: for as long as it lives.
    pub idle_seconds: Option<i64>,
    /// What the token may be used for: scopes, separated by spaces.
    #[sea_orm(column_type = "Text", nullable)]
    pub scope: Option<String>,
    /// What to call it in a list of devices.
    pub label: Option<String>,
    /// What the application keeps with it: a JSON object of texts.
    #[sea_orm(column_type = "Text")]
    pub attributes: String,
}

/// The table has no relations: subjects are whatever the application says they are.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// One row for each subject that has logged in under a limit, rotated a login or ended all of them. Whoever holds the
/// lock on it may do so.
// The derive wants these items public, in a module that is not.
#[allow(unreachable_pub)]
pub(crate) mod subject_lock {
    use sea_orm::entity::prelude::*;

    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "jwt_knox_subjects")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject: String,
    }

    #[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
