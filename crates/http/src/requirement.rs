//! What a guard for a whole router asks of a request.

use jwt_knox::Authenticated;

use crate::{knox_http::KnoxHttp, refusal::Refusal, scope::Scope};

/// A good token and perhaps a scope: what an adapter's `RequireAuth` is made of.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, MemoryStore, SigningKey};
/// use jwt_knox_http::{KnoxHttp, Request, Requirement, Scope};
///
/// struct Admin;
///
/// impl Scope for Admin {
///     const NAME: &'static str = "admin";
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let http = KnoxHttp::builder(Knox::builder(key).store(MemoryStore::new()).build()?).build()?;
/// let requirement = Requirement::new(http).with_scope::<Admin>();
///
/// let outcome = requirement.knox().authenticate(&Request::new("GET", "/", |_| None)).await;
/// assert_eq!(requirement.judge(outcome).unwrap_err().status(), 401);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Requirement {
    knox: KnoxHttp,
    check_scope: Option<ScopeCheck>,
}

/// [`KnoxHttp::require_scope`] for the scope that is asked for.
type ScopeCheck = fn(&KnoxHttp, &Authenticated) -> Result<(), Refusal>;

impl Requirement {
    /// Asks for a good token.
    #[must_use]
    pub fn new(knox: KnoxHttp) -> Self {
        Self { knox, check_scope: None }
    }

    /// Asks for a token that grants the scope `S`.
    #[must_use]
    pub fn with_scope<S: Scope>(self) -> Self {
        Self { check_scope: Some(KnoxHttp::require_scope::<S>), ..self }
    }

    /// The handle to authenticate with.
    #[must_use]
    pub fn knox(&self) -> &KnoxHttp {
        &self.knox
    }

    /// Judges an outcome of [`KnoxHttp::authenticate`].
    ///
    /// # Errors
    ///
    /// [`Refusal`], the one that came in or one for want of the scope.
    pub fn judge(&self, outcome: Result<Authenticated, Refusal>) -> Result<(), Refusal> {
        let auth = outcome?;
        self.check_scope.map_or(Ok(()), |check| check(&self.knox, &auth))
    }
}
