//! The application's users: a table, and what jwt-knox asks about it.

use jwt_knox_axum::{
    Credentials, Login, LoginError, Passwords,
    jwt_knox::{NewSession, SessionRecord, StoreError, Subject, SubjectCheck, SubjectStatus, async_trait},
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Schema, Set, entity::prelude::*, sea_query::OnConflict};
use uuid::Uuid;

use crate::passwords;

/// A row of the table `users`.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// A UUID, which never changes: the subject of the user's tokens.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(36))")]
    pub id: String,
    /// What the user types, and may change.
    #[sea_orm(unique)]
    pub username: String,
    /// Argon2id, in PHC form.
    pub password_hash: String,
    /// 1 if the user may log in and use sessions, 0 if not.
    pub active: i32,
}

/// The table has no relations.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Makes the table and, if it is new, alice and bob.
///
/// # Errors
///
/// [`DbErr`] if the database does not do it.
pub async fn create_and_seed(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let backend = connection.get_database_backend();
    let mut table = Schema::new(backend).create_table_from_entity(Entity);
    connection.execute(table.if_not_exists()).await?;
    if Entity::find().count(connection).await? > 0 {
        return Ok(());
    }
    for (username, password) in [("alice", "wonderland"), ("bob", "builder")] {
        let user = ActiveModel {
            id: Set(Uuid::new_v4().to_string()),
            username: Set(username.to_owned()),
            password_hash: Set(passwords::hash(password).map_err(|error| DbErr::Custom(error.to_string()))?),
            active: Set(1),
        };
        // Another server may be starting on the same database.
        let keep = OnConflict::column(Column::Username).update_column(Column::Username).to_owned();
        Entity::insert(user).on_conflict(keep).exec_without_returning(connection).await?;
    }
    Ok(())
}

/// Logs users in, and says whether their sessions are still valid. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Users {
    connection: DatabaseConnection,
    passwords: Passwords,
}

impl Users {
    /// The users in the table `users`.
    #[must_use]
    pub fn new(connection: DatabaseConnection, passwords: Passwords) -> Self {
        Self { connection, passwords }
    }

    async fn find(&self, condition: Expr) -> Result<Option<Model>, StoreError> {
        let user = Entity::find().filter(condition).one(&self.connection).await;
        user.map_err(|error| StoreError::new(error).in_store("users"))
    }
}

#[async_trait]
impl Login for Users {
    async fn login(&self, credentials: &Credentials) -> Result<NewSession, LoginError> {
        let user = self.find(Column::Username.eq(credentials.username())).await?;
        // Some databases find `alice` for `ALICE`.
        let user = user.filter(|user| user.username == credentials.username());

        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let is_right = self.passwords.verify(credentials.password(), hash).await?;
        match user {
            Some(user) if is_right && user.active == 1 => {
                let session = NewSession::new(Subject::new(user.id)?);
                // A program may only read. The scope keeps it from the routes that list and revoke sessions, too.
                let is_program = user.username.starts_with("svc-");
                Ok(if is_program { session.scopes(["read"])? } else { session })
            }
            _ => Err(LoginError::InvalidCredentials),
        }
    }
}

#[async_trait]
impl SubjectCheck for Users {
    async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError> {
        Ok(match self.find(Column::Id.eq(session.subject.as_str())).await? {
            Some(user) if user.active == 1 => SubjectStatus::Active,
            Some(_) => SubjectStatus::Inactive,
            None => SubjectStatus::Unknown,
        })
    }
}
