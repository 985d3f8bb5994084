//! Elections: read, fence, elect, take; each step whenever it comes, and by as many controllers as the run has.

use super::Limits;
use super::state::{Election, Heard, MEMBERS, Record, State, end, holder, incarnation, lineage, name, report, spec};
use crate::shared::Shared;
use pgherd_core::cluster::{Desired, ElectionFact, Observed, PodView, StatusFacts};
use pgherd_core::election::{Answer, Why, elect, is_current, is_named, verify};
use pgherd_core::identity::{AttemptId, PodUid};
use pgherd_core::lease::{LeaseRecord, Purpose, Term, Versioned, taken};
use pgherd_core::sync::{SyncSetting, choose, record_of};

impl State {
    /// E1: a fresh read of the lease.
    pub(super) fn begin(&mut self, controller: usize) {
        self.elected += 1;
        let election =
            Election { version: self.version, lease: LeaseRecord::clone(&self.lease), ..Election::default() };
        self.elections.iter_mut().skip(controller).take(1).for_each(|e| *e = Some(Shared::new(election.clone())));
    }

    /// The term that an election is to end.
    pub(super) fn term_of(&self, controller: usize) -> Term {
        self.elections.get(controller).and_then(|e| e.as_ref()).map(|e| e.lease.term).unwrap_or_default()
    }

    /// E3: the fence is on disk and the receiver gone before the member reports.
    pub(super) fn fence(&mut self, member: usize, term: Term) {
        if let Some(member) = self.members.get_mut(member) {
            member.change(|member| {
                member.fence = member.fence.max(term);
                member.follows = None;
            });
        }
    }

    /// A member's report.
    pub(super) fn hear(&mut self, controller: usize, member: usize) {
        let Some(m) = self.members.get(member) else { return };
        let heard = Heard { directory: m.directory, fence: m.fence, position: end(&m.wal), lineage: lineage(&m.wal) };
        if let Some(Some(election)) = self.elections.get_mut(controller) {
            election.change(|election| election.reports.push((member, heard)));
        }
    }

    /// E4: core elects from what was heard.
    pub(super) fn decide(&mut self, controller: usize) {
        let Some(Some(election)) = self.elections.get(controller).cloned() else { return };
        let pod = |member: usize| PodView {
            name: name(member),
            serial: u32::try_from(member).unwrap_or_default() + 1,
            uid: PodUid(name(member)),
            ip: Some(name(member)),
            report: election.reports.iter().find(|(who, _)| *who == member).map(|(who, heard)| report(*who, heard)),
            ..PodView::default()
        };
        let observed = Observed {
            pods: (0..MEMBERS).map(pod).collect(),
            status: StatusFacts { system_id: Some(crate::lease::SYSTEM), ..StatusFacts::default() },
            ..Observed::default()
        };
        let desired = Desired { name: "c".to_owned(), instances: 3, ..Desired::default() };
        let lease = Versioned { version: election.version.to_string(), value: election.lease.clone() };
        if let Answer::Elected(elected) = elect(&desired, &observed, &lease, &Why::ProofOfDeath)
            && let Some(Some(election)) = self.elections.get_mut(controller)
        {
            election.change(|election| election.fact = Some(elected.fact));
        }
    }

    /// E5 and L2: the winner checks all of it again, and takes exactly that version; then it promotes and opens.
    pub(super) fn conclude(&mut self, limits: &Limits, controller: usize) {
        let Some(Some(election)) = self.elections.get(controller).cloned() else { return };
        let Some(fact) = election.fact.clone() else { return };
        self.elections.iter_mut().skip(controller).take(1).for_each(|e| *e = None);
        let Some(at) = (0..MEMBERS).find(|member| name(*member) == fact.winner) else { return };
        let Some(member) = self.members.get(at).cloned() else { return };
        let mine = incarnation(member.directory);
        let needs = fact.tail.as_ref().map_or(fact.evidence, |tail| tail.end.max(fact.evidence));
        let wal = self.gathered(&member.wal, &fact);
        let lease = Versioned { version: self.version.to_string(), value: LeaseRecord::clone(&self.lease) };
        let holds = verify(&fact, &lease.version, &self.lease, Some(&mine), needs).is_ok();
        let bound = is_current(&fact, &self.lease) && (self.lease.held_by().is_none() || is_named(&fact, &lease));
        if !(end(&wal) >= needs && holds && bound) || self.writes(at).is_some() {
            return;
        }
        if let Some(member) = self.members.get_mut(at) {
            member.change(|member| member.wal.clone_from(&wal));
        }
        let heard = election.reports.iter().fold(0, |mask, (who, _)| mask | 1 << who);
        let others = if limits.narrow { heard } else { 0b111 };
        let setting = choose(&spec(limits), &self.fit(at, others), &SyncSetting::default());
        let own = record_of(&setting, Term::default(), &mine);
        // I10: what was decided from one version binds that version, or its release.
        if fact.term != self.lease.term {
            self.violated(format!("{} takes term {} by an election of term {}", name(at), self.lease.term, fact.term));
        }
        // I11: who was elected is a data directory, unless it has reached the end of the last writer's WAL since.
        let has_all = self.lease.tail.is_some_and(|end| needs >= end);
        if !has_all && fact.winner_incarnation.as_ref() != Some(&mine) {
            self.violated(format!("{} takes with another directory than the one that was elected", name(at)));
        }
        let term = self.lease.term.next();
        let attempt = AttemptId(format!("a{term}"));
        let record = taken(&self.lease, holder(at, term), attempt, Purpose::Promotion, Vec::new(), Some(own));
        let missing: Vec<u8> =
            self.acknowledged.iter().filter(|id| wal.iter().all(|record| record.id != **id)).copied().collect();
        if !missing.is_empty() {
            self.violated(format!("{} is promoted without the acknowledged {missing:?}", name(at)));
        }
        if let Some(member) = self.members.get_mut(at) {
            member.change(|member| {
                member.wal.push(Record { timeline: record.timeline.0, id: 0 });
                member.follows = None;
            });
        }
        let lineage = self.members.get(at).map(|member| lineage(&member.wal));
        self.opens(at, LeaseRecord { lineage, ..record }, setting);
    }
    /// Section 6: what the last holder has beyond `wal`, where the election names it, it is there still and goes on
    /// from `wal`.
    fn gathered(&self, wal: &[Record], fact: &ElectionFact) -> Vec<Record> {
        let source = fact.tail.as_ref().and_then(|tail| {
            let source = (0..MEMBERS).find(|member| name(*member) == tail.pod)?;
            let theirs = &self.members.get(source)?.wal;
            let upto = theirs.get(..usize::try_from(tail.end.lsn.0).ok()?)?;
            (end(upto) == tail.end && upto.starts_with(wal)).then(|| upto.to_vec())
        });
        source.unwrap_or_else(|| wal.to_vec())
    }
}
