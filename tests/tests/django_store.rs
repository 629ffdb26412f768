//! The store on Knox's table keeps what the table can keep, by the rules of the conformance kit, and refuses the rest.
//!
//! The tables are as Django makes them; `django.rs` runs the store beside Django itself.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use jwt_knox::{
    HashAlgorithm, InsertOutcome, Knox, Lifetime, ManualClock, NewToken, SigningKey, StoreError, Subject, SubjectCheck,
    SubjectStatus, TokenFormat, TokenId, TokenKey, TokenLimit, TokenRecord, TokenStore, async_trait,
};
use jwt_knox_testkit::{Opener, rules};
use jwt_knox_tests::{
    django_store::DjangoStore,
    world::{START, connect, temporary_file},
};
use sea_orm::{ConnectionTrait, DatabaseConnection};

const TABLES: &str = r#"
    CREATE TABLE "auth_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "username" varchar(150) NOT NULL UNIQUE,
        "is_active" bool NOT NULL);
    CREATE TABLE "knox_authtoken" ("digest" varchar(128) NOT NULL PRIMARY KEY, "created" datetime NOT NULL,
        "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED,
        "expiry" datetime NULL, "token_key" varchar(25) NOT NULL);
    CREATE INDEX "knox_authtoken_user_id_e5a5d899" ON "knox_authtoken" ("user_id");
    CREATE INDEX "knox_authtoken_token_key_8f4f7d47" ON "knox_authtoken" ("token_key");
    INSERT INTO auth_user (username, is_active) VALUES ('alice', 1), ('bob', 1), ('carol', 0);
"#;

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap().block_on(test);
}

async fn new_database() -> PathBuf {
    let path = temporary_file();
    connect(&path).await.execute_unprepared(TABLES).await.unwrap();
    path
}

/// The first value of the first row, as text.
async fn value(database: &DatabaseConnection, sql: &str) -> Option<String> {
    let sql = sea_orm::Statement::from_string(sea_orm::DatabaseBackend::Sqlite, sql);
    database.query_one_raw(sql).await.unwrap().and_then(|row| row.try_get_by_index(0).unwrap())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn alice() -> Subject {
    Subject::new("alice").unwrap()
}

fn login(subject: &str, hex: &str) -> TokenRecord {
    let digest = format!("sha512:{}", hex.repeat(64)).parse().unwrap();
    TokenRecord::new(Subject::new(subject).unwrap(), digest, at(0))
}

mod kit {
    use super::*;

    /// The store as the kit wants it: with a user for each subject, and for records that have an end and no deadline.
    #[derive(Debug)]
    struct ForTheKit {
        store: DjangoStore,
        database: DatabaseConnection,
    }

    impl ForTheKit {
        async fn open(path: &std::path::Path) -> Self {
            let database = connect(path).await;
            Self { store: DjangoStore::new(database.clone(), HashAlgorithm::Sha256), database }
        }
    }

    fn without_deadline(mut record: TokenRecord) -> TokenRecord {
        record.deadline = None;
        record
    }

    #[async_trait]
    impl TokenStore for ForTheKit {
        async fn insert(
            &self,
            record: TokenRecord,
            limit: Option<TokenLimit>,
            now: Timestamp,
        ) -> Result<InsertOutcome, StoreError> {
            let add = format!("INSERT OR IGNORE INTO auth_user (username, is_active) VALUES ('{}', 1)", record.subject);
            self.database.execute_unprepared(&add).await.unwrap();
            self.store.insert(record, limit, now).await
        }

        async fn find(&self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
            Ok(self.store.find(key).await?.map(without_deadline))
        }

        async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
            Ok(self.store.list(subject, now).await?.into_iter().map(without_deadline).collect())
        }

        async fn touch(&self, key: &TokenKey, used: Timestamp, end: Option<Timestamp>) -> Result<bool, StoreError> {
            self.store.touch(key, used, end).await
        }

        async fn replace(&self, old: &TokenKey, new: TokenRecord) -> Result<bool, StoreError> {
            self.store.replace(old, new).await
        }

        async fn remove(&self, key: &TokenKey) -> Result<bool, StoreError> {
            self.store.remove(key).await
        }

        async fn remove_all(
            &self,
            subject: &Subject,
            except: Option<&TokenId>,
            now: Timestamp,
        ) -> Result<u64, StoreError> {
            self.store.remove_all(subject, except, now).await
        }

        async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
            self.store.remove_expired(now, batch).await
        }
    }

    macro_rules! keeps {
        (shared $($rule:ident)*) => {
            $(
                #[test]
                fn $rule() {
                    block_on(async {
                        let path = new_database().await;
                        rules::$rule(Arc::new(ForTheKit::open(&path).await)).await;
                    });
                }
            )*
        };
        (durable $($rule:ident)*) => {
            $(
                #[test]
                fn $rule() {
                    block_on(async {
                        let path = new_database().await;
                        rules::$rule(Opener::new(async move || ForTheKit::open(&path).await)).await;
                    });
                }
            )*
        };
    }

    // Left out are the rules of what the table does not keep (labels, the last use, and so touches), and those that
    // give two users the same digest, which is the primary key here.
    keeps! { shared
        an_unknown_record_is_not_found
        a_record_is_inserted_once
        list_is_newest_first
        list_gives_the_live_records_of_one_subject
        remove_is_precise_and_may_be_repeated
        remove_all_ends_all_and_counts_the_live
        remove_all_spares_the_exception
        replace_of_a_missing_record_inserts_nothing
        a_denying_limit_refuses_one_too_many
        an_evicting_limit_lets_the_new_record_in
        a_lowered_limit_applies_to_the_next_login
        a_limit_counts_its_own_subject_only
        expired_records_count_in_no_limit
        without_a_limit_nothing_is_evicted
        remove_expired_removes_only_what_is_over
        remove_expired_keeps_to_its_batch
        remove_expired_loses_no_login_that_happens_meanwhile
        parallel_logins_keep_to_a_denying_limit
        parallel_logins_keep_to_an_evicting_limit
        parallel_rotations_have_one_winner
        parallel_removals_have_one_winner
        a_touch_revives_nothing
        a_login_is_removed_whole_or_there_whole
        remove_all_counts_every_login_it_ends
        a_rotation_does_not_outlive_remove_all
        a_rotation_does_not_slip_past_the_limit
    }
    keeps! { durable
        a_removal_is_seen_through_every_handle
        a_limit_holds_over_two_handles
        a_rotation_has_one_winner_over_two_handles
    }
}

#[test]
fn a_row_is_what_knox_would_have_written() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let store = DjangoStore::new(database.clone(), HashAlgorithm::Sha512);
        let microsecond = at(0).checked_add(Duration::from_micros(70)).unwrap();
        let mut record = login("alice", "0a");
        record.created_at = microsecond;
        record.expires_at = Some(at(600));
        record.deadline = Some(at(600));
        record.label = Some("dropped".to_owned());
        let _ = store.insert(record.clone(), None, at(0)).await.unwrap();
        let row = "SELECT digest || '|' || created || '|' || user_id || '|' || expiry || '|' || token_key \
                   FROM knox_authtoken";
        let expected = format!("{}|2027-01-15 08:00:00.000070|1|2027-01-15 08:10:00|", "0a".repeat(64));
        assert_eq!(value(&database, row).await, Some(expected));

        record.label = None;
        assert_eq!(store.find(&record.key()).await.unwrap(), Some(record.clone()));
        assert_eq!(store.list(&alice(), at(599)).await.unwrap(), [record.clone()]);
        assert_eq!(store.list(&alice(), at(600)).await.unwrap(), []);
        assert!(!store.touch(&record.key(), at(1), None).await.unwrap());
    });
}

#[test]
fn rotation_keeps_the_end_of_a_login() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let store = DjangoStore::new(database.clone(), HashAlgorithm::Sha512);
        let clock = Arc::new(ManualClock::new(at(0)));
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap())
            .token_format(TokenFormat::drf_jwt_knox())
            .lifetime(Lifetime::absolute(Duration::from_secs(600)))
            .store(store)
            .clock(clock.clone())
            .build()
            .unwrap();
        let issued = knox.issue(alice()).await.unwrap();
        clock.set(at(300));
        let auth = knox.authenticate(issued.token.expose()).await.unwrap();
        let rotated = knox.rotate(&auth).await.unwrap();
        assert_eq!(rotated.record.expires_at, Some(at(600)));
        assert_eq!(value(&database, "SELECT expiry FROM knox_authtoken").await.unwrap(), "2027-01-15 08:10:00");
        assert_eq!(value(&database, "SELECT created FROM knox_authtoken").await.unwrap(), "2027-01-15 08:00:00");
        assert!(knox.authenticate(issued.token.expose()).await.is_err());
        clock.set(at(599));
        assert!(knox.authenticate(rotated.token.expose()).await.is_ok());
        clock.set(at(600));
        assert!(knox.authenticate(rotated.token.expose()).await.is_err());

        let endless = NewToken::for_subject(alice()).lifetime(Lifetime::never());
        let endless = knox.issue_with(endless).await.unwrap();
        let auth = knox.authenticate(endless.token.expose()).await.unwrap();
        let rotated = knox.rotate(&auth).await.unwrap();
        assert_eq!(rotated.record.expires_at, None);
        clock.set(at(1_000_000_000));
        assert!(knox.authenticate(rotated.token.expose()).await.is_ok());
    });
}

#[test]
fn an_evicting_limit_ends_the_oldest() {
    block_on(async {
        let store = DjangoStore::new(connect(&new_database().await).await, HashAlgorithm::Sha512);
        let limit = Some(TokenLimit::evict_oldest(2));
        for (second, hex) in [(3, "aa"), (1, "bb"), (2, "cc"), (4, "dd")] {
            let mut record = login("alice", hex);
            record.created_at = at(second);
            let evicted = u64::from(hex > "bb");
            assert_eq!(store.insert(record, limit, at(9)).await.unwrap(), InsertOutcome::Inserted { evicted });
        }
        let left: Vec<TokenId> = store.list(&alice(), at(9)).await.unwrap().iter().map(TokenRecord::id).collect();
        assert_eq!(left, [login("alice", "dd").id(), login("alice", "aa").id()]);
    });
}

/// What would be lost is refused, and what would say something else.
#[test]
fn what_the_table_cannot_keep_is_refused() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let store = DjangoStore::new(database.clone(), HashAlgorithm::Sha512);
        let kept = login("alice", "00");
        let _ = store.insert(kept.clone(), None, at(0)).await.unwrap();

        let [mut idle, mut scope, mut attributes] = ["01", "02", "03"].map(|hex| login("alice", hex));
        idle.idle_timeout = Some(Duration::from_secs(60));
        scope.scope = Some("read".to_owned());
        attributes.attributes = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let mut another_hash = kept.clone();
        another_hash.digest = format!("sha512-of-hex:{}", "04".repeat(64)).parse().unwrap();
        for refused in [idle, scope, attributes, another_hash, login("nobody", "05"), login("Alice", "06")] {
            for limit in [None, Some(TokenLimit::evict_oldest(1))] {
                assert!(store.insert(refused.clone(), limit, at(0)).await.is_err(), "{refused:?}");
            }
            if refused.subject == kept.subject {
                assert!(store.replace(&kept.key(), refused).await.is_err());
            }
        }
        assert_eq!(store.list(&alice(), at(0)).await.unwrap(), [kept]);
        assert_eq!(value(&database, "SELECT count(*) || '' FROM knox_authtoken").await.unwrap(), "1");
    });
}

/// A row is its user's, whatever else is asked for.
#[test]
fn users_do_not_mix() {
    block_on(async {
        let store = DjangoStore::new(connect(&new_database().await).await, HashAlgorithm::Sha512);
        let (mine, yours) = (login("alice", "0a"), login("bob", "0b"));
        for record in [&mine, &yours] {
            let _ = store.insert(record.clone(), None, at(0)).await.unwrap();
        }
        for name in ["bob", "Alice", "alice ", "ALICE", "nobody", "%"] {
            let key = TokenKey { subject: Subject::new(name).unwrap(), id: mine.id() };
            assert_eq!(store.find(&key).await.unwrap(), None, "{name}");
            assert!(!store.remove(&key).await.unwrap(), "{name}");
            assert!(!store.replace(&key, login(name, "0c")).await.unwrap(), "{name}");
            if name != "bob" {
                assert_eq!(store.remove_all(&key.subject, None, at(0)).await.unwrap(), 0, "{name}");
                assert_eq!(store.list(&key.subject, at(0)).await.unwrap(), [], "{name}");
            }
        }
        assert_eq!(store.remove_all(&yours.subject, Some(&mine.id()), at(0)).await.unwrap(), 1);
        assert_eq!(store.find(&mine.key()).await.unwrap(), Some(mine));
    });
}

#[test]
fn a_subject_is_what_django_says_of_the_user() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let store = DjangoStore::new(database.clone(), HashAlgorithm::Sha512);
        for (name, status) in [
            ("alice", SubjectStatus::Active),
            ("carol", SubjectStatus::Inactive),
            ("Alice", SubjectStatus::Unknown),
            ("nobody", SubjectStatus::Unknown),
        ] {
            assert_eq!(store.check(&Subject::new(name).unwrap()).await.unwrap(), status, "{name}");
        }
        database.execute_unprepared("ALTER TABLE auth_user RENAME TO gone").await.unwrap();
        assert!(store.check(&alice()).await.is_err(), "a table that is not there is no answer");
    });
}

/// Django takes an end that it cannot read for none. Here that is an error, and the token is not let in.
#[test]
fn a_row_that_cannot_be_read_lets_nobody_in() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let store = DjangoStore::new(database.clone(), HashAlgorithm::Sha512);
        let record = login("alice", "0a");
        let _ = store.insert(record.clone(), None, at(0)).await.unwrap();
        for expiry in ["''", "1900000000", "1.5", "'2027-01-15 08:00:00 UTC'", "'2027-01-15'", "'soon'", "x'00'"] {
            database.execute_unprepared(&format!("UPDATE knox_authtoken SET expiry = {expiry}")).await.unwrap();
            assert!(store.find(&record.key()).await.is_err(), "{expiry}");
        }
        for (expiry, second) in [("'2027-01-15 08:00:10'", 10), ("'2027-01-15 08:00:10.000000'", 10)] {
            database.execute_unprepared(&format!("UPDATE knox_authtoken SET expiry = {expiry}")).await.unwrap();
            assert_eq!(store.find(&record.key()).await.unwrap().unwrap().expires_at, Some(at(second)), "{expiry}");
        }
        // It can be ended all the same.
        database.execute_unprepared("UPDATE knox_authtoken SET expiry = 'soon'").await.unwrap();
        assert!(store.remove_all(&alice(), None, at(0)).await.is_ok());
        assert_eq!(value(&database, "SELECT digest FROM knox_authtoken").await, None);
    });
}

#[test]
fn find_goes_by_the_primary_key() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let mut plan = DjangoStore::query(&login("alice", "0a").key());
        plan.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
        let plan = database.query_all_raw(plan).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.try_get_by("detail").unwrap()).collect();
        let by_key = "SEARCH knox_authtoken USING INDEX sqlite_autoindex_knox_authtoken_1 (digest>? AND digest<?)";
        assert!(plan.iter().any(|step| step == by_key), "{plan:?}");
        assert!(plan.iter().all(|step| !step.starts_with("SCAN ")), "{plan:?}");
    });
}
