//! The settings that a handle keeps as they are given.

use std::{sync::Arc, time::Duration};

use crate::{lifetime::Lifetime, random::FillRandom, store::limit::SessionLimit, subject::SubjectCheck};

/// The settings that the handle keeps as they are given.
pub(super) struct Settings {
    pub(super) subject_check: Option<Arc<dyn SubjectCheck>>,
    pub(super) lifetime: Lifetime,
    pub(super) limit: Option<SessionLimit>,
    pub(super) touch_interval: Duration,
    pub(super) fill_random: FillRandom,
}
