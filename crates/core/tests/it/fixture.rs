//! What the tests share: a handle with all that a test may want to change, and a forger of tokens.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_knox::*;
use jwt_simple::prelude::{HS256Key, MACLike};
use serde_json::Value;

pub(crate) const KEY: [u8; 64] = [b'k'; 64];
pub(crate) const START: i64 = 1_800_000_000;
/// Shorter than by default, so that no test has to wait for hours.
pub(crate) const TOUCH_INTERVAL: Duration = Duration::from_secs(60);
pub(crate) const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// A handle, and what it asks: the clock, the store and the users.
pub(crate) struct Fixture {
    pub(crate) knox: Knox,
    pub(crate) clock: ManualClock,
    pub(crate) store: WrappedStore<MemoryStore, Arc<Watch>>,
    pub(crate) users: Arc<Users>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(KnoxBuilder) -> KnoxBuilder) -> Self {
        let clock = ManualClock::new(at(START));
        let store = WrappedStore::new(MemoryStore::new(), Arc::new(Watch::default()));
        let users = Arc::new(Users::default());
        let builder = Knox::builder(SigningKey::hs256(KEY).unwrap())
            .store(store.clone())
            .subject_check(users.clone())
            .touch_interval(TOUCH_INTERVAL)
            .clock(clock.clone());
        Self { knox: settings(builder).build().unwrap(), clock, store, users }
    }

    /// A handle whose sessions have this lifetime.
    pub(crate) fn with_lifetime(lifetime: Lifetime) -> Self {
        Self::with(|builder| builder.lifetime(lifetime))
    }

    /// Another server, on the same store and clock.
    pub(crate) fn server(&self, keys: impl Into<KeyRing>) -> KnoxBuilder {
        Knox::builder(keys).store(self.store.clone()).touch_interval(TOUCH_INTERVAL).clock(self.clock.clone())
    }

    /// Another server on the same clock, with a separate store.
    pub(crate) fn separate_server(&self, keys: impl Into<KeyRing>) -> Knox {
        Knox::builder(keys).store(MemoryStore::new()).clock(self.clock.clone()).build().unwrap()
    }

    pub(crate) async fn login(&self, name: &str) -> Issued {
        self.knox.issue(subject(name)).await.unwrap()
    }

    /// Why the token is rejected.
    pub(crate) async fn rejection(&self, token: impl AsRef<[u8]>) -> Rejection {
        rejection(&self.knox, token).await
    }

    pub(crate) async fn authenticate(&self, issued: &Issued) -> Authenticated {
        self.knox.authenticate(issued.token.expose()).await.unwrap()
    }

    /// Presents the token, and rotates with it.
    pub(crate) async fn rotate(&self, issued: &Issued) -> Issued {
        self.knox.rotate(&self.authenticate(issued).await).await.unwrap()
    }

    /// The record that the store keeps of the session.
    pub(crate) async fn record(&self, issued: &Issued) -> Option<SessionRecord> {
        self.store.inner().find(&issued.session.session_ref()).await.unwrap().map(Arc::unwrap_or_clone)
    }

    pub(crate) async fn is_valid(&self, issued: &Issued) -> bool {
        self.knox.authenticate(issued.token.expose()).await.is_ok()
    }

    /// Sets the clock to so many seconds after the start.
    pub(crate) fn set(&self, second: i64) {
        self.clock.set(at(START + second));
    }

    /// Changes the record of a session, as a store with a bug might, or somebody who can write to it.
    pub(crate) async fn tamper(&self, issued: &Issued, change: impl FnOnce(&mut SessionRecord)) {
        let (store, session) = (self.store.inner(), issued.session.session_ref());
        let mut record = Arc::unwrap_or_clone(store.find(&session).await.unwrap().unwrap());
        change(&mut record);
        assert!(store.remove(&session).await.unwrap());
        let _ = store.insert(record, None, self.clock.now()).await.unwrap();
    }

    /// How often the store was called for this operation.
    pub(crate) fn calls(&self, operation: Operation) -> u64 {
        self.store.interceptor().calls(operation)
    }

    /// Chooses what the store does with each operation from now on.
    pub(crate) fn store_is(&self, state: fn(Operation) -> State) {
        self.store.interceptor().set(state);
    }
}

pub(crate) async fn rejection(knox: &Knox, token: impl AsRef<[u8]>) -> Rejection {
    match knox.authenticate(token).await {
        Err(AuthenticateError::Rejected(reason)) => reason,
        other => panic!("the token must be rejected, this is neither yes nor no: {other:?}"),
    }
}

/// What an observer was told, a line for each event.
#[derive(Clone, Default)]
pub(crate) struct Audit(Arc<Mutex<Vec<String>>>);

impl Audit {
    pub(crate) fn observer(&self) -> impl Observer {
        let Self(lines) = self.clone();
        observer_fn(move |event| lines.lock().unwrap().push(line(event)))
    }

    /// What it was told since it was last asked.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// An event with all that it says, but for ids, which are only counted.
pub(crate) fn line(event: &Event) -> String {
    match event {
        Event::Issued { session, .. } => format!("issued {}", session.subject),
        Event::LoginRejected { subject: Some(subject), cause, .. } => format!("login_rejected {subject} {cause}"),
        Event::LoginRejected { subject: None, cause, .. } => format!("login_rejected {cause}"),
        Event::Rejected { reason, session: Some(session), .. } => {
            format!("rejected {} {}", reason.as_str(), session.subject)
        }
        Event::Rejected { reason, .. } => format!("rejected {}", reason.as_str()),
        Event::Touched { session, .. } => format!("touched {}", session.subject),
        Event::Rotated { session, .. } => format!("rotated {}", session.subject),
        Event::Reused { session, .. } => format!("reused {}", session.subject),
        Event::Revoked { subject, ids, spared, count, cause, .. } => {
            format!("revoked {subject} {count} {cause}, {} ids, spared: {}", ids.len(), spared.is_some())
        }
        Event::Purged { count, .. } => format!("purged {count}"),
        event => panic!("the tests do not know {event:?}"),
    }
}

/// What a store does when it is called.
#[derive(Clone, Copy)]
pub(crate) enum State {
    Works,
    Fails,
    Hangs,
    /// It does what it is asked to, and nobody learns of it.
    LosesAnswer,
}

/// Counts the calls of a store, and can make them fail or hang.
pub(crate) struct Watch {
    calls: Mutex<HashMap<Operation, u64>>,
    state: Mutex<fn(Operation) -> State>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { calls: Mutex::default(), state: Mutex::new(|_| State::Works) }
    }
}

impl Watch {
    pub(crate) fn calls(&self, operation: Operation) -> u64 {
        *self.calls.lock().unwrap().get(&operation).unwrap_or(&0)
    }

    pub(crate) fn set(&self, state: fn(Operation) -> State) {
        *self.state.lock().unwrap() = state;
    }
}

impl Interceptor for Watch {
    async fn intercept<T: Send>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        *self.calls.lock().unwrap().entry(operation).or_default() += 1;
        let state = *self.state.lock().unwrap();
        match state(operation) {
            State::Works => {}
            State::Fails => return Err(StoreError::new("down").in_store("watched")),
            State::Hangs => pending().await,
            State::LosesAnswer => {
                let _: Result<T, StoreError> = call.await;
                return Err(StoreError::new("the connection was lost").in_store("watched"));
            }
        }
        if operation == Operation::RemoveExpired {
            // In the middle of a batch: a caller that drops the call here, loses it.
            tokio::task::yield_now().await;
        }
        call.await
    }
}

/// What the application says of every user.
pub(crate) struct Users(Mutex<Option<SubjectStatus>>);

impl Default for Users {
    fn default() -> Self {
        Self(Mutex::new(Some(SubjectStatus::Active)))
    }
}

impl Users {
    /// `None`: the users cannot be read.
    pub(crate) fn are(&self, status: impl Into<Option<SubjectStatus>>) {
        *self.0.lock().unwrap() = status.into();
    }
}

#[async_trait]
impl SubjectCheck for Users {
    async fn check(&self, _: &SessionRecord) -> Result<SubjectStatus, StoreError> {
        self.0.lock().unwrap().clone().ok_or_else(|| StoreError::new("down").in_store("users"))
    }
}

pub(crate) fn subject(name: &str) -> Subject {
    Subject::new(name).unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The lifetime of a session that expires `n` seconds after the login.
pub(crate) fn expires_after(n: u64) -> Lifetime {
    Lifetime::expires_after(seconds(n)).unwrap()
}

/// The claims in a token, read without any check.
pub(crate) fn claims(issued: &Issued) -> Value {
    segment(issued, 1)
}

/// The names of the claims in a token, sorted.
pub(crate) fn claim_names(issued: &Issued) -> Vec<String> {
    let mut names: Vec<String> = claims(issued).as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

/// The secret in a token.
pub(crate) fn secret(issued: &Issued) -> String {
    claims(issued)["jti"].as_str().unwrap().to_owned()
}

/// The header of a token, read without any check.
pub(crate) fn header(issued: &Issued) -> Value {
    segment(issued, 0)
}

fn segment(issued: &Issued, index: usize) -> Value {
    let segment = issued.token.expose().split('.').nth(index).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(segment).unwrap()).unwrap()
}

/// A token that is signed with the right key and says whatever the test wants, byte for byte.
pub(crate) fn forge(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    forge_with(hs256(KEY), header, payload)
}

/// The same with another signature, made by `sign` of the bytes that it is given.
pub(crate) fn forge_with(
    sign: impl Fn(&[u8]) -> Vec<u8>,
    header: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
) -> String {
    let [header, payload] = [header.as_ref(), payload.as_ref()].map(Base64UrlUnpadded::encode_string);
    let signed = format!("{header}.{payload}");
    let signature = Base64UrlUnpadded::encode_string(&sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// HMAC with SHA-256 and this key.
pub(crate) fn hs256(key: impl AsRef<[u8]>) -> impl Fn(&[u8]) -> Vec<u8> {
    let key = HS256Key::from_bytes(key.as_ref());
    move |signed| key.authentication_tag(signed)
}

/// The token of `issued` with some claims changed, signed with the right key; `null` removes one.
pub(crate) fn with_claims(issued: &Issued, changes: Value) -> String {
    forge(HEADER, changed_claims(issued, &changes).to_string())
}

/// The claims of `issued` with some of them changed; `null` removes one.
pub(crate) fn changed_claims(issued: &Issued, changes: &Value) -> Value {
    let mut claims = claims(issued);
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}
