//! What background jobs log about their failures.

use crate::error::AppError;

/// Logs the first of several failures in a row, and the first success after them.
///
/// A job that gets no connection logs nothing: the pool logs an outage once for all jobs and requests.
pub(crate) struct FailureLog {
    failure: &'static str,
    recovery: &'static str,
    has_failed: bool,
}

impl FailureLog {
    /// Expects the two messages.
    pub(crate) const fn new(failure: &'static str, recovery: &'static str) -> Self {
        Self { failure, recovery, has_failed: false }
    }

    pub(crate) fn record<T>(&mut self, outcome: &Result<T, AppError>) {
        match outcome {
            Ok(_) if self.has_failed => tracing::info!("{}", self.recovery),
            Err(AppError::Busy) => return,
            Err(cause) if !self.has_failed => tracing::warn!(?cause, "{}", self.failure),
            _ => {}
        }
        self.has_failed = outcome.is_err();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_the_first_failure_and_the_first_success_are_logged() {
        let (lines, mut log) = (Lines::default(), FailureLog::new("Not stored", "Stored again"));
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let broken = || Err::<(), _>(AppError::broken("disk full"));

        tracing::subscriber::with_default(subscriber, || {
            for outcome in
                [Ok(()), Err(AppError::Busy), Ok(()), broken(), Err(AppError::Busy), broken(), Ok(()), Ok(())]
            {
                log.record(&outcome);
            }
        });

        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let logged: Vec<_> = logged.lines().collect();
        assert_eq!(logged.len(), 2, "{logged:?}");
        assert!(
            logged[0].contains("WARN") && logged[0].contains("Not stored") && logged[0].contains("disk full")
        );
        assert!(logged[1].contains("INFO") && logged[1].contains("Stored again"));
    }
}
