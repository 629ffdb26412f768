//! What is logged at the level `warn`.

use std::{cell::RefCell, fmt::Write, sync::Once};

use tracing::{
    Event, Id, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
};

thread_local! {
    /// What was logged on this thread since it began to be noted.
    static LINES: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The warnings and errors that are logged while `action` runs, a line each.
pub(crate) fn warnings_of(action: impl FnOnce()) -> String {
    // One subscriber for all threads. With one for each, another thread that comes to an event first, without one,
    // could make `tracing` keep it from all.
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| tracing::subscriber::set_global_default(Warnings).unwrap());
    // For the events that were met before.
    tracing::callsite::rebuild_interest_cache();
    LINES.set(Some(String::new()));
    action();
    LINES.take().unwrap()
}

struct Warnings;

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        struct Line<'a>(&'a mut String);
        impl Visit for Line<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                write!(self.0, "{field}={value:?} ").unwrap();
            }
        }
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                event.record(&mut Line(lines));
                lines.push('\n');
            }
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
