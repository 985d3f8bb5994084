//! Time, the queue of what is to happen, and the run.

use super::controller::{CONTROLLERS, Controller};
use super::dice::Dice;
use super::node::Node;
use super::oracle::Oracle;
use pgherd_core::cluster::StatusFacts;
use pgherd_core::identity::SystemId;
use pgherd_core::lease::{LeaseRecord, Versioned};
use pgherd_core::sync::SyncSpec;
use pgherd_core::time::Instant;
use std::collections::BTreeMap;

pub const SYSTEM: SystemId = SystemId(7);
pub const MEMBERS: usize = 3;
const MS: u64 = 1_000_000;
/// After the last fault has ended, clients write again within this.
const BACK_WITHIN: u64 = 40_000;
/// And all members follow within this.
const WHOLE_WITHIN: u64 = 90_000;

type Act = Box<dyn FnOnce(&mut World)>;

pub struct World {
    pub now: Instant,
    pub dice: Dice,
    pub nodes: Vec<Node>,
    /// The stored lease, its version the number of writes.
    pub lease: Versioned<LeaseRecord>,
    pub writes: u64,
    pub status: StatusFacts,
    pub controllers: [Controller; CONTROLLERS],
    /// Since when somebody has deleted the lease.
    pub lease_lost: Option<Instant>,
    /// Somebody has had hands on it.
    pub lease_touched: bool,
    pub oracle: Oracle,
    /// For record ids and incarnations.
    pub serial: u64,
    /// In milliseconds: when every fault has ended.
    pub healed_at: u64,
    pub keep_log: bool,
    pub log: Vec<String>,
    /// Requests between pods and what they wait for.
    pub asked: BTreeMap<u64, super::tail::Asked>,
    /// What the user asks for; `None` for asynchronous replication.
    pub sync: Option<SyncSpec>,
    pub rounds: BTreeMap<u64, super::pledges::Round>,
    queue: BTreeMap<(u64, u64), Act>,
    order: u64,
}

impl World {
    pub fn new(seed: u64, keep_log: bool) -> Self {
        let mut world = Self {
            now: Instant(1_000_000 * MS),
            dice: Dice::new(seed),
            nodes: (0..MEMBERS).map(Node::new).collect(),
            lease: Versioned { version: "0".to_owned(), value: LeaseRecord::default() },
            writes: 0,
            status: StatusFacts::default(),
            controllers: [Controller::default(), Controller::asleep()],
            lease_lost: None,
            lease_touched: false,
            oracle: Oracle::default(),
            serial: 0,
            healed_at: 0,
            keep_log,
            log: Vec::new(),
            asked: BTreeMap::new(),
            sync: None,
            rounds: BTreeMap::new(),
            queue: BTreeMap::new(),
            order: 0,
        };
        for at in 0..MEMBERS {
            world.later(10 + 700 * at as u64, move |w| w.boot(at));
        }
        world.later(5, World::replicate);
        world.later(5, World::clients_write);
        world.later(5, World::controller_wakes);
        world
    }

    /// Milliseconds since the beginning.
    pub fn elapsed(&self) -> u64 {
        (self.now.0 - 1_000_000 * MS) / MS
    }

    pub fn later(&mut self, ms: u64, act: impl FnOnce(&mut World) + 'static) {
        self.order += 1;
        // Never two things at the same instant: ties would hide in the order.
        let at = self.now.0 + ms * MS + self.dice.between(0, MS);
        self.queue.insert((at, self.order), Box::new(act));
    }

    pub fn note(&mut self, words: impl FnOnce(&World) -> String) {
        if self.keep_log {
            let line = format!("{:>9.3} {}", (self.now.0 - 1_000_000 * MS) as f64 / 1e9, words(self));
            self.log.push(line);
        }
    }

    pub fn next_id(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Until all is well after the last fault, or something is wrong.
    pub fn run(&mut self) -> Result<(), String> {
        while let Some(((at, _), act)) = self.queue.pop_first() {
            self.now = Instant(at);
            act(self);
            if let Some(why) = self.oracle.violation.take() {
                return Err(format!("{why} at {} ms", self.elapsed()));
            }
            let over = self.elapsed().saturating_sub(self.healed_at);
            if self.elapsed() > self.healed_at {
                if over > BACK_WITHIN && self.oracle.last_commit < self.healed_at {
                    return Err(format!("nobody could write for {BACK_WITHIN} ms after the last fault"));
                }
                if over > 1_000 && self.is_whole() {
                    return self.everything_is_there();
                }
                if over > WHOLE_WITHIN {
                    return Err(format!("not all members follow {WHOLE_WITHIN} ms after the last fault"));
                }
            }
        }
        Err("nothing happens any more".to_owned())
    }
}
