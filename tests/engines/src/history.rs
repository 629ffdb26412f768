//! What was asked and answered, and when; and whether it fits together.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    time::Instant,
};

use jwt_knox::SessionId;

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// The beginning of the session.
    Issue,
    /// Of the token of that number; the first one of the session is 0.
    Authenticate(usize),
    /// Of the token of that number, to the next one.
    Rotate(usize),
    /// Of the session.
    Revoke,
    /// Of all sessions of the subject.
    RevokeAll,
}

/// What the answer was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was done, or the token was accepted.
    Yes,
    /// The token was rejected.
    No,
    /// An error: it may have been done, or not.
    CannotTell,
}

/// One call, from its beginning to its answer.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// What was called.
    pub call: Call,
    /// Whose session.
    pub subject: usize,
    /// Which one. None: all of the subject, or one that never came to be.
    pub session: Option<SessionId>,
    /// When the call was made.
    pub began: Instant,
    /// When the answer came.
    pub ended: Instant,
    /// What it was.
    pub answer: Answer,
}

/// All calls of a test.
#[derive(Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
    errors: BTreeMap<String, usize>,
}

/// An answer that does not fit an earlier one.
#[derive(Debug, Clone, Copy)]
pub struct Contradiction {
    /// What is wrong.
    pub what: Kind,
    /// The session.
    pub session: SessionId,
    /// When the earlier answer had come.
    pub answered: Instant,
    /// When the call began that got the later one.
    pub asked: Instant,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A token of a session was accepted after the session had been revoked.
    LogoutUndone,
    /// A token was accepted after a rotation, without grace, had replaced it.
    RotationUndone,
    /// A token was rejected and nobody had ended its session.
    LoginUndone,
}

/// What is known of one session.
#[derive(Default)]
struct Session<'a> {
    issue: Option<&'a Operation>,
    others: Vec<&'a Operation>,
}

impl History {
    /// Adds a call, and what its error said.
    pub fn add(&mut self, operation: Operation, error: Option<String>) {
        self.operations.push(operation);
        if let Some(error) = error {
            *self.errors.entry(error).or_default() += 1;
        }
    }

    /// How many calls were errors.
    pub fn errors(&self) -> usize {
        self.errors.values().sum()
    }

    /// How many calls of each kind were answered, and which errors there were.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for operation in &self.operations {
            let name = match operation.call {
                Call::Issue => "issue",
                Call::Authenticate(_) => "authenticate",
                Call::Rotate(_) => "rotate",
                Call::Revoke => "revoke",
                Call::RevokeAll => "revoke_all",
            };
            counts.entry(name).or_default()[operation.answer as usize] += 1;
        }
        for (name, [yes, no, errors]) in counts {
            writeln!(text, "{name:>14}: {yes} yes, {no} no, {errors} errors").unwrap();
        }
        let slowest = self.operations.iter().map(|operation| operation.ended - operation.began).max();
        writeln!(text, "{:>14}: {:.1?}", "slowest call", slowest.unwrap_or_default()).unwrap();
        for (error, count) in &self.errors {
            writeln!(text, "{count:>14} x {error}").unwrap();
        }
        text
    }

    /// Every answer that does not fit an earlier one, at most one of a kind for each session.
    pub fn contradictions(&self) -> Vec<Contradiction> {
        let mut sessions: HashMap<SessionId, Session<'_>> = HashMap::new();
        let mut endings_of_all: HashMap<usize, Vec<&Operation>> = HashMap::new();
        for operation in &self.operations {
            match (operation.session, operation.call) {
                (Some(id), Call::Issue) => sessions.entry(id).or_default().issue = Some(operation),
                (Some(id), _) => sessions.entry(id).or_default().others.push(operation),
                (None, Call::RevokeAll) => endings_of_all.entry(operation.subject).or_default().push(operation),
                (None, _) => {}
            }
        }
        let mut found = Vec::new();
        for (id, session) in sessions {
            let Some(issue) = session.issue else { continue };
            let endings_of_all = endings_of_all.get(&issue.subject).map_or(&[][..], Vec::as_slice);
            session.contradictions(id, issue, endings_of_all, &mut found);
        }
        found.sort_by_key(|contradiction| contradiction.answered);
        found
    }

    /// Ends the test if an answer does not fit an earlier one.
    pub fn assert_consistent(&self) {
        let found = self.contradictions();
        assert!(found.is_empty(), "{} of {}: {:#?}", found.len(), self.operations.len(), &found[..found.len().min(5)]);
    }
}

impl Session<'_> {
    fn contradictions(
        &self,
        id: SessionId,
        issue: &Operation,
        endings_of_all: &[&Operation],
        found: &mut Vec<Contradiction>,
    ) {
        let own = || self.others.iter().copied().filter(|other| other.call == Call::Revoke);
        // Since when it is over for certain: an answer came to what ended it.
        let of_all = endings_of_all.iter().copied().filter(|ending| issue.ended < ending.began);
        let over =
            own().chain(of_all).filter(|ending| ending.answer != Answer::CannotTell).map(|ending| ending.ended).min();
        // Since when it may be over.
        let of_all = endings_of_all.iter().copied().filter(|ending| ending.ended > issue.began);
        let perhaps_over = own().chain(of_all).map(|ending| ending.began).min();
        let rotations = |number| self.others.iter().filter(move |other| other.call == Call::Rotate(number));

        let mut first = BTreeMap::new();
        for other in &self.others {
            let (Call::Authenticate(number) | Call::Rotate(number)) = other.call else { continue };
            let mut note = |what, answered: Instant| {
                first.entry(what).or_insert(Contradiction { what, session: id, answered, asked: other.began });
            };
            match other.answer {
                Answer::Yes => {
                    if let Some(over) = over.filter(|over| *over < other.began) {
                        note(Kind::LogoutUndone, over);
                    }
                    let replaced = rotations(number).filter(|rotation| rotation.answer == Answer::Yes);
                    if let Some(replaced) = replaced.map(|rotation| rotation.ended).min()
                        && replaced < other.began
                    {
                        note(Kind::RotationUndone, replaced);
                    }
                }
                Answer::No => {
                    // Another rotation may have replaced it, one without an answer too.
                    let rivals = rotations(number).filter(|rotation| !std::ptr::eq(**rotation, *other));
                    let reasons = perhaps_over.into_iter().chain(rivals.map(|rotation| rotation.began));
                    if let Some(answered) = self.answered(issue, number)
                        && !reasons.into_iter().any(|reason| reason < other.ended)
                    {
                        note(Kind::LoginUndone, answered);
                    }
                }
                Answer::CannotTell => {}
            }
        }
        found.extend(first.into_values());
    }

    /// When the token of that number was given to the client.
    fn answered(&self, issue: &Operation, number: usize) -> Option<Instant> {
        let Some(before) = number.checked_sub(1) else { return Some(issue.ended) };
        let is_origin = |other: &&&Operation| other.call == Call::Rotate(before) && other.answer == Answer::Yes;
        self.others.iter().find(is_origin).map(|rotation| rotation.ended)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Calls of one session, each from one time to another.
    fn history(calls: &[(Call, u64, u64, Answer)]) -> Vec<Kind> {
        let start = Instant::now();
        let id: SessionId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let mut history = History::default();
        for (call, began, ended, answer) in calls {
            let session = (*call != Call::RevokeAll).then_some(id);
            let time = |seconds: &u64| start + Duration::from_secs(*seconds);
            let (began, ended) = (time(began), time(ended));
            history.add(Operation { call: *call, subject: 1, session, began, ended, answer: *answer }, None);
        }
        history.contradictions().into_iter().map(|found| found.what).collect()
    }

    const ISSUE: (Call, u64, u64, Answer) = (Call::Issue, 1, 2, Answer::Yes);

    #[test]
    fn a_token_that_is_accepted_after_an_answered_logout_is_found() {
        for call in [Call::Revoke, Call::RevokeAll] {
            for accepted in [Call::Authenticate(0), Call::Rotate(0)] {
                let logout = (call, 3, 5, Answer::Yes);
                assert_eq!(history(&[ISSUE, logout, (accepted, 6, 7, Answer::Yes)]), [Kind::LogoutUndone]);
                assert_eq!(history(&[ISSUE, logout, (accepted, 4, 7, Answer::Yes)]), [], "they overlap");
                let error = (call, 3, 5, Answer::CannotTell);
                assert_eq!(history(&[ISSUE, error, (accepted, 6, 7, Answer::Yes)]), [], "nobody knows");
            }
        }
        let overlaps = (Call::RevokeAll, 1, 5, Answer::Yes);
        assert_eq!(history(&[ISSUE, overlaps, (Call::Authenticate(0), 6, 7, Answer::Yes)]), [], "it may come first");
    }

    #[test]
    fn a_token_that_is_accepted_after_an_answered_rotation_is_found() {
        let rotation = (Call::Rotate(0), 3, 5, Answer::Yes);
        assert_eq!(history(&[ISSUE, rotation, (Call::Authenticate(0), 6, 7, Answer::Yes)]), [Kind::RotationUndone]);
        assert_eq!(history(&[ISSUE, rotation, (Call::Authenticate(0), 4, 7, Answer::Yes)]), []);
        assert_eq!(history(&[ISSUE, rotation, (Call::Authenticate(1), 6, 7, Answer::Yes)]), []);
        assert_eq!(history(&[ISSUE, rotation, (Call::Authenticate(0), 6, 7, Answer::No)]), []);
    }

    #[test]
    fn a_token_that_is_rejected_for_no_reason_is_found() {
        let rejected = (Call::Authenticate(0), 6, 7, Answer::No);
        assert_eq!(history(&[ISSUE, rejected]), [Kind::LoginUndone]);
        assert_eq!(history(&[ISSUE, (Call::Rotate(0), 6, 7, Answer::No)]), [Kind::LoginUndone]);
        for call in [Call::Revoke, Call::RevokeAll, Call::Rotate(0)] {
            assert_eq!(history(&[ISSUE, (call, 3, 4, Answer::CannotTell), rejected]), []);
            assert_eq!(history(&[ISSUE, (call, 8, 9, Answer::CannotTell), rejected]), [Kind::LoginUndone]);
        }
        let rotation = (Call::Rotate(0), 3, 4, Answer::Yes);
        assert_eq!(history(&[ISSUE, rotation, (Call::Authenticate(1), 6, 7, Answer::No)]), [Kind::LoginUndone]);
    }
}
