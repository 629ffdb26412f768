//! Asking the issuer whether a token is active.

mod log;
mod max_age;
mod responses;
mod sharing;
mod with_keys;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use jwt_knox::*;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    fixture::{START, at, seconds},
    waiting::{done, key, time_limit, verdict},
};

const ISSUER: &str = "https://auth.example.com";

/// A server that issues tokens and is asked about them.
struct Issuer {
    knox: Knox,
    ring: KeyRing,
    asked: AtomicU64,
    reply: Mutex<Reply>,
    /// Whether a reply has to wait after it is made.
    is_held: watch::Sender<bool>,
}

#[derive(Clone)]
enum Reply {
    /// What is so.
    Truth,
    /// What is so, with those members, or without them if they are `null`.
    With(Value),
    Body(u16, Vec<u8>),
    Down,
    Panics,
}

impl Issuer {
    fn new(profile: TokenProfile, clock: ManualClock) -> Arc<Self> {
        let ring = KeyRing::new(key("old"));
        let knox = Knox::builder(ring.clone()).profile(profile).store(MemoryStore::new()).clock(clock);
        let knox = knox.lifetime(Lifetime::expires_after(seconds(3600)).unwrap()).build().unwrap();
        let (asked, reply, is_held) = (AtomicU64::new(0), Mutex::new(Reply::Truth), watch::Sender::new(false));
        Arc::new(Self { knox, ring, asked, reply, is_held })
    }

    fn token(&self) -> String {
        self.issue(NewSession::new(1).scopes(["read", "write"]).unwrap())
    }

    fn issue(&self, session: NewSession) -> String {
        done(self.knox.issue(session)).unwrap().token.expose().to_owned()
    }

    fn log_out(&self, token: &str) {
        let session = done(self.knox.authenticate(token)).unwrap().session_ref();
        assert!(done(self.knox.revoke(&session)).unwrap().is_revoked());
    }

    fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }

    fn replies(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    /// Lets replies wait, or go.
    fn hold(&self, is_held: bool) {
        self.is_held.send_replace(is_held);
    }

    /// What `/introspect` says.
    fn truth(&self, token: &str) -> Value {
        let Ok(auth) = done(self.knox.authenticate_passively(token)) else { return json!({"active": false}) };
        json!({
            "active": true, "sub": auth.subject(), "sid": auth.session_id(), "scope": auth.session().scope,
            "exp": auth.session().expires_at.map(Timestamp::as_second), "iat": START, "iss": ISSUER, "aud": "orders",
            "token_type": "Bearer",
        })
    }
}

#[async_trait]
impl IntrospectionEndpoint for Issuer {
    async fn introspect(&self, request: IntrospectionRequest) -> Result<IntrospectionResponse, StoreError> {
        self.asked.fetch_add(1, SeqCst);
        let mut truth = self.truth(request.body().strip_prefix("token=").unwrap());
        let reply = self.reply.lock().unwrap().clone();
        self.is_held.subscribe().wait_for(|is_held| !is_held).await.unwrap();
        match reply {
            Reply::Truth => {}
            Reply::With(Value::Object(members)) => {
                let truth = truth.as_object_mut().unwrap();
                truth.extend(members);
                truth.retain(|_, value| !value.is_null());
            }
            Reply::With(_) => unreachable!(),
            Reply::Body(status, body) => return Ok(IntrospectionResponse::new(status, body)),
            Reply::Down => return Err(StoreError::new("connection refused")),
            Reply::Panics => panic!("the issuer of a test panics"),
        }
        Ok(IntrospectionResponse::new(200, truth.to_string()))
    }
}

/// An issuer, and a service that asks it.
struct World {
    issuer: Arc<Issuer>,
    verifier: Verifier,
    clock: ManualClock,
    /// Whether all time limits are over.
    is_over: watch::Sender<bool>,
}

impl World {
    fn new(max_age: u64) -> Self {
        Self::with(|builder| builder.max_age(seconds(max_age)))
    }

    fn with(settings: impl FnOnce(IntrospectorBuilder) -> IntrospectorBuilder) -> Self {
        Self::with_profile(profile(), settings)
    }

    fn with_profile(profile: TokenProfile, settings: impl FnOnce(IntrospectorBuilder) -> IntrospectorBuilder) -> Self {
        let clock = ManualClock::new(at(START));
        let issuer = Issuer::new(profile.clone(), clock.clone());
        let (limit, is_over) = time_limit();
        let introspector = settings(Introspector::builder(issuer.clone()).time_limit(limit)).build();
        let verifier = Verifier::introspecting(introspector, profile).clock(clock.clone());
        Self { issuer, verifier, clock, is_over }
    }

    /// What the service says of a token, if it says it at once.
    fn says(&self, token: &str) -> &'static str {
        verdict(&done(self.verifier.authenticate(token)))
    }

    fn authenticate<'a>(&'a self, token: &'a str) -> Pin<Box<impl Future<Output = &'static str> + 'a>> {
        Box::pin(async move { verdict(&self.verifier.authenticate(token).await) })
    }

    fn asked(&self) -> u64 {
        self.issuer.asked()
    }
}

fn profile() -> TokenProfile {
    TokenProfile::new().issuer(ISSUER).unwrap().audience("orders").unwrap()
}
