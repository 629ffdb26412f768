//! Subjects, digests and records of which no two rules share any, and a store whose failures fail the rule.

use std::{fmt::Write as _, num::NonZeroU32, pin::Pin, sync::Arc, time::Duration};

use jwt_knox::{
    ClaimsDigest, ConfigError, InsertOutcome, PreviousSecret, Rotation, SessionId, SessionLimit, SessionRecord,
    SessionRef, StoreError, Subject, Timestamp, TokenDigest, TokenStore,
};
use tokio::sync::Barrier;

/// 2037-01-01, in seconds after 1970. Far ahead, so that a store that drops records by its own clock drops none of
/// these, but before 2038: whether a store gets past that has a separate rule.
const START: i64 = 2_114_380_800;

/// The time `second` seconds after the start of 2037.
pub(crate) fn at(second: i64) -> Timestamp {
    since_1970(START + second)
}

/// The time `second` seconds after the start of 1970.
pub(crate) fn since_1970(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// The time one microsecond later: the smallest step that a store tells apart.
pub(crate) fn just_after(time: Timestamp) -> Timestamp {
    time.checked_add(Duration::from_micros(1)).unwrap_or(Timestamp::MAX)
}

/// The time one microsecond earlier.
pub(crate) fn just_before(time: Timestamp) -> Timestamp {
    time.checked_sub(Duration::from_micros(1)).unwrap_or(Timestamp::MIN)
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
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// A string that is nowhere else.
pub(crate) fn unique() -> String {
    format!("knox-{}", hexadecimal(&random::<10>()))
}

/// The subject of that name.
pub(crate) fn subject_called(name: impl AsRef<str>) -> Subject {
    Subject::new(name).unwrap_or_else(|error| panic!("the kit made an invalid subject: {error}"))
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

/// A random digest of the kind with the longest text.
pub(crate) fn long_digest() -> TokenDigest {
    digest_of(&format!("sha512-of-hex:{}", hexadecimal(&random::<64>())))
}

fn digest_of(digest: &str) -> TokenDigest {
    digest.parse().unwrap_or_else(|error| panic!("the kit made an invalid digest: {error}"))
}

/// A random digest of claims.
pub(crate) fn claims_digest() -> ClaimsDigest {
    let digest = hexadecimal(&random::<32>()).parse();
    digest.unwrap_or_else(|error| panic!("the kit made an invalid digest of claims: {error}"))
}

/// A random id, which follows from no digest: as that of a session that was rotated.
pub(crate) fn id() -> SessionId {
    let id = hexadecimal(&random::<16>()).parse();
    id.unwrap_or_else(|error| panic!("the kit made an invalid id: {error}"))
}

/// What is kept of a secret with that digest after a rotation.
pub(crate) fn previous_secret(digest: &TokenDigest, valid_until: Timestamp) -> PreviousSecret {
    let previous = format!("{digest} {} {}", hexadecimal(&random::<16>()), valid_until.as_microsecond()).parse();
    previous.unwrap_or_else(|error| panic!("the kit made an invalid previous secret: {error}"))
}

/// A rotation of `record` at `at(second)`, to a secret that no other rotation gives.
pub(crate) fn rotation(record: &SessionRecord, second: i64) -> Rotation {
    Rotation::new(digest(), previous_secret(&record.digest, just_after(at(second + 60))), at(second))
}

/// What `record` must be after `rotation`. It says so itself, so that the kit finds a bug in `Rotation::apply` as well.
pub(crate) fn rotated(record: &SessionRecord, rotation: &Rotation) -> SessionRecord {
    let mut record = record.clone();
    record.digest = rotation.digest.clone();
    record.previous = Some(rotation.previous.clone());
    if record.last_used_at.is_none_or(|before| before < rotation.last_used_at) {
        record.last_used_at = Some(rotation.last_used_at);
    }
    if let (Some(old), Some(new)) = (record.expires_at, rotation.expires_at)
        && old < new
    {
        record.expires_at = Some(new);
    }
    record
}

/// [`SessionLimit::deny`].
pub(crate) fn deny(max: u32) -> SessionLimit {
    limit(SessionLimit::deny(max))
}

/// [`SessionLimit::evict_oldest`].
pub(crate) fn evict_oldest(max: u32) -> SessionLimit {
    limit(SessionLimit::evict_oldest(max))
}

/// [`SessionLimit::evict_least_recently_used`].
pub(crate) fn evict_least_recently_used(max: u32) -> SessionLimit {
    limit(SessionLimit::evict_least_recently_used(max))
}

fn limit(limit: Result<SessionLimit, ConfigError>) -> SessionLimit {
    limit.unwrap_or_else(|error| panic!("the kit made an invalid limit: {error}"))
}

/// A session that began at `at(created)` and never expires.
pub(crate) fn session(subject: &Subject, created: i64) -> SessionRecord {
    SessionRecord::new(subject.clone(), digest(), at(created))
}

/// A session that began at `at(created)` and expires at `at(expires)`.
pub(crate) fn session_until(subject: &Subject, created: i64, expires: i64) -> SessionRecord {
    let mut record = session(subject, created);
    record.expires_at = Some(at(expires));
    record
}

/// A session with a label that began at `at(created)` and never expires.
pub(crate) fn labelled(subject: &Subject, label: &str, created: i64) -> SessionRecord {
    let mut record = session(subject, created);
    record.label = Some(label.to_owned());
    record
}

/// A time soon after 1970 at which to call `remove_expired`. Random, since other rules and processes purge as well.
pub(crate) fn era() -> i64 {
    let [a, b] = random();
    100_000 + i64::from(u16::from_le_bytes([a, b]))
}

/// A session that began and expired in the time that only the rules about `remove_expired` use.
pub(crate) fn session_long_expired(subject: &Subject, expired: i64) -> SessionRecord {
    let mut record = SessionRecord::new(subject.clone(), digest(), since_1970(expired - 60));
    record.expires_at = Some(since_1970(expired));
    record
}

/// The ids of the records, in their order.
pub(crate) fn ids<'a>(records: impl IntoIterator<Item = &'a SessionRecord>) -> Vec<SessionId> {
    records.into_iter().map(|record| record.id).collect()
}

/// The outcome of an insert that evicts nothing.
pub(crate) const ADDED: InsertOutcome = InsertOutcome::Inserted { evicted: Vec::new() };

/// The outcome of an insert that evicts these, as [`Probe::insert`] gives it.
pub(crate) fn evicting<'a>(records: impl IntoIterator<Item = &'a SessionRecord>) -> InsertOutcome {
    let mut evicted = ids(records);
    evicted.sort_unstable();
    InsertOutcome::Inserted { evicted }
}

/// The ids of all sessions that were evicted, in order. None of the inserts may have been rejected.
pub(crate) fn all_evicted(outcomes: &[InsertOutcome]) -> Vec<SessionId> {
    let mut all = Vec::new();
    for outcome in outcomes {
        match outcome {
            InsertOutcome::Inserted { evicted } => all.extend(evicted),
            other => panic!("insert: a limit that evicts or has room rejects no login, but one was {other:?}"),
        }
    }
    all.sort_unstable();
    all
}

/// How many of the inserts had that outcome.
pub(crate) fn count(outcomes: &[InsertOutcome], expected: &InsertOutcome) -> usize {
    outcomes.iter().filter(|outcome| *outcome == expected).count()
}

/// The store under test. A call that fails where the contract wants an answer fails the rule.
#[derive(Clone)]
pub(crate) struct Probe(pub(crate) Arc<dyn TokenStore>);

impl Probe {
    /// Adds a record that nothing forbids.
    pub(crate) async fn add(&self, record: &SessionRecord) {
        let outcome = self.insert(record, None, record.created_at).await;
        assert_eq!(outcome, ADDED, "insert: without a limit a record is just added, and nothing is evicted");
    }

    /// Adds records that nothing forbids.
    ///
    /// They are copied first: a future that holds on to any iterator of references could not be spawned.
    pub(crate) fn add_all<'a>(
        &self,
        records: impl IntoIterator<Item = &'a SessionRecord>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (store, records) = (self.clone(), records.into_iter().cloned().collect::<Vec<_>>());
        Box::pin(async move {
            for record in &records {
                store.add(record).await;
            }
        })
    }

    /// Ends three sessions, each in a way of its own: a removal, an eviction, a revocation of all.
    pub(crate) async fn end_all(&self, sessions: &[SessionRecord; 3]) {
        let [removed, evicted, revoked] = sessions;
        assert!(self.remove(&removed.session_ref()).await, "remove: a record that was there is `true`");
        let outcome = self.insert(&session(&evicted.subject, 1), Some(evict_oldest(1)), at(1)).await;
        assert_eq!(outcome, evicting([evicted]), "evict: one too many evicts one");
        assert_eq!(self.remove_all(&revoked.subject, None, at(1)).await, 1, "remove_all: the session was active");
    }

    /// The ids of what was evicted come in order: the contract asks for none.
    pub(crate) async fn insert(
        &self,
        record: &SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> InsertOutcome {
        let mut outcome = answer("insert", self.0.insert(record.clone(), limit, now).await);
        if let InsertOutcome::Inserted { evicted } = &mut outcome {
            evicted.sort_unstable();
        }
        outcome
    }

    pub(crate) async fn find(&self, session: &SessionRef) -> Option<SessionRecord> {
        answer("find", self.0.find(session).await).map(Arc::unwrap_or_clone)
    }

    /// Whether `find` gives that very record.
    pub(crate) async fn has(&self, record: &SessionRecord) -> bool {
        self.find(&record.session_ref()).await.as_ref() == Some(record)
    }

    pub(crate) async fn list(&self, subject: &Subject, now: Timestamp) -> Vec<SessionRecord> {
        answer("list", self.0.list(subject, now).await)
    }

    pub(crate) async fn touch(&self, session: &SessionRef, used: Timestamp, expires_at: Option<Timestamp>) -> bool {
        answer("touch", self.0.touch(session, used, expires_at).await)
    }

    pub(crate) async fn set_label(&self, session: &SessionRef, label: Option<&str>, now: Timestamp) -> bool {
        answer("set_label", self.0.set_label(session, label, now).await)
    }

    pub(crate) async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> bool {
        answer("rotate", self.0.rotate(session, rotation).await)
    }

    pub(crate) async fn remove(&self, session: &SessionRef) -> bool {
        answer("remove", self.0.remove(session).await)
    }

    pub(crate) async fn remove_all(&self, subject: &Subject, except: Option<&SessionId>, now: Timestamp) -> u64 {
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
