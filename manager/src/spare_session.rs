//! A session with our own postgres that one step leaves to the next: on the way to a promotion several follow each
//! other within milliseconds, and a new one costs a process and its caches each time.

use core::time::Duration;
use pgherd_postgres::sql::Session;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// How long one is kept for the next: a smart shutdown of postgres waits for all of them.
const KEPT_FOR: Duration = Duration::from_millis(800);

/// At most one session that nobody uses.
#[derive(Clone, Default)]
pub struct SpareSession(Arc<Mutex<Option<(Session, Instant)>>>);

impl SpareSession {
    /// The session, if there is one that lives.
    #[must_use]
    pub fn take(&self) -> Option<Session> {
        let (session, left) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        (!session.is_closed() && left.elapsed() < KEPT_FOR).then_some(session)
    }

    /// Leaves one whose statements have all been answered, and whose settings are as they were.
    pub fn leave(&self, session: Session) {
        let left = Instant::now();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((session, left));
        let spare = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            let mut kept = spare.0.lock().unwrap_or_else(PoisonError::into_inner);
            drop(kept.take_if(|(_, other)| *other == left));
        });
    }
}
