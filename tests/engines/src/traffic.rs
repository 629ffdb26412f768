//! Clients that log in, use, rotate and revoke sessions, all at once.

use std::{
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use jwt_knox::{
    AuthenticateError, IssueError, Issued, Knox, KnoxBuilder, ReuseAction, SessionRef, SigningKey, StoreError, Subject,
    TokenStore,
};
use tokio::task::JoinHandle;

use crate::{
    engine::wait_until,
    history::{Answer, Call, History, Operation},
};

/// How many call at the same time.
const CLIENTS: usize = 8;

/// How many subjects they call for.
pub const SUBJECTS: usize = 40;

/// No call may take longer. `Knox` gives each call of the store 5 seconds, and a rotation makes two or three of them.
const PATIENCE: Duration = Duration::from_secs(16);

/// Settings as the servers of the tests have them: a rotated token is replaced at once, and using it again ends
/// nothing.
pub fn builder(store: impl TokenStore) -> KnoxBuilder {
    Knox::builder(SigningKey::hs256("a key of the engine tests, long enough").unwrap())
        .store(store)
        .rotation_grace(Duration::ZERO)
        .on_reuse(ReuseAction::Reject)
        .timer(tokio::time::sleep)
}

/// A server on that store.
pub fn knox(store: impl TokenStore) -> Knox {
    builder(store).build().unwrap()
}

/// A session and its tokens, with their numbers, the newest last. Parallel rotations of a token give several of the
/// next number, all with one secret.
#[derive(Clone)]
struct Ticket {
    session: SessionRef,
    tokens: Vec<(usize, String)>,
}

/// What the clients share.
struct Shared {
    /// The servers. A client calls one or the other.
    servers: Vec<Knox>,
    history: Mutex<History>,
    /// By subject.
    tickets: Vec<Mutex<Vec<Ticket>>>,
    /// How many calls of each client were answered since its last error.
    streaks: Vec<AtomicUsize>,
    is_over: AtomicBool,
}

/// Clients at work.
#[expect(missing_debug_implementations, reason = "nobody prints it")]
pub struct Traffic {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Starts clients that call these servers.
    pub fn start(servers: Vec<Knox>) -> Self {
        let shared = Arc::new(Shared {
            servers,
            history: Mutex::default(),
            tickets: (0..SUBJECTS).map(|_| Mutex::default()).collect(),
            streaks: (0..CLIENTS).map(|_| AtomicUsize::new(0)).collect(),
            is_over: AtomicBool::new(false),
        });
        let clients = (0..CLIENTS).map(|number| tokio::spawn(client(Arc::clone(&shared), number))).collect();
        Self { shared, clients }
    }

    /// Waits until each client has had so many answers from now on without an error in between.
    pub async fn wait_for_answers(&self, count: usize) {
        for streak in &self.shared.streaks {
            streak.store(0, SeqCst);
        }
        wait_until("all clients get answers", async || {
            assert!(self.clients.iter().all(|client| !client.is_finished()), "a client has failed");
            self.shared.streaks.iter().all(|streak| streak.load(SeqCst) >= count)
        })
        .await;
    }

    /// Waits for so many errors from now on.
    pub async fn wait_for_errors(&self, count: usize) {
        let errors = || self.shared.history.lock().unwrap().errors();
        let before = errors();
        wait_until("the clients get errors", async || errors() >= before + count).await;
    }

    /// Ends the traffic, asks each of `servers` for every token that there ever was, and gives the history of it all.
    pub async fn stop(self, servers: &[Knox]) -> History {
        self.shared.is_over.store(true, SeqCst);
        for client in self.clients {
            client.await.unwrap();
        }
        for (subject, tickets) in self.shared.tickets.iter().enumerate() {
            let tickets = tickets.lock().unwrap().clone();
            for server in servers {
                for ticket in &tickets {
                    for token in &ticket.tokens {
                        self.shared.authenticate(server, subject, &ticket.session, token).await;
                    }
                }
            }
        }
        std::mem::take(&mut *self.shared.history.lock().unwrap())
    }
}

async fn client(shared: Arc<Shared>, number: usize) {
    let mut dice = Dice(number as u64 + 1);
    while !shared.is_over.load(SeqCst) {
        let server = shared.servers[dice.roll(shared.servers.len())].clone();
        let is_answered = shared.step(&server, &mut dice).await;
        if is_answered {
            shared.streaks[number].fetch_add(1, SeqCst);
        } else {
            shared.streaks[number].store(0, SeqCst);
            // A client that gets an error at once does not hammer the server.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Shared {
    /// Does one thing. Whether all of it was answered.
    async fn step(&self, server: &Knox, dice: &mut Dice) -> bool {
        let subject = dice.roll(SUBJECTS);
        let action = dice.roll(100);
        let ticket = self.pick(subject, dice);
        match (action, ticket) {
            (0..3, _) => self.revoke_all(server, subject).await,
            (3..25, _) | (_, None) => self.issue(server, subject).await,
            (25..40, Some((_, ticket))) => self.revoke(server, subject, &ticket).await,
            (40..60, Some((position, ticket))) => self.rotate(server, subject, position, &ticket).await,
            (_, Some((_, ticket))) => {
                let token = &ticket.tokens[ticket.tokens.len() - 1 - dice.roll(ticket.tokens.len().min(2))];
                self.authenticate(server, subject, &ticket.session, token).await != Answer::CannotTell
            }
        }
    }

    /// One of the newest sessions of the subject, which may have ended.
    fn pick(&self, subject: usize, dice: &mut Dice) -> Option<(usize, Ticket)> {
        let tickets = self.tickets[subject].lock().unwrap();
        let position = tickets.len().checked_sub(1 + dice.roll(tickets.len().clamp(1, 6)))?;
        Some((position, tickets[position].clone()))
    }

    async fn issue(&self, server: &Knox, subject: usize) -> bool {
        let began = Instant::now();
        let outcome = server.issue(name(subject)).await;
        let session = outcome.as_ref().ok().map(|issued| issued.session.session_ref());
        let answer = self.add(Call::Issue, subject, session.as_ref(), began, of_issue(&outcome));
        if let (Ok(issued), Some(session)) = (outcome, session) {
            let ticket = Ticket { session, tokens: vec![(0, issued.token.expose().to_owned())] };
            self.tickets[subject].lock().unwrap().push(ticket);
        }
        answer != Answer::CannotTell
    }

    async fn authenticate(
        &self,
        server: &Knox,
        subject: usize,
        session: &SessionRef,
        (number, token): &(usize, String),
    ) -> Answer {
        let began = Instant::now();
        let outcome = match server.authenticate(token).await {
            Ok(_) => Ok(Answer::Yes),
            Err(AuthenticateError::Rejected(_)) => Ok(Answer::No),
            Err(AuthenticateError::Store(error)) => Err(describe(&error)),
        };
        self.add(Call::Authenticate(*number), subject, Some(session), began, outcome)
    }

    async fn rotate(&self, server: &Knox, subject: usize, position: usize, ticket: &Ticket) -> bool {
        let Some((number, token)) = ticket.tokens.last() else { return true };
        let auth = match server.authenticate(token).await {
            Ok(auth) => auth,
            Err(error) => return matches!(error, AuthenticateError::Rejected(_)),
        };
        let began = Instant::now();
        let outcome = server.rotate(&auth).await;
        let answer = self.add(Call::Rotate(*number), subject, Some(&ticket.session), began, of_issue(&outcome));
        if let Ok(issued) = outcome {
            let token = (number + 1, issued.token.expose().to_owned());
            self.tickets[subject].lock().unwrap()[position].tokens.push(token);
        }
        answer != Answer::CannotTell
    }

    async fn revoke(&self, server: &Knox, subject: usize, ticket: &Ticket) -> bool {
        let began = Instant::now();
        let outcome = of_store(server.revoke(&ticket.session).await);
        self.add(Call::Revoke, subject, Some(&ticket.session), began, outcome) != Answer::CannotTell
    }

    async fn revoke_all(&self, server: &Knox, subject: usize) -> bool {
        let began = Instant::now();
        let outcome = of_store(server.revoke_all(&name(subject)).await);
        self.add(Call::RevokeAll, subject, None, began, outcome) != Answer::CannotTell
    }

    fn add(
        &self,
        call: Call,
        subject: usize,
        session: Option<&SessionRef>,
        began: Instant,
        outcome: Result<Answer, String>,
    ) -> Answer {
        let ended = Instant::now();
        assert!(ended - began < PATIENCE, "{call:?} took {:?}: {outcome:?}", ended - began);
        let answer = *outcome.as_ref().unwrap_or(&Answer::CannotTell);
        let operation = Operation { call, subject, session: session.map(|session| session.id), began, ended, answer };
        self.history.lock().unwrap().add(operation, outcome.err());
        answer
    }
}

/// The subject of that number.
pub fn name(subject: usize) -> Subject {
    Subject::new(format!("user-{subject}")).unwrap()
}

fn of_issue(outcome: &Result<Issued, IssueError>) -> Result<Answer, String> {
    match outcome {
        Ok(_) => Ok(Answer::Yes),
        Err(IssueError::Rejected(_) | IssueError::Superseded | IssueError::LimitReached { .. }) => Ok(Answer::No),
        Err(error) => Err(describe(error)),
    }
}

fn of_store<T>(outcome: Result<T, StoreError>) -> Result<Answer, String> {
    outcome.map(|_| Answer::Yes).map_err(|error| describe(&error))
}

/// An error and what lies beneath it, for the summary. Without the numbers, so that there are few of them.
fn describe(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string().chars().take(160).filter(|character| !character.is_ascii_digit()).collect()
}

/// Numbers that are as good as random, and the same in each run.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut number = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((number ^ (number >> 31)) % sides as u64).unwrap()
    }
}
