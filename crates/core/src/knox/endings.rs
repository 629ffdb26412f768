//! Waking those who wait for a session to end.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use event_listener::{Event, EventListener};

use crate::subject::Subject;

/// The subjects of whose sessions somebody waits for the end.
#[derive(Default)]
pub(super) struct Endings(Mutex<HashMap<Subject, Waiters>>);

#[derive(Default)]
struct Waiters {
    event: Event,
    count: usize,
}

impl Endings {
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
        Waiting { endings: self, subject: subject.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, Waiters>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits. The subject is forgotten with the last of them.
pub(super) struct Waiting<'a> {
    endings: &'a Endings,
    subject: Subject,
}

impl Waiting<'_> {
    /// A future that is ready after the next [`Endings::notify`] from now on.
    pub(super) fn listen(&self) -> EventListener {
        self.endings.lock().entry(self.subject.clone()).or_default().event.listen()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut endings = self.endings.lock();
        if let Some(waiters) = endings.get_mut(&self.subject) {
            waiters.count = waiters.count.saturating_sub(1);
            if waiters.count == 0 {
                endings.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_forgotten_with_the_last_who_waits() {
        let endings = Endings::default();
        let alice = Subject::new("alice").unwrap();
        let (one, two) = (endings.wait(&alice), endings.wait(&alice));
        let listener = one.listen();
        drop(one);
        endings.notify(&alice);
        event_listener::Listener::wait(listener);
        drop(two);
        assert!(endings.lock().is_empty());
    }
}
