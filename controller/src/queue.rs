//! Which cluster is looked at when: at once after a change, never twice at the same time, and all of them now
//! and then.

use crate::caches::Key;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Every cluster is looked at this often even if nothing happens.
const RESYNC: Duration = Duration::from_secs(30);
/// How many clusters are looked at at once.
const WIDTH: usize = 32;
/// A pause that lets a burst of changes be one look.
const GATHER: Duration = Duration::from_millis(2);

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
    due: BTreeMap<Key, Instant>,
    running: BTreeSet<Key>,
    again: BTreeSet<Key>,
}

impl Queue {
    /// A queue and its waker.
    #[must_use]
    pub fn new() -> (Waker, Queue) {
        let (sender, woken) = mpsc::channel(1024);
        let queue = Queue { woken, due: BTreeMap::new(), running: BTreeSet::new(), again: BTreeSet::new() };
        (Waker(sender), queue)
    }

    /// Calls `look` for each cluster that is due, until `stop`. It answers how soon it wants to be called again;
    /// `None` forgets the cluster.
    pub async fn run<F, Fut>(mut self, stop: CancellationToken, look: F)
    where
        F: Fn(Key) -> Fut,
        Fut: Future<Output = Option<Duration>> + Send + 'static,
    {
        let mut tasks: JoinSet<(Key, Option<Duration>)> = JoinSet::new();
        loop {
            let now = Instant::now();
            let ready: Vec<Key> = self.due.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
            for key in ready.into_iter().take(WIDTH.saturating_sub(self.running.len())) {
                self.due.remove(&key);
                self.running.insert(key.clone());
                let work = look(key.clone());
                tasks.spawn(async move { (key, work.await) });
            }
            let next = self.next_due(now);
            tokio::select! {
                () = stop.cancelled() => break,
                Some(key) = self.woken.recv() => self.wake(key),
                Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                    if let Ok((key, again)) = done {
                        self.finished(key, again);
                    } else {
                        // A look that panicked: its key cannot be told, so all that run are looked at again.
                        tracing::error!("a look at a cluster failed in an unforeseen way");
                        let keys: Vec<Key> = self.running.iter().cloned().collect();
                        self.again.extend(keys);
                    }
                }
                () = sleep_until(next) => {}
            }
        }
        tasks.shutdown().await;
    }

    fn next_due(&self, now: Instant) -> Instant {
        let full = self.running.len() >= WIDTH;
        let first = if full { None } else { self.due.values().min().copied() };
        first.unwrap_or(now + RESYNC)
    }

    fn wake(&mut self, key: Key) {
        if self.running.contains(&key) {
            self.again.insert(key);
        } else {
            let soon = Instant::now() + GATHER;
            self.due.entry(key).and_modify(|at| *at = (*at).min(soon)).or_insert(soon);
        }
    }

    fn finished(&mut self, key: Key, again: Option<Duration>) {
        self.running.remove(&key);
        let woken = self.again.remove(&key);
        let after = match (woken, again) {
            (true, _) => Duration::ZERO,
            (false, Some(after)) => after.min(RESYNC),
            (false, None) => return,
        };
        self.due.insert(key, Instant::now() + after);
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
        let task = tokio::spawn(queue.run(stop.clone(), move |_| {
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
        let due = queue.due.get(&key("a")).copied().unwrap();
        assert!(due >= now + RESYNC && due < now + RESYNC * 2);
        queue.due.clear();
        queue.finished(key("a"), None);
        assert!(queue.due.is_empty(), "it was forgotten");
    }

    #[tokio::test]
    async fn a_change_brings_a_look_forward_and_never_puts_it_off() {
        let (_waker, mut queue) = Queue::new();
        queue.finished(key("a"), Some(Duration::from_secs(20)));
        queue.wake(key("a"));
        assert!(queue.due.get(&key("a")).is_some_and(|at| *at <= Instant::now() + GATHER));
        queue.due.insert(key("a"), Instant::now());
        let before = queue.due.clone();
        queue.wake(key("a"));
        assert_eq!(queue.due, before);
    }
}
