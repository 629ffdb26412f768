//! The store against the same SQL sent by bare sqlx: one call at a time, over the same pool, on the same rows.
//!
//! `cargo bench -p jwt-knox-sea-orm`, with `KNOX_TEST_POSTGRES_URL` and `KNOX_TEST_MYSQL_URL` set for the servers.
//! The pool does not ping before each use, so `find` is one round trip on either side.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod compare;
mod scratch;

use std::{borrow::Borrow, env, str::FromStr, time::Duration};

use compare::{Client, Comparison, LIMIT, Operation, Store};
use criterion::{Criterion, criterion_group, criterion_main};
use jwt_knox::{SessionRecord, Timestamp, async_trait};
use jwt_knox_sea_orm::SeaOrmStore;
use scratch::Scratch;
use sea_orm::{
    SqlxMySqlConnector, SqlxPostgresConnector, SqlxSqliteConnector,
    prelude::{DateTime, DateTimeUtc},
    sqlx::{
        self, Connection, MySql, Pool, Postgres, Sqlite,
        pool::PoolOptions,
        query::Query,
        sqlite::{SqliteConnectOptions, SqliteSynchronous},
    },
};
use tokio::runtime::Runtime;

/// A session, for the store and as the values of its columns.
struct Session {
    record: SessionRecord,
    id: String,
    digest: String,
    claims: Option<String>,
    created_at: DateTime,
    expires_at: Option<DateTime>,
}

impl From<SessionRecord> for Session {
    fn from(record: SessionRecord) -> Self {
        Self {
            id: record.id.to_string(),
            digest: record.digest.to_string(),
            claims: record.claims.map(|digest| digest.to_string()),
            created_at: date_time(record.created_at),
            expires_at: record.expires_at.map(date_time),
            record,
        }
    }
}

fn date_time(time: Timestamp) -> DateTime {
    DateTimeUtc::from_timestamp_micros(time.as_microsecond()).unwrap().naive_utc()
}

impl Borrow<SessionRecord> for Session {
    fn borrow(&self) -> &SessionRecord {
        &self.record
    }
}

const COLUMNS: &str = "subject, id, digest, created_at, expires_at, last_used_at, absolute_expires_at, idle_seconds, scope, label, attributes, previous, claims";

/// What `find` reads.
type Row = (
    String,
    String,
    String,
    DateTime,
    Option<DateTime>,
    Option<DateTime>,
    Option<DateTime>,
    Option<i64>,
    Option<String>,
    Option<String>,
    String,
    Option<String>,
    Option<String>,
);

/// The statements, written once and never freed, as sqlx wants them.
struct Sql {
    find: &'static str,
    insert: &'static str,
    remove: &'static str,
    lock: &'static str,
    active: &'static str,
}

impl Sql {
    /// `on_conflict` makes the insertion of a row that is there already a change of it, and `for_update` locks what is
    /// read. `numbered`: parameters are `$1` and so on.
    fn new(on_conflict: &str, for_update: &str, numbered: bool) -> Self {
        let statement = |text: &str| -> &'static str {
            let mut parts = text.split('?');
            let mut sql = parts.next().unwrap().to_owned();
            for (index, part) in parts.enumerate() {
                sql += &if numbered { format!("${}", index + 1) } else { "?".to_owned() };
                sql += part;
            }
            sql.leak()
        };
        Self {
            find: statement(&format!("SELECT {COLUMNS} FROM jwt_knox_sessions WHERE subject = ? AND id = ?")),
            insert: statement(&format!(
                "INSERT INTO jwt_knox_sessions ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            )),
            remove: statement("DELETE FROM jwt_knox_sessions WHERE subject = ? AND id = ?"),
            lock: statement(&format!("INSERT INTO jwt_knox_subjects (subject) VALUES (?) {on_conflict}")),
            active: statement(&format!(
                "SELECT {COLUMNS} FROM jwt_knox_sessions
                 WHERE subject = ? AND (expires_at IS NULL OR expires_at > ?) {for_update}"
            )),
        }
    }
}

/// The types of sqlx differ for each database, and the code does not. `before` is sent before the transaction begins.
macro_rules! bare {
    ($name:ident on $database:ty, before: $before:expr, begin: $begin:literal) => {
        struct $name {
            pool: Pool<$database>,
            sql: Sql,
        }

        impl $name {
            fn insertion<'a>(
                &self,
                session: &'a Session,
            ) -> Query<'a, $database, <$database as sqlx::Database>::Arguments> {
                sqlx::query(self.sql.insert)
                    .bind(session.record.subject.as_str())
                    .bind(&session.id)
                    .bind(&session.digest)
                    .bind(session.created_at)
                    .bind(session.expires_at)
                    .bind(None::<DateTime>)
                    .bind(session.expires_at)
                    .bind(None::<i64>)
                    .bind(None::<&str>)
                    .bind(session.record.label.as_deref())
                    .bind("{}")
                    .bind(None::<&str>)
                    .bind(session.claims.as_deref())
            }
        }

        #[async_trait]
        impl Client<Session> for $name {
            async fn run(&self, operation: Operation, session: &Session) {
                let subject = session.record.subject.as_str();
                match operation {
                    Operation::Find => {
                        let query = sqlx::query_as(self.sql.find).bind(subject).bind(&session.id);
                        let found: Option<Row> = query.fetch_optional(&self.pool).await.unwrap();
                        assert!(found.is_some());
                    }
                    Operation::Insert => drop(self.insertion(session).execute(&self.pool).await.unwrap()),
                    Operation::Remove => {
                        let delete = sqlx::query(self.sql.remove).bind(subject).bind(&session.id);
                        assert_eq!(delete.execute(&self.pool).await.unwrap().rows_affected(), 1);
                    }
                    Operation::InsertAtLimit => {
                        let mut connection = self.pool.acquire().await.unwrap();
                        let before: Option<&'static str> = $before;
                        if let Some(before) = before {
                            sqlx::query(before).execute(&mut *connection).await.unwrap();
                        }
                        let mut transaction = connection.begin_with($begin).await.unwrap();
                        sqlx::query(self.sql.lock).bind(subject).execute(&mut *transaction).await.unwrap();
                        let active = sqlx::query_as(self.sql.active).bind(subject).bind(session.created_at);
                        let active: Vec<Row> = active.fetch_all(&mut *transaction).await.unwrap();
                        assert_eq!(active.len(), LIMIT as usize);
                        let oldest = active.into_iter().min_by_key(|row| (row.3, row.1.clone())).unwrap().1;
                        self.insertion(session).execute(&mut *transaction).await.unwrap();
                        let delete = sqlx::query(self.sql.remove).bind(subject).bind(oldest);
                        delete.execute(&mut *transaction).await.unwrap();
                        transaction.commit().await.unwrap();
                    }
                }
            }
        }
    };
}

bare!(BareSqlite on Sqlite, before: None, begin: "BEGIN IMMEDIATE");
bare!(BarePostgres on Postgres, before: None, begin: "BEGIN ISOLATION LEVEL READ COMMITTED");
bare!(BareMySql on MySql, before: Some("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"), begin: "BEGIN");

fn benchmarks(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let upsert = "ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject";

    let scratch = runtime.block_on(Scratch::new("sqlite:")).unwrap();
    // Without waiting for the disk on each commit, which would hide everything else.
    let options = SqliteConnectOptions::from_str(&scratch.url).unwrap().synchronous(SqliteSynchronous::Normal);
    let pool = runtime.block_on(pool_options().connect_with(options)).unwrap();
    let store = SeaOrmStore::new(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.clone()));
    let bare = BareSqlite { pool: pool.clone(), sql: Sql::new(upsert, "", false) };
    compare(criterion, &runtime, "SQLite", &bare, store);
    runtime.block_on(pool.close());
    runtime.block_on(scratch.remove()).unwrap();

    if let Some(scratch) = on_server(&runtime, "KNOX_TEST_POSTGRES_URL") {
        let pool = runtime.block_on(pool_options().connect(&scratch.url)).unwrap();
        let store = SeaOrmStore::new(SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone()));
        let bare = BarePostgres { pool: pool.clone(), sql: Sql::new(upsert, "FOR UPDATE", true) };
        compare(criterion, &runtime, "PostgreSQL", &bare, store);
        runtime.block_on(pool.close());
        runtime.block_on(scratch.remove()).unwrap();
    }

    if let Some(scratch) = on_server(&runtime, "KNOX_TEST_MYSQL_URL") {
        let pool = runtime.block_on(pool_options().connect(&scratch.url)).unwrap();
        let store = SeaOrmStore::new(SqlxMySqlConnector::from_sqlx_mysql_pool(pool.clone()));
        let upsert = "ON DUPLICATE KEY UPDATE subject = VALUES(subject)";
        let bare = BareMySql { pool: pool.clone(), sql: Sql::new(upsert, "FOR UPDATE", false) };
        compare(criterion, &runtime, "MySQL", &bare, store);
        runtime.block_on(pool.close());
        runtime.block_on(scratch.remove()).unwrap();
    }
}

fn pool_options<D: sqlx::Database>() -> PoolOptions<D> {
    PoolOptions::new().max_connections(4).test_before_acquire(false)
}

fn on_server(runtime: &Runtime, variable: &str) -> Option<Scratch> {
    match env::var(variable) {
        Ok(url) => Some(runtime.block_on(Scratch::new(&url)).unwrap()),
        Err(_) => {
            println!("skipped: {variable} is not set");
            None
        }
    }
}

fn compare(
    criterion: &mut Criterion,
    runtime: &Runtime,
    database: &str,
    bare: &dyn Client<Session>,
    store: SeaOrmStore,
) {
    let operations = &[Operation::Find, Operation::Insert, Operation::Remove, Operation::InsertAtLimit];
    Comparison { database, bare, store: &Store(store), operations }.run(criterion, runtime);
}

criterion_group! {
    name = group;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = benchmarks
}
criterion_main!(group);
