//! A restore from beginning to end, against a world that does what plans say: whole plans, or only the first steps of
//! each, as a controller does that is killed again and again. Every plan is checked; nothing of the old history is ever
//! within reach of the new one.

use super::tests::{NOW, golden, healthy, pod, volume};
use super::*;
use crate::cluster::{KeptVolume, MemberPhase, Observed, Role, VolumeView, serial_of, serial_of_wal};
use crate::lease::{HolderState, LeaseRecord, Term, Versioned};
use crate::restore::{RestoreFact, RestoreOrder, Stage, attempt_of};
use crate::timeline::TimelineId;

const LIMIT: usize = 300;

/// The cluster, and the members that do their part of it.
pub(super) struct World {
    desired: Desired,
    pub(super) observed: Observed,
    /// Steps of each plan that are carried out.
    steps: usize,
    /// Terms and timelines as they went by.
    seen: Vec<(Term, TimelineId)>,
}

impl World {
    fn new(steps: usize) -> Self {
        Self::of(healthy(), steps)
    }

    pub(super) fn of((desired, mut observed): (Desired, Observed), steps: usize) -> Self {
        observed.status.timeline = Some(TimelineId(1));
        Self { desired, observed, steps, seen: Vec::new() }
    }

    pub(super) fn order(&mut self, id: &str, undo: bool) {
        self.observed.restore_order = Some(RestoreOrder { id: id.into(), undo, ..RestoreOrder::default() });
    }

    fn stage(&self) -> Option<Stage> {
        self.observed.status.restore.as_ref().map(|restore| restore.stage)
    }

    /// One look, and what becomes of it.
    pub(super) fn look(&mut self) {
        self.members();
        let plan = plan(&self.desired, &self.observed, NOW);
        assert_eq!(check(&self.observed, &plan), [], "{:#?}", plan.report);
        for step in plan.steps.iter().take(self.steps) {
            self.apply(step);
        }
        let lease = &self.observed.lease.as_ref().unwrap().value;
        if self.seen.last() != Some(&(lease.term, lease.timeline)) {
            self.seen.push((lease.term, lease.timeline));
        }
    }

    /// What the managers do by themselves.
    fn members(&mut self) {
        let restoring = self.stage() == Some(Stage::Restoring);
        let Some(lease) = self.observed.lease.as_mut() else { return };
        // A pod that is told to stop is gone by the next look; the holder releases first.
        for gone in self.observed.pods.iter().filter(|pod| pod.deleting) {
            if lease.value.held_by().is_some_and(|holder| holder.pod_uid == gone.uid) {
                lease.value.state = HolderState::Released;
                lease.version.push('r');
            }
        }
        self.observed.pods.retain(|pod| !pod.deleting);
        if let (true, Some(first)) = (restoring, self.observed.pods.first()) {
            // The database is made, on a timeline that nobody had; its identifier is on record, and it opens.
            let next = lease.value.timeline.next();
            open(lease, first.serial, next);
            let restore = self.observed.status.restore.as_mut().unwrap();
            assert_eq!(restore.instance.as_deref(), Some(first.name.as_str()));
            restore.stage = Stage::Joining;
            self.observed.status.system_id = Some(crate::identity::SystemId(7));
        }
        if let Some(election) = self.observed.status.election.take() {
            let next = lease.value.timeline.next();
            open(lease, serial_of("c", &election.winner).unwrap(), next);
        }
    }

    fn apply(&mut self, step: &Step) {
        let observed = &mut self.observed;
        match step {
            Step::BeginRestore(fact) => {
                observed.status.restore = Some((**fact).clone());
                observed.status.system_id = Some(crate::identity::SystemId(7));
            }
            Step::ClearRestoreOrder => observed.restore_order = None,
            Step::DeletePod { uid, .. } => {
                observed.pods.iter_mut().filter(|pod| pod.uid == *uid).for_each(|pod| pod.deleting = true);
            }
            Step::KeepVolume { name, restore } => {
                let serial = serial_of("c", name).or_else(|| serial_of_wal("c", name)).unwrap();
                observed.volumes.retain(|volume| volume.name != *name);
                observed.wal_volumes.retain(|volume| volume.name != *name);
                observed.kept.push(KeptVolume { name: name.clone(), serial, by: restore.clone() });
            }
            Step::ReviveVolume { name } => {
                observed.kept.retain(|kept| kept.name != *name);
                match serial_of_wal("c", name) {
                    Some(serial) => observed.wal_volumes.push(VolumeView { name: name.clone(), ..volume(serial) }),
                    None => observed.volumes.push(volume(serial_of("c", name).unwrap())),
                }
            }
            Step::CloseLease { over, record } => {
                let lease = observed.lease.as_mut().unwrap();
                assert_eq!(*over, lease.version);
                *lease = Versioned { version: format!("{over}c"), value: (**record).clone() };
            }
            Step::AdvanceRestore { stage, before, instance } => {
                let restore = observed.status.restore.as_mut().unwrap();
                restore.stage = *stage;
                restore.before = before.as_deref().cloned().or(restore.before.take());
                restore.instance = instance.clone().or(restore.instance.take());
                // Whoever looks at the status sees no database while one is made again.
                if *stage == Stage::Restoring {
                    observed.status.system_id = None;
                }
                if matches!(stage, Stage::Restoring | Stage::Reviving) {
                    observed.status.target_primary = None;
                }
            }
            Step::CreateVolume { serial } => observed.volumes.push(volume(*serial)),
            Step::CreateWalVolume { serial } => {
                observed.wal_volumes.push(VolumeView { name: format!("c-{serial}-wal"), ..volume(*serial) });
            }
            Step::CreatePod { serial } => {
                let mut made = pod(*serial, MemberPhase::Standby, Role::Replica);
                made.has_wal_volume = self.desired.wal_storage.is_some();
                made.uid = format!("u{serial}-{}", self.seen.len()).as_str().into();
                let report = made.report.as_mut().unwrap();
                report.pod_uid = made.uid.clone();
                report.nonce = format!("n{serial}-{}", self.seen.len()).as_str().into();
                observed.pods.push(made);
                observed.pods.sort_by_key(|pod| pod.serial);
            }
            Step::WriteElection(fact) => observed.status.election = Some((**fact).clone()),
            Step::WriteRefusal { refusal, .. } => observed.status.refusal = Some(refusal.clone()),
            Step::ClearRefusal => observed.status.refusal = None,
            Step::SetTarget { pod } => observed.status.target_primary = Some(pod.clone()),
            Step::SetRole { uid, role, .. } => {
                observed.pods.iter_mut().filter(|pod| pod.uid == *uid).for_each(|pod| pod.role = Some(*role));
            }
            _ => {}
        }
        self.hold();
    }

    /// What must hold at every moment.
    fn hold(&self) {
        let observed = &self.observed;
        for kept in &observed.kept {
            assert!(observed.pods.iter().all(|pod| pod.serial != kept.serial), "{} is put aside and used", kept.name);
        }
        if self.stage() == Some(Stage::Restoring) {
            let restore = observed.status.restore.as_ref().unwrap();
            let lease = &observed.lease.as_ref().unwrap().value;
            assert_eq!(lease.attempt, attempt_of(&restore.id), "the old history is closed by then");
            assert!(lease.records.is_empty() && lease.takers.is_empty());
        }
    }
}

/// That instance takes the lease and opens.
fn open(lease: &mut Versioned<LeaseRecord>, serial: u32, timeline: TimelineId) {
    let holder = crate::lease::Holder {
        name: format!("c-{serial}"),
        pod_uid: "to be found".into(),
        nonce: "to be found".into(),
        address: String::new(),
    };
    lease.value.holder = Some(holder);
    lease.value.state = HolderState::Open;
    lease.value.term = lease.value.term.next();
    lease.value.timeline = timeline;
    lease.value.attempt = "a take".into();
    lease.version.push('o');
}

impl World {
    /// The holder by name is the pod of that name.
    fn bind(&mut self) {
        let Some(lease) = self.observed.lease.as_mut() else { return };
        let Some(holder) = lease.value.holder.as_mut().filter(|holder| holder.nonce.0 == "to be found") else { return };
        if let Some(pod) = self.observed.pods.iter_mut().find(|pod| pod.name == holder.name) {
            let report = pod.report.as_mut().unwrap();
            report.phase = MemberPhase::Primary;
            (holder.pod_uid, holder.nonce) = (pod.uid.clone(), report.nonce.clone());
            self.observed.status.current_primary = Some(pod.name.clone());
        }
    }

    pub(super) fn run(&mut self, stage: Stage) {
        for _ in 0..LIMIT {
            self.bind();
            if self.stage() == Some(stage) && self.observed.restore_order.is_none() {
                return;
            }
            self.look();
        }
        let report = plan(&self.desired, &self.observed, NOW).report;
        panic!("{stage:?} is not reached from {:?}: {report:#?}", self.observed.status.restore);
    }
}

fn names(volumes: &[crate::cluster::VolumeView]) -> Vec<u32> {
    volumes.iter().map(|volume| volume.serial).collect()
}

#[test]
fn a_restore_goes_to_its_end_however_often_the_controller_is_killed() {
    for steps in [1, 2, 3, usize::MAX] {
        let mut world = World::new(steps);
        world.order("r1", false);
        world.run(Stage::Done);
        assert_eq!(names(&world.observed.volumes), [4, 5, 6], "after {steps} steps each");
        assert_eq!(world.observed.kept.iter().map(|kept| kept.by.as_str()).collect::<Vec<_>>(), ["r1"; 3]);
        let rising = world.seen.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1);
        assert!(rising, "{:?}", world.seen);
        assert!(world.seen.last().unwrap().1 > TimelineId(1), "a timeline of its own");
    }
}

#[test]
fn an_undo_brings_the_old_volumes_back_by_an_election_whatever_came_of_the_restore() {
    for steps in [1, 3, usize::MAX] {
        for from in [Stage::Stopping, Stage::Restoring, Stage::Joining, Stage::Done] {
            let mut world = World::new(steps);
            world.order("r1", false);
            // A stage may be over within one look.
            for _ in 0..LIMIT {
                world.bind();
                if world.stage() == Some(from) {
                    break;
                }
                world.look();
            }
            assert_eq!(world.stage(), Some(from));
            world.order("u1", true);
            world.look();
            world.run(Stage::Done);
            let mut serials = names(&world.observed.volumes);
            serials.sort_unstable();
            assert_eq!(serials, [1, 2, 3], "from {from:?}, {steps} steps each");
            assert!(world.observed.kept.iter().all(|kept| kept.by == "u1"), "{:?}", world.observed.kept);
        }
    }
}

#[test]
fn the_old_primary_stops_first_and_alone_and_by_the_ordinary_rules() {
    let (desired, mut observed) = healthy();
    let restore = RestoreFact { id: "r1".into(), order: "r1".into(), ..RestoreFact::default() };
    observed.status.restore = Some(restore);
    let plan = golden("restore-stops-the-primary", (desired.clone(), observed.clone()));
    assert_eq!(plan.steps, [Step::DeletePod { name: "c-1".into(), uid: "u1".into() }]);
    assert_eq!(plan.status.phase, Phase::Restoring);
    // It died without a release: that is resolved as ever, so that somebody releases who has the right to.
    observed.pods[0].dead_nonces = vec!["n1".into()];
    observed.pods[0].report.as_mut().unwrap().nonce = "n1b".into();
    let steps = super::plan(&desired, &observed, NOW).steps;
    assert!(steps.iter().any(|step| matches!(step, Step::WriteElection(_))), "{steps:?}");
    // Released: nobody is elected any more, and everybody stops.
    observed.lease.as_mut().unwrap().value.state = HolderState::Released;
    let plan = golden("restore-stops-the-others", (desired, observed));
    assert!(plan.steps.iter().all(|step| matches!(step, Step::DeletePod { .. })), "{:?}", plan.steps);
}

#[test]
fn a_holder_that_a_person_calls_dead_is_outwaited_all_the_same() {
    let (desired, mut observed) = healthy();
    observed.pods.clear();
    observed.volumes.clear();
    let restore = RestoreFact { id: "r1".into(), holder_is_dead: true, ..RestoreFact::default() };
    observed.status.restore = Some(restore);
    let advances = |observed: &Observed| {
        let steps = plan(&desired, observed, NOW).steps;
        steps.iter().any(|step| matches!(step, Step::AdvanceRestore { stage: Stage::Closing, .. }))
    };
    assert!(!advances(&observed), "nobody knows for how long it has been as it is");
    observed.memory.version_since = Some(Instant(NOW.0 - 7_000_000_000));
    assert!(!advances(&observed));
    observed.memory.version_since = Some(Instant(NOW.0 - 8_000_000_000));
    assert!(advances(&observed));
    observed.status.restore.as_mut().unwrap().holder_is_dead = false;
    assert!(!advances(&observed), "a vanished pod proves nothing");
}

#[test]
fn what_would_break_the_order_is_caught() {
    let (desired, observed) = healthy();
    let with = |observed: &Observed, step: Step| {
        let plan = Plan { steps: vec![step], ..plan(&desired, observed, NOW) };
        let found = check(observed, &plan);
        found.iter().any(|violation| matches!(violation, Violation::RestoreOutOfOrder(_)))
    };
    let keep = || Step::KeepVolume { name: "c-2".into(), restore: "r1".into() };
    assert!(with(&observed, keep()), "nothing is restored");
    let mut stopped = observed.clone();
    stopped.status.restore = Some(RestoreFact { id: "r1".into(), ..RestoreFact::default() });
    assert!(with(&stopped, keep()), "its pod is there");
    stopped.pods.clear();
    assert!(with(&stopped, keep()), "the lease is held");
    stopped.lease.as_mut().unwrap().value.state = HolderState::Released;
    assert!(!with(&stopped, keep()));
    assert!(with(&stopped, Step::ReviveVolume { name: "c-2".into() }), "it is no undo");
    let close = |observed: &Observed, over: &str| {
        let restore = observed.status.restore.clone().unwrap();
        let record = crate::restore::closed(&restore, &observed.lease.as_ref().unwrap().value, TimelineId(0));
        Step::CloseLease { over: over.into(), record: Box::new(record) }
    };
    let mut closing = stopped.clone();
    closing.volumes.clear();
    closing.status.restore.as_mut().unwrap().before = closing.lease.clone();
    assert!(!with(&closing, close(&closing, "77")));
    assert!(with(&closing, close(&closing, "76")), "another version");
    let mut used = closing.clone();
    used.pods = observed.pods.clone();
    assert!(with(&used, close(&used, "77")), "somebody is there");
    let mut held = closing.clone();
    held.lease = observed.lease.clone();
    assert!(with(&held, close(&held, "77")), "it is held");
    let kept = KeptVolume { name: "c-4".into(), serial: 4, by: "r1".into() };
    let mut aside = observed;
    aside.kept.push(kept);
    assert!(with(&aside, Step::CreatePod { serial: 4 }), "an old volume would be attached");
}
