//! Waking those who wait for a session to end.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use event_listener::{Event, EventListener};

use crate::subject::Subject;

/// Those who wait for the end of a session, by its subject.
#[derive(Default)]
pub(super) struct Waiters(Mutex<HashMap<Subject, SubjectWaiters>>);

#[derive(Default)]
struct SubjectWaiters {
    event: Event,
    count: usize,
}

impl Waiters {
    /// Tells all who wait that a session of `subject` may have ended.
    pub(super) fn notify(&self, subject: &Subject) {
        if let Some(waiters) = self.lock().get(subject) {
            waiters.event.notify(usize::MAX);
        }
    }

    /// Tells all who wait for the end of a session of anyone.
    pub(super) fn notify_all(&self) {
        for waiters in self.lock().values() {
            waiters.event.notify(usize::MAX);
        }
    }

    /// Waits with others until dropped.
    pub(super) fn wait(&self, subject: &Subject) -> Waiting<'_> {
        self.lock().entry(subject.clone()).or_default().count += 1;
        Waiting { waiters: self, subject: subject.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, SubjectWaiters>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits. The subject is forgotten with the last of them.
pub(super) struct Waiting<'a> {
    waiters: &'a Waiters,
    subject: Subject,
}

impl Waiting<'_> {
    /// A future that is ready after the next [`Waiters::notify`] from now on.
    pub(super) fn listen(&self) -> EventListener {
        self.waiters.lock().entry(self.subject.clone()).or_default().event.listen()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut subjects = self.waiters.lock();
        if let Some(waiters) = subjects.get_mut(&self.subject) {
            waiters.count = waiters.count.saturating_sub(1);
            if waiters.count == 0 {
                subjects.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_forgotten_with_the_last_who_waits() {
        let waiters = Waiters::default();
        let alice = Subject::new("alice").unwrap();
        let (one, two) = (waiters.wait(&alice), waiters.wait(&alice));
        let listener = one.listen();
        drop(one);
        waiters.notify(&alice);
        event_listener::Listener::wait(listener);
        drop(two);
        assert!(waiters.lock().is_empty());
    }
}
