//! A machine on the bench: events in, the commands in words out, and the answers to what it asked.

use super::super::*;
use crate::cluster::{ElectionFact, TailFact};
use crate::identity::{Incarnation, Nonce, PodUid, SystemId};
use crate::lease::{Holder, HolderState, LeaseRecord, Term, Timings, Versioned, WalPosition};
use crate::lsn::Lsn;
use crate::time::Instant;
use crate::timeline::TimelineId;
use core::time::Duration;

pub(super) const SYSTEM: SystemId = SystemId(7);

pub(super) fn holder(pod: &str) -> Holder {
    Holder {
        name: pod.to_owned(),
        pod_uid: PodUid(format!("uid-{pod}")),
        nonce: Nonce(format!("nonce-{pod}")),
        address: format!("ip-{pod}"),
    }
}

pub(super) fn wal(timeline: u32, lsn: u64) -> WalPosition {
    WalPosition { timeline: TimelineId(timeline), lsn: Lsn(lsn) }
}

pub(super) fn cluster() -> ClusterView {
    ClusterView {
        system_id: Some(SYSTEM),
        instances: 3,
        stop_delay: Duration::from_secs(1800),
        switchover_delay: Duration::from_secs(3600),
        configuration: "a".to_owned(),
        ..ClusterView::default()
    }
}

/// Term 4 on timeline 2, held by `pod`, c-2 and c-3 being the takers.
pub(super) fn held(pod: &str, state: HolderState) -> LeaseRecord {
    LeaseRecord {
        holder: Some(holder(pod)),
        state,
        term: Term(4),
        timeline: TimelineId(2),
        takers: vec![PodUid::from("uid-c-2"), PodUid::from("uid-c-3")],
        ..LeaseRecord::default()
    }
}

pub(super) fn data(role: DataRole, end: WalPosition) -> Volume {
    let incarnation = Incarnation::from("i");
    Volume::Data(Data {
        system_id: SYSTEM,
        incarnation,
        role,
        end,
        lineage: None,
        torn: false,
        fence: Term(0),
        max_term: Term(0),
    })
}

pub(super) fn peer(pod: &str, electable: bool) -> Peer {
    Peer {
        name: pod.to_owned(),
        pod_uid: PodUid(format!("uid-{pod}")),
        electable,
        incarnation: Some(Incarnation(format!("i-{pod}"))),
        address: format!("ip-{pod}"),
        fence: Term(0),
    }
}

/// An election of `winner` over the lease of [`held`] by c-1.
pub(super) fn election(winner: &str, tail: Option<WalPosition>) -> ElectionFact {
    let served = |end| TailFact { pod: "c-1".into(), pod_uid: "uid-c-1".into(), address: "ip-c-1".into(), end };
    ElectionFact {
        winner: winner.to_owned(),
        winner_pod_uid: PodUid(format!("uid-{winner}")),
        lease_version: "11".to_owned(),
        holder_nonce: Nonce::from("nonce-c-1"),
        term: Term(4),
        reason: "test".to_owned(),
        evidence: wal(2, 100),
        tail: tail.map(served),
        winner_incarnation: None,
        answered: Vec::new(),
        accepted_loss: None,
    }
}

pub(super) struct Bench {
    pub machine: Machine,
    pub now: Instant,
    /// The last asynchronous command that is neither about the lease nor a proof.
    pub op: Op,
    pub put: Option<(Op, String, LeaseRecord)>,
    prove: Option<Op>,
    version: u64,
}

impl Bench {
    pub fn of(pod: &str) -> Self {
        let machine = Machine::new(Me { holder: holder(pod) }, Timings::default());
        Self { machine, now: Instant(1_000_000_000_000), op: Op(0), put: None, prove: None, version: 10 }
    }

    /// A manager whose first look finds this.
    pub fn started(pod: &str, cluster: ClusterView, lease: LeaseRecord, volume: Volume) -> (Self, Vec<String>) {
        let mut bench = Self::of(pod);
        assert_eq!(bench.tell(Event::ClusterSeen(cluster)), ["InspectVolume", "Archive Standby"]);
        bench.see(lease);
        let said = bench.answer(Outcome::Inspected(volume));
        (bench, said)
    }

    /// c-2 follows c-1.
    pub fn standby() -> Self {
        let (mut bench, said) =
            Self::started("c-2", cluster(), held("c-1", HolderState::Open), data(DataRole::Standby, wal(2, 100)));
        assert_eq!(said, ["StartPostgres Standby of c-1"]);
        assert!(bench.done().is_empty());
        bench.streams();
        bench.tell(Event::PeersSeen(vec![peer("c-1", false), peer("c-3", true)]));
        bench
    }

    /// c-2, elected over a released lease: it gathers.
    pub fn candidate(lease: HolderState, tail: Option<WalPosition>) -> (Self, Vec<String>) {
        let mut bench = Self::standby();
        bench.see(LeaseRecord { tail, ..held("c-1", lease) });
        let said = bench.tell(Event::ClusterSeen(ClusterView { election: Some(election("c-2", tail)), ..cluster() }));
        (bench, said)
    }

    /// c-2 holds term 5 and promotes to timeline 3.
    pub fn promoting() -> Self {
        let (mut bench, _) = Self::candidate(HolderState::Released, None);
        bench.done();
        assert_eq!(bench.stored().last().map(String::as_str), Some("Archive Unchecked"));
        bench
    }

    /// c-2 is the primary of term 5 on timeline 3; c-3 is electable, c-1 is not.
    pub fn primary() -> Self {
        let mut bench = Self::promoting();
        let checked = ["GateClients(false)", "ProveWritePath", "Archive Primary"];
        assert_eq!(bench.answer(Outcome::Promoted(TimelineId(3), None)), checked);
        assert_eq!(bench.proven(), ["PutLease over 12: Open, term 5, timeline 3"]);
        assert_eq!(bench.stored(), ["AnnouncePrimary 3"]);
        bench
    }

    pub fn tell(&mut self, event: Event) -> Vec<String> {
        let commands = self.machine.handle(event, self.now);
        // On the volume with every new term: said where that is the point.
        let said = commands.iter().filter(|command| !matches!(command, Command::RememberTerm(_)));
        said.map(|command| self.note(command)).collect()
    }

    pub fn after(&mut self, time: Duration) -> Vec<String> {
        self.now = self.now.plus(time);
        self.tell(Event::Ticked)
    }

    /// The next version of the lease, as the watch tells it.
    pub fn see(&mut self, record: LeaseRecord) -> Vec<String> {
        let version = self.version.to_string();
        self.version += 1;
        self.tell(Event::LeaseSeen(Versioned { version, value: record }))
    }

    pub fn answer(&mut self, outcome: Outcome) -> Vec<String> {
        self.tell(Event::Finished(self.op, outcome))
    }

    pub fn done(&mut self) -> Vec<String> {
        self.answer(Outcome::Done)
    }

    pub fn fails(&mut self) -> Vec<String> {
        self.answer(Outcome::Failed("test".to_owned()))
    }

    pub fn streams(&mut self) {
        self.tell(Event::LinkSampled(Link { streaming: true, position: wal(2, 100) }));
    }

    /// The store took the last PUT, sent just now.
    pub fn stored(&mut self) -> Vec<String> {
        self.stored_sent(self.now)
    }

    pub fn stored_sent(&mut self, sent: Instant) -> Vec<String> {
        let version = self.version.to_string();
        self.version += 1;
        self.put_answered(Outcome::Stored { version, sent })
    }

    pub fn put_answered(&mut self, outcome: Outcome) -> Vec<String> {
        let (op, ..) = self.put.take().expect("a PUT is in flight");
        self.tell(Event::Finished(op, outcome))
    }

    pub fn put_unanswered(&mut self) -> Vec<String> {
        self.put_answered(Outcome::Unknown { why: "test".to_owned(), sent: self.now })
    }

    pub fn put_conflicted(&mut self, record: LeaseRecord) -> Vec<String> {
        let version = self.version.to_string();
        self.version += 1;
        self.put_answered(Outcome::Conflicted(Versioned { version, value: record }))
    }

    pub fn proven(&mut self) -> Vec<String> {
        self.proof_answered(Outcome::Proven(self.now))
    }

    pub fn proof_answered(&mut self, outcome: Outcome) -> Vec<String> {
        let op = self.prove.take().expect("a proof was asked for");
        self.tell(Event::Finished(op, outcome))
    }

    pub fn holds(&self) -> bool {
        self.machine.hold().is_some()
    }

    fn note(&mut self, command: &Command) -> String {
        match command {
            Command::PutLease { op, over, record } => {
                self.put = Some((*op, over.clone(), record.clone()));
                format!("PutLease over {over}: {:?}, term {}, timeline {}", record.state, record.term, record.timeline)
            }
            Command::CreateLease { op, record } => {
                self.put = Some((*op, String::new(), record.clone()));
                format!("CreateLease: {:?}, term {}, timeline {}", record.state, record.term, record.timeline)
            }
            Command::ProveWritePath { op, sql } => {
                self.prove = Some(*op);
                if *sql { "ProveWritePath with a commit".to_owned() } else { "ProveWritePath".to_owned() }
            }
            Command::StartPostgres(op, StartAs::Standby(leader)) => {
                self.op = *op;
                leader
                    .as_ref()
                    .map_or("StartPostgres Standby".into(), |l| format!("StartPostgres Standby of {}", l.name))
            }
            Command::StartPostgres(op, StartAs::Primary) => self.named(*op, "StartPostgres Primary"),
            Command::StopPostgres(op, stop) => {
                let seconds = |d: Duration| d.as_secs();
                let smart = stop.smart.map_or("none".to_owned(), |d| seconds(d).to_string());
                let within = stop.within.map_or(String::new(), |d| format!(" within {}", seconds(d)));
                let fast = stop.fast.map_or("none".to_owned(), |d| seconds(d).to_string());
                self.named(*op, &format!("StopPostgres smart {smart} fast {fast}{within}"))
            }
            Command::InspectVolume(op) => self.named(*op, "InspectVolume"),
            Command::DiscardPartial(op) => self.named(*op, "DiscardPartial"),
            Command::ClaimInitialization(op) => self.named(*op, "ClaimInitialization"),
            Command::InitializeDatabase(op) => self.named(*op, "InitializeDatabase"),
            Command::BootstrapDatabase(op) => self.named(*op, "BootstrapDatabase"),
            Command::PublishSystemId(op, id) => self.named(*op, &format!("PublishSystemId {id}")),
            Command::KillEverything(op) => self.named(*op, "KillEverything"),
            Command::CloneFrom(op, leader, Sources::Any) => self.named(*op, &format!("CloneFrom {}", leader.name)),
            Command::CloneFrom(op, leader, Sources::LeaderAlone) => {
                self.named(*op, &format!("CloneFrom {} itself", leader.name))
            }
            Command::Rejoin(op, leader) => self.named(*op, &format!("Rejoin {}", leader.name)),
            Command::AwaitPosition(op, to) => self.named(*op, &format!("AwaitPosition {to}")),
            Command::ConfirmTail(op, to, term) => self.named(*op, &format!("ConfirmTail {} term {term}", to.pod)),
            Command::LookForProof(op, pod, nonce) => self.named(*op, &format!("LookForProof {pod} {nonce}")),
            Command::Promote(op, timeline) => self.named(*op, &format!("Promote {timeline}")),
            Command::Follow(leader) => {
                format!("Follow {}", leader.as_ref().map_or("nobody", |leader| leader.name.as_str()))
            }
            Command::ArmWatchdog(at) => format!("ArmWatchdog in {} ms", at.since(self.now).as_millis()),
            Command::Archive(mode) => format!("Archive {mode:?}"),
            Command::AnnouncePrimary(timeline) => format!("AnnouncePrimary {timeline}"),
            Command::UseTail(tail) => tail.as_ref().map_or("UseTail none".into(), |t| format!("UseTail {}", t.pod)),
            Command::OfferTail(end) => end.map_or("OfferTail none".into(), |end| format!("OfferTail {end}")),
            Command::AnswerTail(_, answer) => format!("AnswerTail {answer:?}"),
            Command::RefuseFence(_, why) => format!("RefuseFence: {why}"),
            Command::Fence(_, term) => format!("Fence {term}"),
            Command::AskPledges(op, round) => {
                let names: Vec<&str> = round.members.iter().map(|peer| peer.name.as_str()).collect();
                self.named(*op, &format!("AskPledges {}", names.join(" ")))
            }
            Command::SetSynchronous(op, setting) => self.named(*op, &format!("SetSynchronous {}", words(setting))),
            Command::Barrier(op, setting, lsn) => self.named(*op, &format!("Barrier {} at {lsn}", words(setting))),
            Command::ConfigureSynchronous(setting) => format!("ConfigureSynchronous {}", words(setting)),
            other => format!("{other:?}"),
        }
    }

    fn named(&mut self, op: Op, words: &str) -> String {
        self.op = op;
        words.to_owned()
    }
}

/// `1 of c-2 c-3`.
pub(super) fn words(setting: &crate::sync::SyncSetting) -> String {
    let names: Vec<&str> = setting.members.iter().map(|member| member.name.as_str()).collect();
    format!("{} of {}", setting.needed, if names.is_empty() { "nobody".to_owned() } else { names.join(" ") })
}
