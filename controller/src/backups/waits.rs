//! For how long a Backup that nobody takes yet has waited, as this process saw it: another leader begins to count anew.

use crate::clock;
use core::time::Duration;
use pgherd_core::time::Instant;
use std::collections::HashMap;
use tokio::sync::Mutex;

/// One that nobody asked about for so long is gone.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wait {
    /// Whoever takes it next, after so many attempts that were cut off.
    Attempt(usize),
    /// That WAL archiving works.
    Archiving,
}

#[derive(Clone, Copy, Debug)]
struct Since {
    began: Instant,
    asked: Instant,
}

/// Since when, by uid.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<HashMap<(String, Wait), Since>>);

impl Waits {
    /// For how long, if it still does.
    pub(super) async fn of(&self, uid: &str, wait: Wait, waits: bool) -> Duration {
        self.at(uid, wait, waits, clock::now()).await
    }

    async fn at(&self, uid: &str, wait: Wait, waits: bool, now: Instant) -> Duration {
        let mut all = self.0.lock().await;
        all.retain(|_, since| now.since(since.asked) < FORGET_AFTER);
        let key = (uid.to_owned(), wait);
        if !waits {
            all.remove(&key);
            return Duration::ZERO;
        }
        let since = all.entry(key).or_insert(Since { began: now, asked: now });
        since.asked = now;
        now.since(since.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_is_counted_from_its_first_look_and_anew_once_it_was_over() {
        let (waits, second) = (Waits::default(), |second: u64| Instant(second * 1_000_000_000));
        let held = async |failing, at| waits.at("u", Wait::Archiving, failing, second(at)).await.as_secs();
        assert_eq!([held(true, 5).await, held(true, 65).await], [0, 60]);
        assert_eq!(waits.at("u", Wait::Attempt(1), true, second(65)).await, Duration::ZERO, "another wait");
        assert_eq!([held(false, 70).await, held(true, 80).await, held(true, 81).await], [0, 0, 1]);
    }
}
