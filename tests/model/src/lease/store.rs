//! The API server: one compare-and-swap, answers that come late or never, and a watch that lags.

use super::limits::Limits;
use super::state::{Job, Put, State};
use pgherd_core::instance::{Event, Op, Outcome};
use pgherd_core::lease::LeaseRecord;
use pgherd_core::sync::Pledge;
use pgherd_core::time::Instant;

impl State {
    /// A request reaches the API server: it is stored if nobody was faster, and answered if somebody waits.
    pub fn land(&mut self, limits: &Limits, at: usize) {
        let Some(put) = self.puts.get(at).cloned() else { return };
        let outcome = if self.fits(&put) {
            if self.store.leases.len() > limits.writes {
                return;
            }
            self.check_set_back(&put);
            let version = self.stored(put.record.clone());
            Outcome::Stored { version, sent: put.sent }
        } else if self.store.missing.is_some() {
            Outcome::NotFound
        } else {
            Outcome::Conflicted(self.store.lease())
        };
        if put.given_up {
            self.puts.remove(at);
        } else if let Some(put) = self.puts.get_mut(at) {
            put.change(|put| put.answer = Some(outcome));
        }
    }

    /// The compare-and-swap of the API server.
    fn fits(&self, put: &Put) -> bool {
        match self.store.missing {
            Some(_) => put.creates,
            None => !put.creates && (put.over.is_empty() || put.over == self.store.lease().version),
        }
    }

    /// A new version of the lease.
    pub fn stored(&mut self, record: LeaseRecord) -> String {
        self.store.change(|store| {
            store.leases.push(record);
            store.missing = None;
            store.newest().to_string()
        })
    }

    /// Somebody sets the lease back to what it was at the beginning, as by a store from an old snapshot.
    pub fn set_back(&mut self) {
        self.spent.set_backs += 1;
        self.store.change(|store| store.leases.extend(store.leases.first().cloned()));
    }

    /// It has been set back, and nobody has put it right.
    pub fn went_back(&self) -> bool {
        self.store.leases.iter().any(|before| before.term > self.store.lease().value.term)
    }

    /// Rule L9: nothing is taken, given or renewed from a lease that went back; its holder of today may put it right.
    fn check_set_back(&mut self, put: &Put) {
        let highest = self.store.leases.iter().max_by_key(|lease| (lease.term, lease.timeline)).cloned();
        let right = highest.is_some_and(|highest| {
            put.record.term >= highest.term
                && put.record.timeline == highest.timeline
                && put.record.holder == highest.holder
        });
        if self.went_back() && !right {
            self.violated("a role is changed by a lease that went back");
        }
    }

    /// Whether a member reaches the API.
    pub fn is_cut(&self, slot: usize) -> bool {
        self.slots.get(slot).is_some_and(|slot| slot.cut)
    }

    /// What the members with prompt watches hear by themselves.
    pub fn deliver_news(&mut self, limits: &Limits) {
        for at in (0..self.slots.len()).filter(|at| limits.prompt & (1 << at) != 0) {
            while self.hears_next(at) {
                self.watch(limits, at);
            }
            let Some(slot) = self.slots.get(at).filter(|slot| slot.awake() && !slot.cut) else { continue };
            if slot.postgres.writes() {
                continue;
            }
            if slot.deaths < self.store.dead.len() {
                self.see_deaths(limits, at);
            }
            if self.slots.get(at).is_some_and(|slot| slot.elections < self.store.elections.len()) {
                self.see_cluster(limits, at);
            }
        }
    }

    fn hears_next(&self, at: usize) -> bool {
        let Some(slot) = self.slots.get(at).filter(|slot| slot.awake() && !slot.cut) else { return false };
        let next = self.store.version(slot.seen + 1).value;
        let own = next.holder.is_some_and(|holder| holder.nonce == slot.nonce());
        slot.seen < self.store.newest() && (own || !slot.postgres.writes())
    }

    /// A member learns that the lease is not there.
    pub fn see_missing(&mut self, limits: &Limits, slot: usize) {
        self.on(slot, |slot| (slot.misses, slot.has_none) = (true, true));
        self.tell(limits, slot, Event::LeaseMissing);
    }

    /// Whether landing changes anything but the queue.
    pub fn can_land(&self, limits: &Limits, at: usize) -> bool {
        self.puts.get(at).is_some_and(|put| {
            let fits = self.fits(put);
            !self.is_cut(put.slot) && put.answer.is_none() && (!fits || self.store.leases.len() <= limits.writes)
        })
    }

    /// The answer arrives, however late.
    pub fn answered(&mut self, limits: &Limits, at: usize) {
        if at >= self.puts.len() {
            return;
        }
        let put = self.puts.remove(at);
        if !put.superseded {
            let has_none = put.answer == Some(Outcome::NotFound);
            self.on(put.slot, |slot| slot.has_none = has_none);
        }
        if let Some(outcome) = put.answer.clone() {
            let deadline = |state: &Self| {
                let machine = state.slots.get(put.slot).and_then(|slot| slot.machine.as_ref());
                machine.and_then(|machine| machine.hold()).map(|hold| hold.deadline)
            };
            let before = deadline(self);
            self.tell(limits, put.slot, Event::Finished(put.op, outcome));
            // Hole 19: an answer is worth what its request was.
            let most = before.max(Some(put.sent.plus(limits.timings_of(put.slot, put.generation).renew_deadline)));
            if deadline(self) > most {
                self.violated("a deadline runs from an answer");
            }
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
        self.on(slot, |slot| (slot.seen, slot.misses, slot.has_none) = (seen, false, false));
        let lease = self.store.version(seen);
        self.tell(limits, slot, Event::LeaseSeen(lease));
    }

    /// The Cluster as it is now.
    pub fn see_cluster(&mut self, limits: &Limits, slot: usize) {
        let elections = self.store.elections.len();
        self.on(slot, |slot| slot.elections = elections);
        let cluster = self.store.cluster(limits, elections);
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
            let before = self.yes_so_far(at, op);
            let binding = (call.nonce.clone(), call.term, self.now(to));
            self.tell(limits, to, Event::PledgeAsked(request, call));
            if self.yes_so_far(at, op) > before {
                self.on(to, |slot| slot.pledged = Some(binding));
            }
        }
    }

    fn yes_so_far(&self, at: usize, op: Op) -> usize {
        let rounds = self.slots.get(at).into_iter().flat_map(|slot| &slot.jobs);
        let yes = rounds.map(|job| match job {
            Job::Pledges(known, _, _, _, by) if *known == op => by.len(),
            _ => 0,
        });
        yes.sum()
    }

    /// L7: for a leaseDuration who has pledged fences itself for nobody, while the lease is that holder's.
    pub fn is_bound(&self, limits: &Limits, at: usize) -> bool {
        let lease = self.store.lease().value;
        let pledged = self.slots.get(at).and_then(|slot| slot.pledged.as_ref());
        pledged.is_some_and(|(nonce, term, given)| {
            let holds = lease.term == *term && lease.held_by().is_some_and(|holder| holder.nonce == *nonce);
            holds && self.now(at).since(*given).as_secs() < limits.lease && !self.store.dead.contains(nonce)
        })
    }

    /// L7: without a quorum's word, a round that extends a deadline has the word of everybody who may take the lease.
    pub fn check_round(&mut self, limits: &Limits, at: usize, before: Option<Instant>, by: &[Pledge]) {
        let lease = self.store.lease().value;
        let Some(slot) = self.slots.get(at) else { return };
        let extended = slot.machine.as_ref().and_then(|machine| machine.hold()).map(|hold| hold.deadline) > before;
        let own = lease.held_by().is_some_and(|holder| holder.nonce == slot.nonce());
        let all = lease.takers.iter().all(|taker| by.iter().any(|pledge| pledge.pod_uid == *taker));
        if limits.sync == 0 && before.is_some() && extended && own && !all {
            self.violated("a deadline is extended although a taker has not pledged");
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
