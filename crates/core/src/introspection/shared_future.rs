//! A future for whose output many callers wait, and which one of them drives.

use std::{
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use event_listener::Event;

pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A future for whose output many callers wait. One of them polls it; if that one goes away, the next goes on with it.
pub(super) struct SharedFuture<T> {
    state: Mutex<State<T>>,
    /// The output if it panics.
    panicked: fn() -> T,
    /// Notified when it has ended, and when nobody drives it any more.
    changed: Event,
}

enum State<T> {
    /// Nobody drives it: it is new, or the caller that did has gone away.
    Idle(BoxFuture<T>),
    Driven,
    Ended(T),
}

/// What a caller has to do.
enum Role<T> {
    Drive(BoxFuture<T>),
    /// Somebody else drives it.
    Wait,
    Take(T),
}

impl<T: Clone> SharedFuture<T> {
    pub(super) fn new(future: BoxFuture<T>, panicked: fn() -> T) -> Self {
        Self { state: Mutex::new(State::Idle(future)), panicked, changed: Event::new() }
    }

    /// Drives the future, or waits until somebody else has.
    pub(super) async fn output(&self) -> T {
        loop {
            // Before looking, so that no change falls in between.
            let changed = self.changed.listen();
            match self.role() {
                Role::Drive(future) => return Driver { shared: self, future: Some(future) }.await,
                Role::Wait => changed.await,
                Role::Take(output) => return output,
            }
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(*self.lock(), State::Ended(_))
    }

    fn role(&self) -> Role<T> {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Driven) {
            State::Idle(future) => Role::Drive(future),
            State::Driven => Role::Wait,
            State::Ended(output) => {
                *state = State::Ended(output.clone());
                Role::Take(output)
            }
        }
    }
}

impl<T> SharedFuture<T> {
    fn set(&self, state: State<T>) {
        *self.lock() = state;
        self.changed.notify(usize::MAX);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller who polls the future. Dropped before its end, it leaves the future as it is to the next.
struct Driver<'a, T> {
    shared: &'a SharedFuture<T>,
    future: Option<BoxFuture<T>>,
}

impl<T: Clone> Future for Driver<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let panicked = self.shared.panicked;
        let Some(future) = &mut self.future else { return Poll::Ready(panicked()) };
        // A future that has panicked must not be polled again, and would be by the next.
        let output = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => output,
            Err(_) => panicked(),
        };
        let future = self.future.take();
        self.shared.set(State::Ended(output.clone()));
        // Last, in case a destructor panics: nobody waits for this caller any more.
        drop(future);
        Poll::Ready(output)
    }
}

impl<T> Drop for Driver<'_, T> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            self.shared.set(State::Idle(future));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Waker};

    use super::*;

    struct PanicsWhenDropped;

    impl Future for PanicsWhenDropped {
        type Output = u8;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u8> {
            Poll::Ready(7)
        }
    }

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("the destructor of a test panics");
        }
    }

    #[test]
    fn a_destructor_that_panics_keeps_nobody_waiting() {
        let shared = SharedFuture::new(Box::pin(PanicsWhenDropped), || 0);
        let poll = || pin!(shared.output()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
        assert_eq!(poll(), Poll::Ready(7));
    }
}
