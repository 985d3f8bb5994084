//! The API server: one compare-and-swap, answers that come late or never, and a watch that lags.

use super::limits::Limits;
use super::state::{Job, State};
use pgherd_core::instance::{Event, Op, Outcome};
use pgherd_core::sync::Pledge;

impl State {
    /// A request reaches the API server: it is stored if nobody was faster, and answered if somebody waits.
    pub fn land(&mut self, limits: &Limits, at: usize) {
        let Some(put) = self.puts.get(at).cloned() else { return };
        let outcome = if put.over == self.store.lease().version {
            if self.store.leases.len() > limits.writes {
                return;
            }
            let version = self.store.change(|store| {
                store.leases.push(put.record.clone());
                store.newest().to_string()
            });
            Outcome::Stored { version, sent: put.sent }
        } else {
            Outcome::Conflicted(self.store.lease())
        };
        if put.given_up {
            self.puts.remove(at);
        } else if let Some(put) = self.puts.get_mut(at) {
            put.change(|put| put.answer = Some(outcome));
        }
    }

    /// Whether landing changes anything but the queue.
    pub fn can_land(&self, limits: &Limits, at: usize) -> bool {
        self.puts.get(at).is_some_and(|put| {
            let fits = put.over == self.store.lease().version;
            let cut = limits.cut && put.slot == 0;
            !cut && put.answer.is_none() && (!fits || self.store.leases.len() <= limits.writes)
        })
    }

    /// The answer arrives, however late.
    pub fn answered(&mut self, limits: &Limits, at: usize) {
        if at >= self.puts.len() {
            return;
        }
        let put = self.puts.remove(at);
        if let Some(outcome) = put.answer.clone() {
            self.tell(limits, put.slot, Event::Finished(put.op, outcome));
        }
    }

    /// No answer comes in time; where the run says so, the request may land later all the same.
    pub fn give_up(&mut self, limits: &Limits, at: usize) {
        let Some(put) = self.puts.get(at).cloned() else { return };
        let may_land = limits.zombies && put.answer.is_none();
        if may_land {
            self.puts.iter_mut().skip(at).take(1).for_each(|put| put.change(|put| put.given_up = true));
        } else {
            self.puts.remove(at);
        }
        let outcome = Outcome::Unknown { why: "no answer".to_owned(), sent: put.sent };
        self.tell(limits, put.slot, Event::Finished(put.op, outcome));
    }

    /// The watch tells of the next version.
    pub fn watch(&mut self, limits: &Limits, slot: usize) {
        let Some(seen) = self.slots.get(slot).map(|slot| slot.seen + 1) else { return };
        self.on(slot, |slot| slot.seen = seen);
        let lease = self.store.version(seen);
        self.tell(limits, slot, Event::LeaseSeen(lease));
    }

    /// The Cluster as it is now.
    pub fn see_cluster(&mut self, limits: &Limits, slot: usize) {
        let elections = self.store.elections.len();
        self.on(slot, |slot| slot.elections = elections);
        let cluster = self.store.cluster(elections, u32::try_from(limits.instances).unwrap_or(u32::MAX));
        self.tell(limits, slot, Event::ClusterSeen(cluster));
    }

    /// What the kubelets have said of containers that ended.
    pub fn see_deaths(&mut self, limits: &Limits, slot: usize) {
        let dead = self.store.dead.clone();
        self.on(slot, |slot| slot.deaths = dead.len());
        self.tell(limits, slot, Event::DeathsSeen(dead));
    }

    /// A number for a request between members that finds its way back: slot, manager and command of the asker.
    pub fn request(&self, asker: usize, op: Op) -> Op {
        let generation = self.slots.get(asker).map_or(0, |slot| u64::from(slot.generation));
        Op(((asker as u64 + 1) << 48) | (generation << 32) | op.0)
    }

    /// Who asked, if that manager is there still.
    pub fn asker(&self, request: Op) -> Option<(usize, Op)> {
        let slot = usize::try_from(request.0 >> 48).ok()?.checked_sub(1)?;
        let generation = (request.0 >> 32) & 0xffff;
        let lives = self.slots.get(slot).is_some_and(|slot| u64::from(slot.generation) == generation);
        lives.then_some((slot, Op(request.0 & 0xffff_ffff)))
    }

    /// One member is asked for a pledge; its answer is there at once, or the round ends without it.
    pub fn ask_pledge(&mut self, limits: &Limits, at: usize, job: usize, member: usize) {
        let Some(slot) = self.slots.get(at) else { return };
        let Some(Job::Pledges(op, _, call, members, _)) = slot.jobs.get(job).cloned() else { return };
        let Some(uid) = members.get(member).cloned() else { return };
        self.on(at, |slot| {
            if let Some(Job::Pledges(_, _, _, members, _)) = slot.jobs.get_mut(job) {
                members.retain(|other| *other != uid);
            }
        });
        let request = self.request(at, op);
        if let Some(to) = self.slot_of(&uid).filter(|to| self.slots.get(*to).is_some_and(|slot| slot.awake())) {
            self.tell(limits, to, Event::PledgeAsked(request, call));
        }
    }

    /// A member's answer to it.
    pub fn pledged(&mut self, request: Op, answer: Option<Pledge>) {
        let (Some((asker, op)), Some(pledge)) = (self.asker(request), answer) else { return };
        self.on(asker, |slot| {
            for job in &mut slot.jobs {
                match job {
                    Job::Pledges(known, _, _, _, by) if *known == op => by.push(pledge.clone()),
                    _ => {}
                }
            }
        });
    }
}
