//! Which cluster is looked at when: at once after a change, never twice at the same time, and all of them now
//! and then.

use crate::caches::Key;
use crate::due::{Cause, Due};
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Every cluster is looked at this often even if nothing happens, and a bit later by chance: not all at a time.
const RESYNC: Duration = Duration::from_secs(30);
/// How many clusters are looked at at once. Most of a look is waiting, and in an election it waits a second for a member
/// that is out of reach: where a zone is lost, a hundred clusters elect at the same time.
const WIDTH: usize = 128;
/// A pause that lets a burst of changes be one look.
const GATHER: Duration = Duration::from_millis(2);

/// A look that panicked once may do so for ever.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Wakes clusters.
#[derive(Clone)]
pub struct Waker(mpsc::Sender<Key>);

impl Waker {
    /// Something about this cluster has changed.
    pub async fn wake(&self, key: Key) {
        // The receiver is gone only when the whole process ends.
        let _ = self.0.send(key).await;
    }
}

/// The other end of the wakers.
pub struct Queue {
    woken: mpsc::Receiver<Key>,
    due: Due,
    running: BTreeSet<Key>,
    again: BTreeSet<Key>,
    chance: fn() -> f64,
}

impl Queue {
    /// A queue and its waker.
    #[must_use]
    pub fn new() -> (Waker, Queue) {
        let (sender, woken) = mpsc::channel(1024);
        let (running, again) = (BTreeSet::new(), BTreeSet::new());
        (Waker(sender), Queue { woken, due: Due::default(), running, again, chance: rand::random })
    }

    /// Calls `look` for each cluster that is due, and says why it is, until `stop`. It answers how soon it wants to be
    /// called again; `None` forgets the cluster.
    pub async fn run<F, Fut>(mut self, stop: CancellationToken, look: F)
    where
        F: Fn(Key, Cause) -> Fut,
        Fut: Future<Output = Option<Duration>> + Send + 'static,
    {
        let mut tasks: JoinSet<Option<Duration>> = JoinSet::new();
        let mut keys: HashMap<Id, Key> = HashMap::new();
        loop {
            let now = Instant::now();
            while self.running.len() < WIDTH
                && let Some((key, cause)) = self.due.take(now)
            {
                self.running.insert(key.clone());
                keys.insert(tasks.spawn(look(key.clone(), cause)).id(), key);
            }
            let next = self.next_due(now);
            tokio::select! {
                () = stop.cancelled() => break,
                Some(key) = self.woken.recv() => self.wake(key),
                Some(done) = tasks.join_next_with_id(), if !tasks.is_empty() => self.ended(done, &mut keys),
                () = sleep_until(next) => {}
            }
        }
        tasks.shutdown().await;
    }

    fn ended(&mut self, done: Result<(Id, Option<Duration>), JoinError>, keys: &mut HashMap<Id, Key>) {
        let (id, again) = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!("a look at a cluster failed in an unforeseen way, and is repeated");
                (error.id(), Some(AFTER_PANIC))
            }
        };
        if let Some(key) = keys.remove(&id) {
            self.finished(key, again);
        }
    }

    fn next_due(&self, now: Instant) -> Instant {
        let full = self.running.len() >= WIDTH;
        let first = if full { None } else { self.due.next() };
        first.unwrap_or(now + RESYNC)
    }

    fn wake(&mut self, key: Key) {
        if self.running.contains(&key) {
            self.again.insert(key);
        } else {
            self.due.put(key, Cause::News, Instant::now() + GATHER);
        }
    }

    fn finished(&mut self, key: Key, again: Option<Duration>) {
        self.running.remove(&key);
        let woken = self.again.remove(&key);
        let (cause, after) = match (woken, again) {
            (true, _) => (Cause::News, Duration::ZERO),
            (false, Some(after)) if after < RESYNC => (Cause::News, after),
            (false, Some(_)) => (Cause::Routine, RESYNC.mul_f64(1.0 + (self.chance)() / 4.0)),
            (false, None) => return,
        };
        self.due.put(key, cause, Instant::now() + after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn key(name: &str) -> Key {
        Key { namespace: "ns".into(), name: name.into() }
    }

    #[tokio::test]
    async fn a_cluster_that_changes_while_it_is_looked_at_is_looked_at_again_afterwards() {
        let (waker, queue) = Queue::new();
        let stop = CancellationToken::new();
        let (started, mut starts) = mpsc::channel(8);
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let running = Arc::new(AtomicUsize::new(0));
        let (opened, counted) = (gate.clone(), running.clone());
        let task = tokio::spawn(queue.run(stop.clone(), move |_, _| {
            let (started, gate, running) = (started.clone(), opened.clone(), counted.clone());
            async move {
                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                started.send(()).await.unwrap();
                gate.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
                Some(RESYNC)
            }
        }));
        waker.wake(key("a")).await;
        starts.recv().await.unwrap();
        waker.wake(key("a")).await;
        waker.wake(key("a")).await;
        gate.add_permits(2);
        starts.recv().await.unwrap();
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_quiet_cluster_is_looked_at_now_and_then_until_it_is_gone() {
        let (_waker, mut queue) = Queue::new();
        let now = Instant::now();
        queue.finished(key("a"), Some(Duration::from_secs(3600)));
        let (cause, due) = queue.due.of(&key("a")).unwrap();
        assert!(cause == Cause::Routine && due >= now + RESYNC && due < now + RESYNC * 2);
        queue.due = Due::default();
        queue.finished(key("a"), Some(Duration::from_secs(2)));
        assert!(queue.due.of(&key("a")).is_some_and(|(cause, due)| cause == Cause::News && due < now + RESYNC));
        queue.due = Due::default();
        queue.finished(key("a"), None);
        assert!(queue.due.next().is_none(), "it was forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn clusters_that_change_all_the_time_do_not_keep_another_waiting_whatever_its_name() {
        let (waker, queue) = Queue::new();
        let stop = CancellationToken::new();
        let (seen, mut sees) = mpsc::unbounded_channel();
        let task = tokio::spawn(queue.run(stop.clone(), move |key, _| {
            let seen = seen.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                seen.send(key.name).unwrap();
                // As a refused election is looked at again, and again.
                Some(Duration::from_millis(1))
            }
        }));
        for number in 0..3 * WIDTH {
            waker.wake(key(&format!("a-{number}"))).await;
        }
        waker.wake(key("z")).await;
        let looks = async { while sees.recv().await.is_some_and(|name| name != "z") {} };
        tokio::time::timeout(Duration::from_millis(100), looks).await.expect("its turn comes");
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_whose_look_panics_is_looked_at_again() {
        let (waker, queue) = Queue::new();
        let stop = CancellationToken::new();
        let (seen, mut sees) = mpsc::unbounded_channel();
        let looks = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(queue.run(stop.clone(), move |key, _| {
            let (seen, looks) = (seen.clone(), looks.clone());
            async move {
                assert!(looks.fetch_add(1, Ordering::SeqCst) > 0, "the first one fails");
                seen.send(key.name).unwrap();
                None
            }
        }));
        waker.wake(key("a")).await;
        let again = tokio::time::timeout(Duration::from_secs(5), sees.recv()).await;
        assert_eq!(again.expect("in time").as_deref(), Some("a"));
        stop.cancel();
        task.await.unwrap();
    }
}
