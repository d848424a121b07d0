//! Measures how long the running statement of a connection takes, from another thread.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use diesel::connection::InstrumentationEvent;

/// When the running statement began; `None` between statements.
#[derive(Default)]
pub(super) struct StatementClock(Mutex<Option<Instant>>);

impl StatementClock {
    /// Must receive every event of the connection.
    pub(super) fn record(&self, event: &InstrumentationEvent<'_>) {
        let begin = match event {
            InstrumentationEvent::StartQuery { .. } => Some(Instant::now()),
            InstrumentationEvent::FinishQuery { .. } => None,
            _ => return,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = begin;
    }

    /// How long the running statement has taken; 0 between statements.
    pub(super) fn elapsed(&self) -> Duration {
        let begin = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begin.map_or(Duration::ZERO, |begin| begin.elapsed())
    }
}
