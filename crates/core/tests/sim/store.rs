//! The API server as managers see it: compare-and-swap, answers that get lost, watches that lag.

use super::world::{MEMBERS, World};
use core::time::Duration;
use pgherd_core::identity::Nonce;
use pgherd_core::instance::{ClusterView, Event, Op, Outcome};
use pgherd_core::lease::{LeaseRecord, Versioned};

/// A request without an answer is given up after this.
const ANSWER_WITHIN: u64 = 2_000;

impl World {
    /// A PUT: it may not arrive, arrive long after it was given up, or its answer may be lost.
    pub fn put_lease(&mut self, at: usize, op: Op, over: String, record: LeaseRecord) {
        let (generation, sent) = (self.nodes[at].generation, self.now);
        let loses = self.nodes[at].loses_answers && self.dice.percent(50);
        let there =
            if loses && self.dice.percent(30) { self.dice.between(500, 4_000) } else { self.dice.between(1, 15) };
        let arrives = !(loses && self.dice.percent(30));
        if arrives && !self.nodes[at].cut_from_api {
            self.later(there, move |w| {
                let stored = w.compare_and_swap(&over, record);
                let back = w.dice.between(1, 15);
                if !loses {
                    w.later(back, move |w| {
                        if w.nodes[at].cut_from_api {
                            let why = "cut off".to_owned();
                            return w.later(ANSWER_WITHIN, move |w| {
                                w.answer(at, generation, op, Outcome::Unknown { why, sent });
                            });
                        }
                        let outcome = match stored {
                            Some(version) => Outcome::Stored { version, sent },
                            None if w.lease_lost.is_some() => Outcome::NotFound,
                            None => Outcome::Conflicted(w.lease.clone()),
                        };
                        w.answer(at, generation, op, outcome);
                    });
                }
            });
            if !loses {
                return;
            }
        }
        self.later(ANSWER_WITHIN, move |w| {
            w.answer(at, generation, op, Outcome::Unknown { why: "no answer".to_owned(), sent });
        });
    }

    fn compare_and_swap(&mut self, over: &str, record: LeaseRecord) -> Option<String> {
        if self.lease.version != over || self.lease_lost.is_some() {
            self.note(|w| format!("store: conflict, {over} is now {}", w.lease.version));
            return None;
        }
        Some(self.store_lease(record))
    }

    /// A POST: there was none (rule L8).
    pub fn make_lease(&mut self, record: LeaseRecord) -> Option<String> {
        self.lease_lost.take()?;
        Some(self.store_lease(record))
    }

    /// `kubectl delete lease`, its finalizer included.
    pub fn delete_lease(&mut self) {
        self.lease_touched = true;
        self.lease_lost = self.lease_lost.or(Some(self.now));
        self.show_all(World::show_lease);
        self.wake_controllers();
    }

    /// `kubectl annotate lease`: another version of the same.
    pub fn touch_lease(&mut self) {
        self.lease_touched = true;
        let (version, record) = (self.lease.version.clone(), self.lease.value.clone());
        self.compare_and_swap(&version, record);
    }

    fn store_lease(&mut self, record: LeaseRecord) -> String {
        self.writes += 1;
        let version = self.writes.to_string();
        self.lease = Versioned { version: version.clone(), value: record };
        self.note(|w| {
            let lease = &w.lease.value;
            let holder = lease.holder.as_ref().map(|h| h.nonce.0.clone()).unwrap_or_default();
            format!(
                "store: {} {:?} term {} timeline {} by {holder}, records {}",
                w.lease.version,
                lease.state,
                lease.term,
                lease.timeline,
                in_words(&lease.records)
            )
        });
        for at in 0..MEMBERS {
            let seen = self.lease.clone();
            // One watch tells in order, however late.
            let due = self.elapsed() + self.watch_delay();
            self.nodes[at].watched_until = self.nodes[at].watched_until.max(due) + 3;
            let delay = self.nodes[at].watched_until - self.elapsed();
            let generation = self.nodes[at].generation;
            self.later(delay, move |w| {
                if w.lives(at, generation) && !w.nodes[at].cut_from_api {
                    w.tell(at, Event::LeaseSeen(seen));
                }
            });
        }
        self.settings_go_with_the_record();
        self.wake_controllers();
        version
    }

    fn watch_delay(&mut self) -> u64 {
        if self.dice.percent(2) { self.dice.between(100, 3_000) } else { self.dice.between(1, 25) }
    }

    /// A watch begins with a list; one that was broken begins anew.
    pub fn list(&mut self, at: usize) {
        let generation = self.nodes[at].generation;
        for look in [World::show_cluster, World::show_lease, World::show_pods] {
            let delay = self.dice.between(1, 60);
            self.later(delay, move |w| {
                if w.lives(at, generation) && !w.nodes[at].cut_from_api {
                    look(w, at);
                }
            });
        }
    }

    fn show_lease(&mut self, at: usize) {
        if self.lease_lost.is_some() {
            return self.tell(at, Event::LeaseMissing);
        }
        let seen = self.lease.clone();
        self.tell(at, Event::LeaseSeen(seen));
    }

    fn show_cluster(&mut self, at: usize) {
        let view = ClusterView {
            system_id: self.status.system_id,
            initializer: self.status.initializing.clone(),
            instances: MEMBERS as u32,
            current_primary: self.status.current_primary.clone(),
            election: self.status.election.clone(),
            stop_delay: Duration::from_secs(1800),
            smart_shutdown: None,
            switchover_delay: Duration::from_secs(3600),
            configuration: "a".to_owned(),
            sync: self.sync.clone().map(Box::new),
            ..ClusterView::default()
        };
        self.tell(at, Event::ClusterSeen(view));
    }

    fn show_pods(&mut self, at: usize) {
        let peers = self.peers_of(at);
        let dead: Vec<Nonce> = self.nodes.iter().flat_map(|node| node.dead_nonces.clone()).collect();
        self.tell(at, Event::PeersSeen(peers));
        self.tell(at, Event::DeathsSeen(dead));
    }

    pub fn cluster_changed(&mut self) {
        self.show_all(World::show_cluster);
        self.wake_controllers();
    }

    pub fn pods_changed(&mut self) {
        self.show_all(World::show_pods);
        self.wake_controllers();
    }

    fn show_all(&mut self, look: fn(&mut World, usize)) {
        for at in 0..MEMBERS {
            let delay = self.watch_delay();
            let generation = self.nodes[at].generation;
            self.later(delay, move |w| {
                if w.lives(at, generation) && !w.nodes[at].cut_from_api {
                    look(w, at);
                }
            });
        }
    }
}

/// `4: 7 and 1 of [8, 9]`.
fn in_words(records: &[pgherd_core::lease::ElectableRecord]) -> String {
    let words = |record: &pgherd_core::lease::ElectableRecord| {
        let voters: Vec<&str> = record.voters.iter().map(|voter| voter.0.as_str()).collect();
        format!("{}: {} and {} of [{}]", record.term, record.writer, record.needed, voters.join(", "))
    };
    records.iter().map(words).collect::<Vec<_>>().join("; ")
}
