//! Elections: read, fence, elect, take; each step whenever it comes, and by as many controllers as the run has.

use super::Limits;
use super::state::{Election, Heard, MEMBERS, Record, State, end, holder, incarnation, lineage, name, report, spec};
use crate::shared::Shared;
use pgherd_core::cluster::{Desired, Observed, PodView, StatusFacts};
use pgherd_core::election::{Answer, Why, elect, verify};
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

    /// E3: the fence is on disk and the receiver gone, then the member reports.
    pub(super) fn fence(&mut self, controller: usize, member: usize) {
        let Some(Some(election)) = self.elections.get(controller) else { return };
        let term = election.lease.term;
        if let Some(member) = self.members.get_mut(member) {
            member.change(|member| {
                member.fence = member.fence.max(term);
                member.follows = None;
            });
        }
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
        let here = end(&member.wal) >= fact.evidence;
        let holds = verify(&fact, &self.version.to_string(), &self.lease, Some(&mine), fact.evidence).is_ok();
        let named = fact.lease_version == self.version.to_string();
        if !(here && holds && named) || self.writes(at).is_some() {
            return;
        }
        let setting = choose(&spec(limits), &self.fit(at, 0b111), &SyncSetting::default());
        let own = record_of(&setting, Term::default(), &mine);
        let term = self.lease.term.next();
        let attempt = AttemptId(format!("a{term}"));
        let record = taken(&self.lease, holder(at, term), attempt, Purpose::Promotion, Vec::new(), Some(own));
        let missing: Vec<u8> =
            self.acknowledged.iter().filter(|id| member.wal.iter().all(|record| record.id != **id)).copied().collect();
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
}
