//! Subjects, digests and records of which no two rules share any, and a store whose failures fail the rule.

use std::{fmt::Write as _, num::NonZeroU32, pin::Pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use jwt_knox::{
    InsertOutcome, StoreError, Subject, TokenDigest, TokenId, TokenKey, TokenLimit, TokenRecord, TokenStore,
};
use tokio::sync::Barrier;

/// 2037-01-01, in seconds after 1970. Far off, so that a store that drops records by its own clock drops none of these,
/// but before 2038: whether a store gets past that has a rule of its own.
const START: i64 = 2_114_380_800;

/// The moment `second` seconds after the start of 2037.
pub(crate) fn at(second: i64) -> Timestamp {
    since_1970(START + second)
}

/// The moment `second` seconds after the start of 1970.
pub(crate) fn since_1970(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// The moment one microsecond later: the smallest step that a store tells apart.
pub(crate) fn just_after(moment: Timestamp) -> Timestamp {
    moment.checked_add(Duration::from_micros(1)).unwrap_or(Timestamp::MAX)
}

/// `count` random bytes.
fn random<const COUNT: usize>() -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    if getrandom::fill(&mut bytes).is_err() {
        panic!("the operating system gave no random bytes");
    }
    bytes
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A text that is nowhere else.
pub(crate) fn unique() -> String {
    format!("knox-{}", hexadecimal(&random::<10>()))
}

/// The subject of that name.
pub(crate) fn subject_called(name: impl Into<String>) -> Subject {
    Subject::new(name).unwrap_or_else(|error| panic!("the kit made a subject that is none: {error}"))
}

/// A subject that nobody else uses.
pub(crate) fn subject() -> Subject {
    subject_called(unique())
}

/// A random digest whose id begins with `first`, so that ids can be put in order.
pub(crate) fn digest_beginning_with(first: u8) -> TokenDigest {
    let mut bytes = random::<32>();
    bytes[0] = first;
    digest_of(&format!("sha256:{}", hexadecimal(&bytes)))
}

/// A random digest.
pub(crate) fn digest() -> TokenDigest {
    digest_of(&format!("sha256:{}", hexadecimal(&random::<32>())))
}

/// A random digest of the longest kind.
pub(crate) fn long_digest() -> TokenDigest {
    digest_of(&format!("sha512:{}", hexadecimal(&random::<64>())))
}

fn digest_of(text: &str) -> TokenDigest {
    text.parse().unwrap_or_else(|error| panic!("the kit made a digest that is none: {error}"))
}

/// A login that began at `at(created)` and has no deadline.
pub(crate) fn login(subject: &Subject, created: i64) -> TokenRecord {
    TokenRecord::new(subject.clone(), digest(), at(created))
}

/// A login that began at `at(created)` and ends at `at(ends)`.
pub(crate) fn login_until(subject: &Subject, created: i64, ends: i64) -> TokenRecord {
    let mut record = login(subject, created);
    record.expires_at = Some(at(ends));
    record
}

/// A login with a label that began at `at(created)` and has no deadline.
pub(crate) fn labelled(subject: &Subject, label: &str, created: i64) -> TokenRecord {
    let mut record = login(subject, created);
    record.label = Some(label.to_owned());
    record
}

/// A moment soon after 1970 at which to call `remove_expired`. Random, since other rules and processes purge as well.
pub(crate) fn era() -> i64 {
    let [a, b] = random();
    100_000 + i64::from(u16::from_le_bytes([a, b]))
}

/// A login that began and ended in the time that only the rules about `remove_expired` use.
pub(crate) fn login_long_over(subject: &Subject, ended: i64) -> TokenRecord {
    let mut record = TokenRecord::new(subject.clone(), digest(), since_1970(ended - 60));
    record.expires_at = Some(since_1970(ended));
    record
}

/// The ids of the records, in their order.
pub(crate) fn ids(records: &[TokenRecord]) -> Vec<TokenId> {
    records.iter().map(TokenRecord::id).collect()
}

/// The store under test. A call that fails where the contract wants an answer fails the rule.
#[derive(Debug, Clone)]
pub(crate) struct Probe(pub(crate) Arc<dyn TokenStore>);

impl Probe {
    /// Adds a record that nothing forbids.
    pub(crate) async fn add(&self, record: &TokenRecord) {
        let outcome = self.insert(record, None, record.created_at).await;
        let expected = InsertOutcome::Inserted { evicted: 0 };
        assert_eq!(outcome, expected, "insert: without a limit a record is just added, and nothing is evicted");
    }

    /// Adds records that nothing forbids.
    ///
    /// They are copied first: a future that holds on to any iterator of references could not be spawned.
    pub(crate) fn add_all<'a>(
        &self,
        records: impl IntoIterator<Item = &'a TokenRecord>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (store, records) = (self.clone(), records.into_iter().cloned().collect::<Vec<_>>());
        Box::pin(async move {
            for record in &records {
                store.add(record).await;
            }
        })
    }

    pub(crate) async fn insert(
        &self,
        record: &TokenRecord,
        limit: Option<TokenLimit>,
        now: Timestamp,
    ) -> InsertOutcome {
        answer("insert", self.0.insert(record.clone(), limit, now).await)
    }

    pub(crate) async fn find(&self, key: &TokenKey) -> Option<TokenRecord> {
        answer("find", self.0.find(key).await)
    }

    /// Whether `find` gives that very record.
    pub(crate) async fn has(&self, record: &TokenRecord) -> bool {
        self.find(&record.key()).await.as_ref() == Some(record)
    }

    pub(crate) async fn list(&self, subject: &Subject, now: Timestamp) -> Vec<TokenRecord> {
        answer("list", self.0.list(subject, now).await)
    }

    pub(crate) async fn touch(&self, key: &TokenKey, used: Timestamp, expires_at: Option<Timestamp>) -> bool {
        answer("touch", self.0.touch(key, used, expires_at).await)
    }

    pub(crate) async fn replace(&self, old: &TokenKey, new: &TokenRecord) -> bool {
        answer("replace", self.0.replace(old, new.clone()).await)
    }

    pub(crate) async fn remove(&self, key: &TokenKey) -> bool {
        answer("remove", self.0.remove(key).await)
    }

    pub(crate) async fn remove_all(&self, subject: &Subject, except: Option<&TokenId>, now: Timestamp) -> u64 {
        answer("remove_all", self.0.remove_all(subject, except, now).await)
    }

    pub(crate) async fn remove_expired(&self, now: Timestamp, batch: u32) -> u64 {
        let batch = NonZeroU32::new(batch).unwrap_or(NonZeroU32::MIN);
        answer("remove_expired", self.0.remove_expired(now, batch).await)
    }
}

fn answer<T>(operation: &str, answer: Result<T, StoreError>) -> T {
    answer.unwrap_or_else(|error| panic!("{operation}: the store must answer here, but it failed: {error:?}"))
}

/// Runs `task` as often as said, all at once, and gives their results.
pub(crate) async fn all_at_once<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (start, task) = (Arc::clone(&start), task(index));
            tokio::spawn(async move {
                start.wait().await;
                task.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(count);
    for task in tasks {
        results.push(joined(task.await));
    }
    results
}

/// Runs two different tasks at once and gives their results.
pub(crate) async fn both_at_once<A, B>(
    one: impl Future<Output = A> + Send + 'static,
    other: impl Future<Output = B> + Send + 'static,
) -> (A, B)
where
    A: Send + 'static,
    B: Send + 'static,
{
    let start = Arc::new(Barrier::new(2));
    let also = Arc::clone(&start);
    let one = tokio::spawn(async move {
        start.wait().await;
        one.await
    });
    let other = tokio::spawn(async move {
        also.wait().await;
        other.await
    });
    (joined(one.await), joined(other.await))
}

/// The result of a task. The panic of a task is the panic of the rule.
fn joined<T>(result: Result<T, tokio::task::JoinError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => panic!("a task of the rule was cancelled: {error}"),
    }
}
