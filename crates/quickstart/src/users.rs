//! The application's users: a table, and what the library wants to know of it.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use jwt_knox::{NewToken, StoreError, Subject, SubjectCheck, SubjectStatus, async_trait};
use jwt_knox_http::{Credentials, Login, LoginError};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Schema, Set, entity::prelude::*, sea_query::OnConflict};
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::DATABASE_TIMEOUT;

/// A row of the table `users`.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// A UUID as text, which never changes: the subject of the user's tokens.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(36))")]
    pub id: String,
    /// What the user types, and may change.
    #[sea_orm(unique)]
    pub username: String,
    /// Argon2id, in PHC form.
    pub password_hash: String,
    /// 1 if the user may be logged in, 0 if not.
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
            password_hash: Set(hash(password).map_err(|error| DbErr::Custom(error.to_string()))?),
            active: Set(1),
        };
        // Another server may be starting on the same database.
        let keep = OnConflict::column(Column::Username).update_column(Column::Username).to_owned();
        Entity::insert(user).on_conflict(keep).exec_without_returning(connection).await?;
    }
    Ok(())
}

/// How long a login waits for its turn to be hashed.
const HASHING_TIMEOUT: Duration = Duration::from_secs(5);

/// Logs users in, and says whether they may still be. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Users {
    connection: DatabaseConnection,
    /// What a password is compared with if there is no such user.
    decoy_hash: Arc<str>,
    /// One for each password that may be hashed at the same time: Argon2 takes 19 MiB for each, and all of a core.
    hashing: Arc<Semaphore>,
}

impl Users {
    /// Users in the table `users` of `connection`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the operating system gives no random salt.
    pub fn new(connection: DatabaseConnection) -> Result<Self, StoreError> {
        let decoy_hash = hash("nobody's password").map_err(unavailable)?;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self { connection, decoy_hash: decoy_hash.into(), hashing: Arc::new(Semaphore::new(cores)) })
    }

    async fn find(&self, condition: Expr) -> Result<Option<Model>, StoreError> {
        let query = Entity::find().filter(condition).one(&self.connection);
        timeout(DATABASE_TIMEOUT, query).await.map_err(unavailable)?.map_err(unavailable)
    }
}

#[async_trait]
impl Login for Users {
    async fn login(&self, credentials: &Credentials) -> Result<NewToken, LoginError> {
        let user = self.find(Column::Username.eq(credentials.username())).await?;
        // Some databases find `alice` for `ALICE`.
        let user = user.filter(|user| user.username == credentials.username());

        // A password is hashed whether or not the user exists, so that the time does not tell.
        let hash = user.as_ref().map_or(self.decoy_hash.to_string(), |user| user.password_hash.clone());
        let password = Zeroizing::new(credentials.password().to_owned());
        // Hashing takes long on purpose; it must not hold up the requests of others, nor fill the memory.
        let permit = timeout(HASHING_TIMEOUT, self.hashing.acquire()).await.map_err(unavailable)?;
        let _permit = permit.map_err(unavailable)?;
        let is_right = tokio::task::spawn_blocking(move || verify(&password, &hash)).await.map_err(unavailable)?;

        match user {
            Some(user) if is_right && user.active == 1 => {
                let subject = Subject::new(user.id).map_err(unavailable)?;
                Ok(NewToken::for_subject(subject))
            }
            _ => Err(LoginError::InvalidCredentials),
        }
    }
}

#[async_trait]
impl SubjectCheck for Users {
    async fn check(&self, subject: &Subject) -> Result<SubjectStatus, StoreError> {
        Ok(match self.find(Column::Id.eq(subject.as_str())).await? {
            Some(user) if user.active == 1 => SubjectStatus::Active,
            Some(_) => SubjectStatus::Inactive,
            None => SubjectStatus::Unknown,
        })
    }
}

fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new("users", error)
}
