//! Three members, their WAL, whoever writes, the lease, and the elections under way.

use super::Limits;
use crate::shared::Shared;
use pgherd_core::cluster::{ElectionFact, Report};
use pgherd_core::election::sat;
use pgherd_core::identity::{Incarnation, Nonce, PodUid};
use pgherd_core::lease::{ElectableRecord, Holder, HolderState, LeaseRecord, Term, WalPosition};
use pgherd_core::lsn::Lsn;
use pgherd_core::sync::{
    Durability, Fitness, Method, Progress, SyncMember, SyncSetting, SyncSpec, choose, own_entry, record_of,
};
use pgherd_core::timeline::{Lineage, TimelineId};
use std::collections::BTreeSet;

/// How many.
pub const MEMBERS: usize = 3;
/// A record that was written by a standby which somebody promoted.
pub const BY_HAND: u8 = u8::MAX;

/// A WAL record: the timeline it was written on, and what it is; 0 is the end of a promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    pub timeline: u32,
    pub id: u8,
}

/// A member and its volume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its data directory, by a number.
    pub directory: u8,
    /// Its WAL.
    pub wal: Vec<Record>,
    /// The highest term that it has promised to follow nobody of.
    pub fence: Term,
    /// The writer it streams from, by its place.
    pub follows: Option<usize>,
}

/// Who writes, from its promotion to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Writer {
    pub member: usize,
    pub alive: bool,
    pub progress: Progress,
    pub goal: SyncSetting,
    /// The lease as it knows it.
    pub version: usize,
    pub lease: LeaseRecord,
    /// Records that were sent and had no answer.
    pub unanswered: Vec<LeaseRecord>,
    /// A request is under way.
    pub publishing: bool,
    /// A reload is under way.
    pub setting: bool,
    /// A barrier is waited for.
    pub barrier: Option<(SyncSetting, Lsn)>,
    /// By member: the setting that its walsender goes by.
    pub senders: Vec<SyncSetting>,
    /// By member: the directory that is connected.
    pub connected: Vec<Option<u8>>,
    /// By member: how far it has flushed, by its last word on the way.
    pub flushed: Vec<usize>,
    /// By member: how far the walsender knows that it has.
    pub acks: Vec<usize>,
    /// How far clients were told.
    pub released: usize,
}

/// A PUT of the lease by a writer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Put {
    pub writer: usize,
    pub over: usize,
    pub record: LeaseRecord,
    pub answer: Option<bool>,
    pub given_up: bool,
}

/// A controller at an election.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Election {
    pub version: usize,
    pub lease: LeaseRecord,
    pub reports: Vec<(usize, Heard)>,
    pub fact: Option<ElectionFact>,
}

/// A report, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heard {
    pub directory: u8,
    pub fence: Term,
    pub position: WalPosition,
    pub lineage: Lineage,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct State {
    pub(super) members: Vec<Shared<Member>>,
    pub(super) writers: Vec<Shared<Writer>>,
    pub(super) lease: Shared<LeaseRecord>,
    pub(super) version: usize,
    pub(super) puts: Vec<Shared<Put>>,
    pub(super) elections: Vec<Option<Shared<Election>>>,
    /// Commits that clients were told of.
    pub(super) acknowledged: BTreeSet<u8>,
    pub(super) written: u8,
    pub(super) directories: u8,
    pub(super) changed: u8,
    pub(super) elected: u8,
    pub(super) crashed: u8,
    pub(super) wiped: u8,
    pub(super) lost: u8,
    pub(super) raised: u8,
    pub(super) released: u8,
    pub(super) meddled: u8,
    pub(super) broken: Option<String>,
}

pub fn name(member: usize) -> String {
    format!("c-{}", member + 1)
}

pub fn incarnation(directory: u8) -> Incarnation {
    Incarnation(format!("d{directory}"))
}

pub fn holder(member: usize, term: Term) -> Holder {
    let name = name(member);
    Holder { pod_uid: PodUid(name.clone()), nonce: Nonce(format!("{name}.{term}")), address: name.clone(), name }
}

/// Where some WAL ends.
pub fn end(wal: &[Record]) -> WalPosition {
    let timeline = TimelineId(wal.last().map_or(1, |record| record.timeline));
    WalPosition { timeline, lsn: Lsn(wal.len() as u64) }
}

/// Where some WAL comes from.
pub fn lineage(wal: &[Record]) -> Lineage {
    let pairs = wal.iter().zip(wal.iter().skip(1)).enumerate();
    let ancestors = pairs.filter(|(_, (before, after))| before.timeline != after.timeline);
    let left = |(at, (before, _)): (usize, (&Record, &Record))| WalPosition {
        timeline: TimelineId(before.timeline),
        lsn: Lsn(at as u64 + 1),
    };
    Lineage { timeline: end(wal).timeline, ancestors: ancestors.map(left).collect() }
}

pub fn spec(limits: &Limits) -> SyncSpec {
    SyncSpec {
        method: Method::Any,
        number: limits.needed,
        legacy_minimum: None,
        max_from_cluster: None,
        pre: Vec::new(),
        post: Vec::new(),
        durability: if limits.preferred { Durability::Preferred } else { Durability::Required },
        failover_quorum: true,
    }
}

impl State {
    /// c-1 writes on timeline 1, the two others stream, and all of it is in force and stored.
    pub fn running(limits: &Limits) -> State {
        let wal = vec![Record { timeline: 1, id: 0 }];
        let member = |at: usize| Member {
            directory: u8::try_from(at).unwrap_or_default(),
            wal: wal.clone(),
            fence: Term::default(),
            follows: (at > 0).then_some(0),
        };
        let members: Vec<Member> = (0..MEMBERS).map(member).collect();
        let mut state = State {
            members: members.into_iter().map(Shared::new).collect(),
            writers: Vec::new(),
            lease: Shared::new(LeaseRecord::default()),
            version: 0,
            puts: Vec::new(),
            elections: vec![None; limits.controllers],
            acknowledged: BTreeSet::new(),
            written: 0,
            directories: u8::try_from(MEMBERS).unwrap_or_default(),
            changed: 0,
            elected: 0,
            crashed: 0,
            wiped: 0,
            lost: 0,
            raised: 0,
            released: 0,
            meddled: 0,
            broken: None,
        };
        let setting = choose(&spec(limits), &state.fit(0, 0b111), &SyncSetting::default());
        let term = Term(1);
        let record = LeaseRecord {
            holder: Some(holder(0, term)),
            state: HolderState::Open,
            term,
            timeline: TimelineId(1),
            records: vec![record_of(&setting, term, &incarnation(0))],
            lineage: Some(lineage(&wal)),
            ..LeaseRecord::default()
        };
        state.opens(0, record, setting);
        state
    }

    /// A member writes by this record from now on.
    pub fn opens(&mut self, member: usize, record: LeaseRecord, setting: SyncSetting) {
        self.version += 1;
        self.lease = Shared::new(record.clone());
        let at = self.writers.len();
        let streams = |m: &Shared<Member>| (m.follows == Some(at)).then_some(m.directory);
        let connected: Vec<Option<u8>> = self.members.iter().map(streams).collect();
        let flushed = connected.iter().zip(&self.members).map(|(c, m)| if c.is_some() { m.wal.len() } else { 0 });
        let flushed: Vec<usize> = flushed.collect();
        self.writers.push(Shared::new(Writer {
            member,
            alive: true,
            progress: Progress::started(setting.clone()),
            goal: setting.clone(),
            version: self.version,
            lease: record,
            unanswered: Vec::new(),
            publishing: false,
            setting: false,
            barrier: None,
            senders: vec![setting; MEMBERS],
            connected,
            acks: flushed.clone(),
            flushed,
            released: self.members.get(member).map_or(0, |m| m.wal.len()),
        }));
    }

    /// The members of `mask` but `member` itself, as they are now.
    pub fn fit(&self, member: usize, mask: u8) -> Vec<Fitness> {
        let others = self.members.iter().enumerate().filter(|(at, _)| *at != member && mask & (1 << at) != 0);
        let fitness = |(at, m): (usize, &Shared<Member>)| Fitness {
            member: SyncMember { name: name(at), incarnation: incarnation(m.directory) },
            apart: false,
        };
        others.map(fitness).collect()
    }

    pub(super) fn violated(&mut self, why: String) {
        self.broken.get_or_insert(why);
    }

    /// What broke a rule, if a step did.
    pub fn detail(&self) -> String {
        self.broken.clone().unwrap_or_default()
    }

    /// The writer that a member is, if it is one.
    pub fn writes(&self, member: usize) -> Option<usize> {
        self.writers.iter().position(|writer| writer.alive && writer.member == member)
    }

    /// Rule Q1, for the writer that holds the lease: every walsender's setting, with the stored entry.
    pub fn is_ordered(&self) -> bool {
        // By its own term, or the last one of the same writer: a promise does not lapse with its term.
        let last = self.lease.records.last();
        let Some(entry) = own_entry(&self.lease).or(last) else { return true };
        // What a term promises, its holder promises: nobody publishes in another's name.
        let holder = self.lease.held_by().and_then(|holder| (0..MEMBERS).find(|at| name(*at) == holder.name));
        let writes = holder.filter(|at| entry.term == self.lease.term && self.writes(*at).is_some());
        let own = writes.and_then(|at| self.members.get(at)).map(|member| incarnation(member.directory));
        if own.is_some_and(|own| own != entry.writer) {
            return false;
        }
        let holds = self.writers.iter().filter(|writer| {
            let directory = self.members.get(writer.member).map(|member| incarnation(member.directory));
            writer.alive && writer.lease.term == self.lease.term && directory.as_ref() == Some(&entry.writer)
        });
        holds.into_iter().all(|writer| {
            let connected = writer.senders.iter().zip(&writer.connected).filter(|(_, c)| c.is_some());
            connected.into_iter().all(|(setting, _)| lets_through_only(setting, entry))
        })
    }

    /// Whether any two of the data directories satisfy the stored records.
    pub fn pairs_satisfy(&self) -> bool {
        (0..MEMBERS).all(|absent| {
            let present = self.members.iter().enumerate().filter(|(at, _)| *at != absent);
            let answered: BTreeSet<Incarnation> = present.map(|(_, m)| incarnation(m.directory)).collect();
            let known = |record: &ElectableRecord| {
                let there = |id: &Incarnation| self.members.iter().any(|m| incarnation(m.directory) == *id);
                there(&record.writer) && record.voters.iter().all(there)
            };
            !self.lease.records.iter().all(known) || sat(&self.lease.records, &answered).is_empty()
        })
    }
}

/// Rule Q1 by counting, without core's formula: however `setting` is satisfied, `needed` of the voters have it.
fn lets_through_only(setting: &SyncSetting, entry: &ElectableRecord) -> bool {
    (0..1_u32 << setting.members.len()).filter(|who| who.count_ones() >= setting.needed).all(|who| {
        let have = setting.members.iter().enumerate().filter(|(at, _)| who & (1 << at) != 0);
        let voters = have.filter(|(_, member)| entry.voters.contains(&member.incarnation)).count();
        u32::try_from(voters).unwrap_or(0) >= entry.needed
    })
}

/// As the controller hears it.
pub fn report(member: usize, heard: &Heard) -> Report {
    let pod = name(member);
    Report {
        nonce: Nonce(format!("{pod}.m")),
        pod_uid: PodUid(pod),
        incarnation: Some(incarnation(heard.directory)),
        system_id: Some(crate::lease::SYSTEM),
        phase: pgherd_core::cluster::MemberPhase::Standby,
        position: Some(heard.position),
        lineage: Some(heard.lineage.clone()),
        fence: heard.fence,
        fresh: true,
        ..Report::default()
    }
}
