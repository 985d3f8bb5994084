//! Which clusters are due, longest waiting first: one that changes all the time does not keep others waiting, and a look
//! that only makes sure that nothing was missed does not keep an election waiting.

use crate::caches::Key;
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use tokio::time::Instant;

/// Whoever has something to be looked at goes before a routine look that has waited less than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a look is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Something has changed, or a deadline has come.
    News,
    /// Nothing was heard for long.
    Routine,
}

impl Cause {
    /// What is due at the same time is looked at in this order.
    fn rank(self, at: Instant) -> Instant {
        match self {
            Cause::News => at,
            Cause::Routine => at + PATIENCE,
        }
    }
}

/// When each cluster is due.
#[derive(Debug, Default)]
pub struct Due {
    known: HashMap<Key, (Cause, Instant)>,
    news: BTreeSet<(Instant, Key)>,
    routine: BTreeSet<(Instant, Key)>,
}

impl Due {
    /// Has it looked at then, or earlier where it is due earlier anyway.
    pub fn put(&mut self, key: Key, cause: Cause, at: Instant) {
        let (cause, at) = match self.known.remove(&key) {
            Some((known, due)) => {
                self.line(known).remove(&(due, key.clone()));
                (cause.min(known), at.min(due))
            }
            None => (cause, at),
        };
        self.known.insert(key.clone(), (cause, at));
        self.line(cause).insert((at, key));
    }

    /// The next one to be looked at, which is forgotten by that.
    pub fn take(&mut self, now: Instant) -> Option<(Key, Cause)> {
        let (_, cause) = [Cause::News, Cause::Routine]
            .into_iter()
            .filter_map(|cause| self.first(cause).filter(|at| *at <= now).map(|at| (cause.rank(at), cause)))
            .min()?;
        let (_, key) = self.line(cause).pop_first()?;
        self.known.remove(&key);
        Some((key, cause))
    }

    /// When the first of them is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        [self.first(Cause::News), self.first(Cause::Routine)].into_iter().flatten().min()
    }

    /// When this one is.
    #[cfg(test)]
    pub fn of(&self, key: &Key) -> Option<(Cause, Instant)> {
        self.known.get(key).copied()
    }

    fn first(&self, cause: Cause) -> Option<Instant> {
        let line = if cause == Cause::News { &self.news } else { &self.routine };
        line.first().map(|(at, _)| *at)
    }

    fn line(&mut self, cause: Cause) -> &mut BTreeSet<(Instant, Key)> {
        if cause == Cause::News { &mut self.news } else { &mut self.routine }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { namespace: "ns".into(), name: name.into() }
    }

    fn order(due: &mut Due, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| due.take(now)).map(|(key, _)| key.name).collect()
    }

    #[test]
    fn who_waits_longest_is_next_whatever_its_name() {
        let (mut due, now) = (Due::default(), Instant::now());
        let before = |seconds| now - Duration::from_secs(seconds);
        for (name, seconds) in [("a", 1), ("z", 3), ("m", 2)] {
            due.put(key(name), Cause::News, before(seconds));
        }
        due.put(key("later"), Cause::News, now + Duration::from_secs(1));
        assert_eq!(due.next(), Some(before(3)));
        assert_eq!(order(&mut due, now), ["z", "m", "a"]);
        assert_eq!(due.next(), Some(now + Duration::from_secs(1)));
    }

    #[test]
    fn news_go_before_routine_which_does_not_wait_for_ever() {
        let (mut due, now) = (Due::default(), Instant::now());
        let before = |seconds| now - Duration::from_secs(seconds);
        due.put(key("routine"), Cause::Routine, before(9));
        due.put(key("overdue"), Cause::Routine, before(12));
        due.put(key("news"), Cause::News, before(1));
        assert_eq!(order(&mut due, now), ["overdue", "news", "routine"]);
    }

    #[test]
    fn a_change_brings_a_look_forward_and_never_puts_it_off() {
        let (mut due, now) = (Due::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        due.put(key("a"), Cause::Routine, after(20));
        due.put(key("a"), Cause::News, after(1));
        assert_eq!(due.of(&key("a")), Some((Cause::News, after(1))));
        due.put(key("a"), Cause::Routine, after(30));
        assert_eq!(due.of(&key("a")), Some((Cause::News, after(1))));
        assert_eq!(order(&mut due, after(40)), ["a"], "once");
    }
}
