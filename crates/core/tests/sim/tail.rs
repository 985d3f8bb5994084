//! Requests between pods: fences, confirmations, and the wait for WAL.

use super::node::Postgres;
use super::world::World;
use pgherd_core::cluster::TailFact;
use pgherd_core::instance::{Event, FenceCall, FenceRefusal, Op, Outcome, TailCall};
use pgherd_core::lease::{Term, WalPosition};

const LOOK_AGAIN: u64 = 15;
const RELEASE_WITHIN: u64 = 3_000;

/// A request that a machine has yet to answer.
pub enum Asked {
    /// The controller waits; for the round of this number.
    Fence { round: u64, member: usize },
    /// A holder waits for pledges; in this round.
    Pledge { round: u64 },
    /// A candidate waits.
    Tail { by: usize, generation: u64, op: Op },
}

impl World {
    pub fn request(&mut self, asked: Asked) -> Op {
        let number = u64::MAX - self.next_id();
        self.asked.insert(number, asked);
        Op(number)
    }

    pub fn await_position(&mut self, at: usize, op: Op, to: WalPosition, left: u64) {
        let generation = self.nodes[at].generation;
        self.later_for(at, LOOK_AGAIN, move |w| {
            let node = &w.nodes[at];
            let here = node.disk.data.as_ref().is_some_and(|data| data.end() >= to);
            if node.postgres != Postgres::Standby || left < LOOK_AGAIN {
                w.answer(at, generation, op, Outcome::Failed("it did not come".to_owned()));
            } else if here {
                w.answer(at, generation, op, Outcome::Done);
            } else {
                w.await_position(at, op, to, left - LOOK_AGAIN);
            }
        });
    }

    pub fn confirm_tail(&mut self, at: usize, op: Op, holder: &TailFact, term: Term) {
        let generation = self.nodes[at].generation;
        let there = self.nodes.iter().position(|node| node.uid == holder.pod_uid);
        let reached = there.filter(|to| self.nodes[*to].reaches_peers() && self.nodes[at].reaches_peers());
        let Some(to) = reached.filter(|to| self.nodes[*to].machine.is_some()) else {
            return self.after(at, (1, 500), op, |_, _| Outcome::Failed("out of reach".to_owned()));
        };
        let call = TailCall { term, position: holder.end, candidate: self.nodes[at].name.clone() };
        let request = self.request(Asked::Tail { by: at, generation, op });
        let delay = self.dice.between(1, 10);
        self.later(delay, move |w| w.tell(to, Event::TailConfirmed(request, call)));
        self.later(RELEASE_WITHIN, move |w| {
            if w.asked.remove(&request.0).is_some() {
                w.answer(at, generation, op, Outcome::Failed("no answer".to_owned()));
            }
        });
    }

    pub fn answer_tail(&mut self, request: Op, answer: Result<String, String>) {
        let Some(Asked::Tail { by, generation, op }) = self.asked.remove(&request.0) else { return };
        let outcome = answer.map_or_else(Outcome::Failed, Outcome::Released);
        let delay = self.dice.between(1, 10);
        self.later(delay, move |w| w.answer(by, generation, op, outcome));
    }

    pub fn ask_to_fence(&mut self, member: usize, round: u64, term: Term) {
        let request = self.request(Asked::Fence { round, member });
        if !self.nodes[member].reaches_peers() || self.nodes[member].machine.is_none() {
            return;
        }
        let delay = self.dice.between(1, 30);
        self.later(delay, move |w| w.tell(member, Event::FenceRequested(request, FenceCall { term })));
    }

    pub fn fence(&mut self, at: usize, request: Op, term: Term) {
        let delay = self.dice.between(5, 80);
        self.later_for(at, delay, move |w| {
            let node = &mut w.nodes[at];
            node.disk.fence = node.disk.fence.max(term);
            (node.following, node.streaming) = (None, false);
            node.link += 1;
            let report = w.fresh_report(at);
            if let (Some(Asked::Fence { round, member }), Some(report)) = (w.asked.remove(&request.0), report) {
                let delay = w.dice.between(1, 30);
                w.later(delay, move |w| w.fenced(round, member, report));
            }
        });
    }

    pub fn refuse_fence(&mut self, request: Op, why: &FenceRefusal) {
        if let Some(Asked::Fence { member, round }) = self.asked.remove(&request.0) {
            self.note(|w| format!("{} refuses the fence: {why}", w.nodes[member].name));
            if why.counts_on_holder() {
                let delay = self.dice.between(1, 30);
                self.later(delay, move |w| w.not_fenced(round, member));
            }
        }
    }
}
