//! Asking the issuer whether a token is active (RFC 7662).

pub(crate) mod answer;
pub(crate) mod endpoint;
mod questions;
mod shared_future;

use std::{error::Error, fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use async_lock::Semaphore;
use sha2::{Digest as _, Sha256};

use crate::{
    clock::{AskedAt, Clock},
    error::{AuthenticateError, Rejection, StoreError},
    introspection::{
        answer::{Answer, Verdict, read},
        endpoint::{IntrospectionEndpoint, IntrospectionRequest},
        questions::{Key, Outcome, Place, Questions},
        shared_future::BoxFuture,
    },
    timer::TimeLimit,
    token::jwt::Claimed,
};

/// Asks the issuer whether a token is active ([RFC 7662]), for a [`Verifier`](crate::Verifier) in a service without the
/// store: so a session that has ended is noticed. A clone is the same introspector.
///
/// The issuer is one of this library, or answers as it does. [`IntrospectionEndpoint`] says how to reach it.
///
/// **Use it with the issuer's keys if you can**: `Verifier::remote(keys, profile)`
/// [`.with_introspector(introspector)`](crate::Verifier::with_introspector) asks only about tokens that the issuer has
/// signed. Without keys, anyone can make up a well-formed token and trigger a request, so unauthenticated clients can
/// use up the [concurrent requests](IntrospectorBuilder::max_concurrent_requests), and then nobody gets in.
///
/// - **How late it may be is a setting**, [`max_age`](IntrospectorBuilder::max_age). Unless set, the issuer is asked
///   for each request, after the request has come. That a token is not active is never remembered.
/// - Requests that present one token at the same time wait for one question, if its answer is not too old for them:
///   with a `max_age` of zero for the next one, since the one that is under way began before they came. So there is one
///   question about a token at a time. A caller that goes away leaves it to the next.
/// - If the issuer does not answer in [time](IntrospectorBuilder::time_limit), with 200, and as RFC 7662 says, the
///   service cannot tell whether the token is valid: that is [`AuthenticateError::Store`], over HTTP a 503. It is not
///   remembered.
/// - The issuer is not asked about what is no JWT of the profile by its form and its claims: that is rejected.
///
/// No task has to be spawned, and no async runtime is needed.
///
/// [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use jwt_knox::{IntrospectionResponse, Introspector, TokenProfile, Verifier, introspection_endpoint_fn};
/// # use jwt_knox::{Knox, MemoryStore, SigningKey};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// # let knox = Knox::builder(key).audience("api").store(MemoryStore::new()).build()?;
/// # let issued = knox.issue(42).await?;
/// # let jwt = issued.token.expose();
/// # let keys = knox.key_ring().to_key_set();
/// // In production: a POST to `https://auth.example.com/introspect`.
/// let endpoint = introspection_endpoint_fn(move |request| {
///     let knox = knox.clone();
///     async move {
///         let token = request.body().trim_start_matches("token=");
///         let answer = match knox.authenticate(token).await {
///             Ok(auth) => format!(r#"{{"active":true,"sub":"{}"}}"#, auth.subject()),
///             Err(_) => r#"{"active":false}"#.to_owned(),
///         };
///         Ok(IntrospectionResponse::new(200, answer))
///     }
/// });
/// let introspector = Introspector::builder(endpoint).max_age(Duration::from_secs(2)).build();
///
/// // In production: `Verifier::remote`.
/// let verifier = Verifier::new(keys, TokenProfile::new().audience("api")?).with_introspector(introspector);
/// let token = verifier.authenticate(jwt).await?;
/// assert_eq!(*token.subject(), "42");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Introspector(Arc<Inner>);

struct Inner {
    issuer: Arc<Issuer>,
    questions: Questions,
}

/// How to ask the issuer, and what is remembered of its answers.
struct Issuer {
    endpoint: Arc<dyn IntrospectionEndpoint>,
    token_type: String,
    limit: TimeLimit,
    max_age: Duration,
    /// One for each request that may be under way at the same time.
    permits: Arc<Semaphore>,
    /// `None`: nothing is remembered.
    answers: Option<quick_cache::sync::Cache<Key, Answer>>,
}

impl Introspector {
    /// Starts an introspector that asks at `endpoint`.
    pub fn builder(endpoint: impl IntrospectionEndpoint) -> IntrospectorBuilder {
        IntrospectorBuilder {
            endpoint: Arc::new(endpoint),
            token_type: "Bearer".to_owned(),
            limit: TimeLimit::default(),
            max_age: Duration::ZERO,
            max_entries: 10_000,
            max_concurrent_requests: const { NonZeroUsize::new(64).unwrap() },
        }
    }

    /// What the issuer says of `token`, which says `claimed` and has the form of one: asked now, or remembered.
    pub(crate) async fn introspect(
        &self,
        token: &str,
        claimed: &Arc<Claimed>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Answer, AuthenticateError> {
        let Inner { issuer, questions } = &*self.0;
        let key = key(token, claimed);
        let now = AskedAt::new(clock.now(), clock);
        if let Some(answer) = issuer.remembered(&key, &now) {
            return Ok(answer);
        }
        let caller = questions.join(
            key,
            |asked_at| asked_at.is_within(issuer.max_age, &now),
            |place| issuer.ask(place, key, IntrospectionRequest::new(token), Arc::clone(claimed), Arc::clone(clock)),
        );
        let outcome = issuer.limit.apply(async { Ok::<_, StoreError>(caller.outcome().await) }).await;
        match outcome.unwrap_or_else(|timeout| Err(Arc::new(timeout))) {
            Ok(Verdict::Active(answer)) => Ok(answer),
            Ok(Verdict::Inactive) => Err(Rejection::Inactive.into()),
            Err(cause) => {
                let error = StoreError::from_issuer(NoResponse(cause));
                let logged = &error as &dyn Error;
                // One error for the operator, however many requests have waited.
                if caller.notes_failure_first() {
                    tracing::error!(error = logged, "token introspection failed");
                } else {
                    tracing::debug!(error = logged, "token introspection failed, as logged before");
                }
                Err(error.into())
            }
        }
    }
}

/// The hash of a token and of what its issuer's answer is compared with. Verifiers with different profiles, which may
/// share an introspector, may take different claims of one token for its subject, its scope and its session; `iss` and
/// `aud` have one name for all.
fn key(token: &str, claimed: &Claimed) -> Key {
    let session = claimed.session();
    let mut hash = Sha256::new();
    // All of the token, so nothing that differs in one bit is taken for it.
    for part in [token, session.subject.as_str(), session.id.as_str(), claimed.scope.as_deref().unwrap_or_default()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Issuer {
    /// A question about a token. It does not hold the questions, which hold it.
    fn ask(
        self: &Arc<Self>,
        place: Place,
        key: Key,
        request: IntrospectionRequest,
        claimed: Arc<Claimed>,
        clock: Arc<dyn Clock>,
    ) -> BoxFuture<Outcome> {
        let issuer = Arc::clone(self);
        Box::pin(async move {
            let _place = place.reached().await;
            let _permit = issuer.permits.acquire_arc().await;
            let asked_at = AskedAt::new(clock.now(), &clock);
            place.set_asked_at(asked_at);
            let outcome = issuer.introspect(request, &claimed, asked_at).await;
            if let Some(answers) = &issuer.answers {
                match &outcome {
                    Ok(Verdict::Active(answer)) => answers.insert(key, *answer),
                    Ok(Verdict::Inactive) => drop(answers.remove(&key)),
                    Err(_) => {}
                }
            }
            outcome
        })
    }

    async fn introspect(&self, request: IntrospectionRequest, claimed: &Claimed, asked_at: AskedAt) -> Outcome {
        let response = self.limit.apply(self.endpoint.introspect(request)).await?;
        Ok(read(&response, claimed, &self.token_type, asked_at).map_err(StoreError::new)?)
    }

    fn remembered(&self, key: &Key, now: &AskedAt) -> Option<Answer> {
        let answers = self.answers.as_ref()?;
        let answer = answers.get(key)?;
        if !answer.asked_at.is_within(self.max_age, now) {
            // What is too old once stays so, even if the clock is set.
            let _ = answers.remove_if(key, |answer| !answer.asked_at.is_within(self.max_age, now));
            return None;
        }
        answer.holds_at(now.time).then_some(answer)
    }
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspector").field("max_age", &self.0.issuer.max_age).finish_non_exhaustive()
    }
}

/// The settings of an [`Introspector`]. [`Introspector::builder`] starts one; none is required.
#[must_use]
pub struct IntrospectorBuilder {
    endpoint: Arc<dyn IntrospectionEndpoint>,
    token_type: String,
    limit: TimeLimit,
    max_age: Duration,
    max_entries: u32,
    max_concurrent_requests: NonZeroUsize,
}

impl IntrospectorBuilder {
    /// How long it is remembered that a token was active, counted from before the question. Default: zero, the issuer
    /// is asked for each request.
    ///
    /// **A session that has ended is noticed after `max_age` at the latest.** An answer is never used again after the
    /// `exp` in it, to which no leeway is added. The issuer counts a question as a use of the session, and not what is
    /// answered from memory, so keep this well below an idle timeout.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// How many tokens are remembered at most, each in less than 256 bytes. Only active ones are, so that invented
    /// tokens do not push them out. Default: 10,000.
    pub fn max_entries(mut self, max_entries: u32) -> Self {
        self.max_entries = max_entries;
        self
    }

    /// How many requests to the issuer are under way at a time at most; others wait, within the
    /// [time limit](Self::time_limit). Default: 64.
    pub fn max_concurrent_requests(mut self, requests: NonZeroUsize) -> Self {
        self.max_concurrent_requests = requests;
        self
    }

    /// How long a request to the issuer may take, and how long a caller waits for the answer. Default: 5 seconds.
    pub fn time_limit(mut self, limit: TimeLimit) -> Self {
        self.limit = limit;
        self
    }

    /// The `token_type` of the issuer's tokens, which is compared without regard to case: the scheme that it is set to.
    /// An answer with another one is none. Default: `Bearer`.
    pub fn token_type(mut self, token_type: impl Into<String>) -> Self {
        self.token_type = token_type.into();
        self
    }

    /// Makes the introspector, which asks nothing yet.
    #[must_use]
    pub fn build(self) -> Introspector {
        let Self { endpoint, token_type, limit, max_age, max_entries, max_concurrent_requests } = self;
        let remembers = max_entries > 0 && !max_age.is_zero();
        let answers = remembers.then(|| quick_cache::sync::Cache::new(max_entries as usize));
        let permits = Arc::new(Semaphore::new(max_concurrent_requests.get()));
        let issuer = Arc::new(Issuer { endpoint, token_type, limit, max_age, permits, answers });
        Introspector(Arc::new(Inner { issuer, questions: Questions::default() }))
    }
}

impl fmt::Debug for IntrospectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectorBuilder").field("max_age", &self.max_age).finish_non_exhaustive()
    }
}

/// The issuer has not said whether a token is active. The cause is that of the error inside, whose own words are about
/// a store.
#[derive(Debug)]
struct NoResponse(Arc<StoreError>);

impl fmt::Display for NoResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no usable introspection response from the issuer")
    }
}

impl Error for NoResponse {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;
    use crate::{
        Verifier, introspection::endpoint::introspection_endpoint_fn, keys::SigningKey, knox::Knox,
        store::memory::MemoryStore, token::profile::TokenProfile,
    };

    /// Otherwise whoever sends many tokens and hangs up would fill the memory.
    #[tokio::test]
    async fn a_question_for_which_nobody_waits_is_forgotten() {
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
        let (one, other) = (knox.issue(1).await.unwrap(), knox.issue(2).await.unwrap());
        for max_age in [0, 1000] {
            let introspector = Introspector::builder(introspection_endpoint_fn(|_| pending()));
            let introspector = introspector.max_age(Duration::from_secs(max_age)).build();
            let questions = &introspector.0.questions;
            let verifier = Verifier::introspecting(introspector.clone(), TokenProfile::new());
            let tokens = [&one, &one, &other, &one].map(|issued| issued.token.expose());
            let mut requests: Vec<_> = tokens.map(|token| Box::pin(verifier.authenticate(token))).into();
            for request in &mut requests {
                assert!(request.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            assert_eq!(questions.len(), 2);
            drop(requests.remove(2));
            assert_eq!(questions.len(), 1);
            drop(requests.remove(0));
            assert_eq!(questions.len(), 1);
            requests.clear();
            assert_eq!(questions.len(), 0);
        }
        let introspector = Introspector::builder(introspection_endpoint_fn(|_| async { Err(StoreError::new("down")) }));
        let introspector = introspector.build();
        let verifier = Verifier::introspecting(introspector.clone(), TokenProfile::new());
        assert!(pin!(verifier.authenticate(one.token.expose())).await.is_err());
        assert_eq!(introspector.0.questions.len(), 0);
    }
}
