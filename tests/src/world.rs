//! What a server under test stands on, and the test holds in its hands.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use jwt_knox::{
    Interceptor, KeyRing, Knox, KnoxBuilder, ManualClock, MemoryStore, NewSession, Operation, SessionRecord,
    SigningKey, StoreError, Subject, SubjectCheck, SubjectStatus, Timestamp, TokenStore, WrappedStore,
};
use jwt_knox_http::{Credentials, KnoxHttp, KnoxHttpBuilder, Login, LoginError};
use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

/// The HS256 key of every world.
pub const KEY: [u8; 32] = *b"the key that all the tests share";

/// Where the clock of a world starts, in seconds since 1970.
pub const START: i64 = 1_800_000_000;

/// The one-time code of dora.
pub const OTP: &str = "287082";

/// What the stores say when they are down. No client may see it.
pub const STORE_SECRET: &str = "password=hunter2 host=db.internal";

/// Where logins are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// In memory.
    Memory,
    /// In a SQLite file of its own.
    Sqlite,
}

/// A clock, users, a store, and the handle that uses them.
#[derive(Debug, Clone)]
pub struct World {
    /// Stands still until a test moves it.
    pub clock: ManualClock,
    /// alice (wonderland), bob (builder), and root (toor), who has the scopes `admin`,
    /// `read` and `sessions`; carol (singer), who has the scope `read`; dora (explorer), who needs the one-time code
    /// [`OTP`] as well, as the member `otp` or the header `x-otp`.
    pub users: Arc<Users>,
    /// Counts reads and can be made to fail.
    pub store: Arc<Watch>,
    /// The handle.
    pub knox: KnoxHttp,
}

impl World {
    /// A world with the settings of a fresh handle.
    pub fn new(kind: StoreKind) -> Self {
        Self::with(kind, |core| core, |http| http)
    }

    /// A world with settings of its own.
    pub fn with(
        kind: StoreKind,
        core: impl FnOnce(KnoxBuilder) -> KnoxBuilder,
        http: impl FnOnce(KnoxHttpBuilder) -> KnoxHttpBuilder,
    ) -> Self {
        Self::with_keys(kind, SigningKey::hs256(KEY).unwrap().into(), core, http)
    }

    /// A world with keys and settings of its own.
    pub fn with_keys(
        kind: StoreKind,
        keys: KeyRing,
        core: impl FnOnce(KnoxBuilder) -> KnoxBuilder,
        http: impl FnOnce(KnoxHttpBuilder) -> KnoxHttpBuilder,
    ) -> Self {
        let clock = ManualClock::new(Timestamp::from_second(START).unwrap());
        let users = Arc::new(Users::default());
        let inner: Box<dyn TokenStore> = match kind {
            StoreKind::Memory => Box::new(MemoryStore::new()),
            StoreKind::Sqlite => Box::new(sqlite(&temporary_file())),
        };
        let store = Arc::new(Watch::default());
        let builder = Knox::builder(keys)
            .store(WrappedStore::new(inner, store.clone()))
            .subject_check(users.clone())
            .clock(clock.clone());
        let builder = KnoxHttp::builder(core(builder).build().unwrap()).login(users.clone());
        Self { clock, users, store, knox: http(builder).build().unwrap() }
    }

    /// Puts the clock to so many seconds after the start.
    pub fn set_clock(&self, second: i64) {
        self.clock.set(Timestamp::from_second(START + second).unwrap());
    }
}

/// A SQLite file that no other test uses.
pub fn temporary_file() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("jwt-knox-{}-{}.sqlite", std::process::id(), COUNT.fetch_add(1, SeqCst));
    let path = std::env::temp_dir().join(name);
    // One that a killed run has left.
    let _ = std::fs::remove_file(&path);
    path
}

/// A store in that SQLite file. Its connections live on a runtime of their own, so that any server may use it.
pub fn sqlite(path: &Path) -> SeaOrmStore {
    let path = path.to_owned();
    on_another_thread(async move {
        let connection = connect(&path).await;
        Migrator::up(&connection, None).await.unwrap();
        SeaOrmStore::new(connection)
    })
}

/// Opens a SQLite file, which is made if it is not there.
pub async fn connect(path: &Path) -> DatabaseConnection {
    let mut options = ConnectOptions::new(format!("sqlite:{}", path.display()));
    options.sqlx_logging(false).max_connections(8).acquire_timeout(Duration::from_secs(20));
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite.create_if_missing(true).pragma("journal_mode", "WAL").busy_timeout(Duration::from_secs(20))
    });
    Database::connect(options).await.unwrap()
}

/// Runs a future to its end on a runtime that stays.
pub fn on_another_thread<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    use std::sync::OnceLock;
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.spawn(async move { sender.send(future.await) });
    receiver.recv().unwrap()
}

/// Users with passwords, who can be made inactive, removed, or unreadable.
#[derive(Debug)]
pub struct Users {
    status: Mutex<HashMap<&'static str, SubjectStatus>>,
    is_down: AtomicBool,
    gate: Mutex<Option<Gate>>,
}

/// Holds logins between the check of the password and the beginning of the session.
#[derive(Debug, Clone)]
pub struct Gate(Arc<GateState>);

#[derive(Debug)]
struct GateState {
    is_open: AtomicBool,
    held: tokio::sync::Semaphore,
    opened: tokio::sync::Semaphore,
}

impl Gate {
    fn new() -> Self {
        let (held, opened) = (tokio::sync::Semaphore::new(0), tokio::sync::Semaphore::new(0));
        Self(Arc::new(GateState { is_open: AtomicBool::new(false), held, opened }))
    }

    async fn pass(&self) {
        if !self.0.is_open.load(SeqCst) {
            self.0.held.add_permits(1);
            self.0.opened.acquire().await.unwrap().forget();
        }
    }

    /// Runs `login` with the gate open, and closes it again.
    pub fn let_through<T>(&self, login: impl FnOnce() -> T) -> T {
        self.0.is_open.store(true, SeqCst);
        let outcome = login();
        self.0.is_open.store(false, SeqCst);
        outcome
    }

    /// Waits until a login stands at the gate.
    pub fn wait_until_held(&self) {
        let gate = self.clone();
        on_another_thread(async move { gate.0.held.acquire().await.unwrap().forget() });
    }

    /// Opens the gate for good.
    pub fn open(&self) {
        self.0.is_open.store(true, SeqCst);
        self.0.opened.add_permits(100);
    }
}

const PASSWORDS: [(&str, &str, &str); 5] = [
    ("alice", "wonderland", ""),
    ("bob", "builder", ""),
    ("root", "toor", "admin read sessions"),
    ("carol", "singer", "read"),
    ("dora", "explorer", ""),
];

impl Default for Users {
    fn default() -> Self {
        let status = PASSWORDS.map(|(name, ..)| (name, SubjectStatus::Active)).into();
        Self { status: Mutex::new(status), is_down: AtomicBool::new(false), gate: Mutex::default() }
    }
}

impl Users {
    /// Holds all logins from now on at the gate that it gives.
    pub fn hold_logins(&self) -> Gate {
        let gate = Gate::new();
        *self.gate.lock().unwrap() = Some(gate.clone());
        gate
    }

    /// Says what the application shall think of a user from now on.
    pub fn set(&self, name: &'static str, status: SubjectStatus) {
        self.status.lock().unwrap().insert(name, status);
    }

    /// Makes the users unreadable, or readable again.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, SeqCst);
    }

    fn reach(&self) -> Result<(), StoreError> {
        if self.is_down.load(SeqCst) { Err(StoreError::new(STORE_SECRET).in_store("users")) } else { Ok(()) }
    }
}

#[async_trait]
impl Login for Users {
    async fn login(&self, credentials: &Credentials) -> Result<NewSession, LoginError> {
        self.reach()?;
        let sent = (credentials.username(), credentials.password());
        let user = PASSWORDS.iter().find(|(name, password, _)| (*name, *password) == sent);
        let (name, _, scope) = user.ok_or(LoginError::InvalidCredentials)?;
        if *name == "dora" {
            let otp = credentials.member::<String>("otp")?.or_else(|| credentials.header("x-otp").map(str::to_owned));
            match otp.as_deref() {
                Some(OTP) => (),
                Some(_) => return Err(LoginError::InvalidCredentials),
                None => return Err(LoginError::rejected(401, "second_factor_needed", "Send your one-time code.")),
            }
        }
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.pass().await;
        }
        let session = NewSession::new(Subject::new(*name)?).scopes(scope.split_whitespace())?;
        // An application that knows its users' devices by name.
        Ok(match credentials.header("x-device") {
            Some(device) => session.label(device),
            None => session,
        })
    }
}

#[async_trait]
impl SubjectCheck for Users {
    async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError> {
        self.reach()?;
        Ok(self.status.lock().unwrap().get(session.subject.as_str()).cloned().unwrap_or(SubjectStatus::Unknown))
    }
}

/// What is around the store of a world: it counts the reads, and can let every call fail.
#[derive(Debug, Default)]
pub struct Watch {
    is_down: AtomicBool,
    finds: AtomicU64,
}

impl Watch {
    /// Makes the store fail, or work again.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, SeqCst);
    }

    /// How many records were looked up since this was last asked.
    pub fn take_finds(&self) -> u64 {
        self.finds.swap(0, SeqCst)
    }
}

impl Interceptor for Watch {
    async fn intercept<T: Send>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        if operation == Operation::Find {
            self.finds.fetch_add(1, SeqCst);
        }
        if self.is_down.load(SeqCst) { Err(StoreError::new(STORE_SECRET).in_store("watched")) } else { call.await }
    }
}
