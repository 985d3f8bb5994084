//! Failsafe rounds: a holder that has no answer from the API asks its members (rule L7).

use super::tail::Asked;
use super::world::World;
use pgherd_core::instance::{Event, Op, Outcome, PledgeCall, PledgeRound};
use pgherd_core::sync::Pledge;
use pgherd_core::time::Instant;

const ROUND_WITHIN: u64 = 1_000;

/// A round that is under way.
pub struct Round {
    by: usize,
    generation: u64,
    op: Op,
    sent: Instant,
    asked: usize,
    pledges: Vec<Pledge>,
}

impl World {
    pub fn ask_pledges(&mut self, at: usize, op: Op, round: PledgeRound) {
        let key = self.next_id();
        let (generation, sent, asked) = (self.nodes[at].generation, self.now, round.members.len());
        self.rounds.insert(key, Round { by: at, generation, op, sent, asked, pledges: Vec::new() });
        for member in round.members {
            let there = self.nodes.iter().position(|node| node.uid == member.pod_uid);
            let reached = there.filter(|to| self.nodes[*to].reaches_peers() && self.nodes[at].reaches_peers());
            if let Some(to) = reached {
                let request = self.request(Asked::Pledge { round: key });
                let call = PledgeCall {
                    nonce: round.nonce.clone(),
                    term: round.term,
                    round: round.round,
                    lease_duration: round.lease_duration,
                };
                let delay = self.dice.between(1, 10);
                self.later(delay, move |w| w.tell(to, Event::PledgeAsked(request, call)));
            }
        }
        let end = if asked == 0 { 1 } else { ROUND_WITHIN };
        self.later(end, move |w| w.round_ends(key));
    }

    pub fn answer_pledge(&mut self, request: Op, answer: Result<Pledge, String>) {
        let Some(Asked::Pledge { round }) = self.asked.remove(&request.0) else { return };
        self.note(|_| format!("pledge for round {round}: {answer:?}"));
        let delay = self.dice.between(1, 10);
        self.later(delay, move |w| {
            if let (Some(known), Ok(pledge)) = (w.rounds.get_mut(&round), answer) {
                known.pledges.push(pledge);
                if known.pledges.len() == known.asked {
                    w.round_ends(round);
                }
            }
        });
    }

    fn round_ends(&mut self, key: u64) {
        if let Some(round) = self.rounds.remove(&key) {
            let outcome = Outcome::Pledged { sent: round.sent, by: round.pledges };
            self.answer(round.by, round.generation, round.op, outcome);
        }
    }
}
