//! The list holds all that the daemon can do, once.

use super::{Act, Cast, KINDS, Kind, Needs, Whom};
use crate::chaos::dice::Dice;
use pgherd_localkube::fault::{
    ApiFault, ControllerFault, Damage, DiskFault, FaultRequest, Target, Volume, WalDamage, Way,
};
use pgherd_localkube::s3::S3Fault;
use std::collections::BTreeSet;

/// Everything that a kind may ask for, by many throws of the dice.
fn asked_by(kind: &Kind) -> Vec<FaultRequest> {
    let cast = Cast { pod: "n/c-1".to_owned(), others: vec!["n/c-2".to_owned(), "n/c-3".to_owned()] };
    let of = |seed: u64| (kind.acts)(&cast, &mut Dice::new(seed));
    let node = || FaultRequest::NodeLost { node: "n1".to_owned() };
    let request = |act| match act {
        Act::Fault(request) => Some(request),
        Act::LoseNode { .. } => Some(node()),
        Act::DeletePod { .. } => None,
    };
    (0..40).flat_map(of).filter_map(request).collect()
}

/// What a fault does, without whom it is put on and without numbers.
fn essence(request: &FaultRequest) -> String {
    let word = |value: &dyn core::fmt::Debug| {
        let text = format!("{value:?}");
        text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
    };
    match request {
        FaultRequest::Kill { target, .. } => format!("kill {target:?}"),
        FaultRequest::Freeze { target, .. } => format!("freeze {target:?}"),
        FaultRequest::Cut(cut) if cut.flap.is_some() => "cut flapping".to_owned(),
        FaultRequest::Cut(cut) if cut.percent.is_some() => "cut lossy".to_owned(),
        FaultRequest::Cut(cut) if cut.way != Way::Both => format!("cut {:?}", cut.way),
        FaultRequest::Cut(cut) => format!("cut {}", cut.from.join(" ")),
        FaultRequest::Disk { volume, what, .. } => format!("disk {volume:?} {}", word(what)),
        FaultRequest::Link { kbit, delay, .. } => format!("link {} {}", kbit.is_some(), delay.is_some()),
        FaultRequest::Clock { steady: 0, .. } => "clock wall".to_owned(),
        FaultRequest::Clock { steady, .. } => format!("clock steady {}", steady.signum()),
        FaultRequest::Damage { what: Damage::Page { .. }, .. } => "damage page".to_owned(),
        FaultRequest::Damage { what: Damage::Wal { how, .. }, .. } => format!("damage wal {how:?}"),
        FaultRequest::S3 { what } => format!("s3 {}", word(what)),
        FaultRequest::Api { what } => format!("api {}", word(what)),
        FaultRequest::Controller { what } => format!("controller {what:?}"),
        other => word(other),
    }
}

#[test]
fn every_fault_that_the_daemon_has_is_asked_for_by_a_kind() {
    let found: BTreeSet<String> = KINDS.iter().flat_map(asked_by).map(|request| essence(&request)).collect();
    let (pod, node) = (String::new, String::new);
    let all = [
        Target::Postmaster,
        Target::Backend,
        Target::Backends,
        Target::Walsender,
        Target::Walreceiver,
        Target::Checkpointer,
        Target::Startup,
        Target::Postgres,
        Target::Manager,
        Target::Watchdog,
        Target::Container,
        Target::Pod,
    ];
    let mut wanted: Vec<FaultRequest> = Vec::new();
    for target in all {
        wanted.push(FaultRequest::Kill { target, pod: pod() });
        wanted.push(FaultRequest::Freeze { target, pod: pod() });
    }
    for what in
        [DiskFault::Full { leave: 0 }, DiskFault::NoInodes, DiskFault::Hung, DiskFault::ReadOnly, DiskFault::IoErrors]
    {
        for volume in [Volume::Data, Volume::Wal] {
            wanted.push(FaultRequest::Disk { pod: pod(), volume, what });
        }
    }
    wanted.push(FaultRequest::Damage { pod: pod(), what: Damage::Page { file: None, block: 0 } });
    for how in [WalDamage::Missing, WalDamage::Truncated] {
        wanted.push(FaultRequest::Damage { pod: pod(), what: Damage::Wal { segment: None, how } });
    }
    let s3 = [
        S3Fault::Off,
        S3Fault::Silent,
        S3Fault::Slow(1),
        S3Fault::Status(1),
        S3Fault::Rate(1),
        S3Fault::Reset(1),
        S3Fault::AckLost,
        S3Fault::Truncated(1),
    ];
    wanted.extend(s3.map(|what| FaultRequest::S3 { what }));
    let api = [
        ApiFault::Off,
        ApiFault::Silent,
        ApiFault::Slow(1),
        ApiFault::Errors { count: 1, status: 1 },
        ApiFault::StaleWatches,
        ApiFault::DropWatches,
        ApiFault::Forget,
    ];
    wanted.extend(api.map(|what| FaultRequest::Api { what }));
    let controller = [ControllerFault::Kill, ControllerFault::Freeze, ControllerFault::Double, ControllerFault::Apart];
    wanted.extend(controller.map(|what| FaultRequest::Controller { what }));
    wanted.push(FaultRequest::Partition { pod: pod(), from: pod() });
    wanted.push(FaultRequest::Link { pod: pod(), kbit: Some(1), delay: None });
    wanted.push(FaultRequest::Link { pod: pod(), kbit: None, delay: Some(1) });
    wanted.push(FaultRequest::NoNames { pod: pod() });
    wanted.push(FaultRequest::ForceDelete { pod: pod() });
    wanted.push(FaultRequest::KubeletApart { of: pod() });
    wanted.push(FaultRequest::NodeLost { node: node() });
    wanted.extend([0, 1, -1].map(|steady| FaultRequest::Clock { pod: pod(), wall: 1, steady }));
    wanted.push(FaultRequest::LoseVolume { pod: pod() });
    let cuts = ["flapping", "lossy", "In", "Out", "api", "s3", "pods", "controller", "clients", "all api"];
    let wanted = wanted.iter().map(essence).chain(cuts.map(|from| format!("cut {from}")));
    let missing: Vec<String> = wanted.filter(|what| !found.contains(what)).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {found:?}");
}

#[test]
fn the_kind_that_leaves_this_program_in_the_dark_is_known_by_its_name() {
    let kind = super::kind(crate::chaos::strike::STALE).unwrap();
    let cast = Cast { pod: String::new(), others: Vec::new() };
    let acts = (kind.acts)(&cast, &mut Dice::new(1));
    assert_eq!(acts, [Act::Fault(FaultRequest::Api { what: ApiFault::StaleWatches })]);
}

#[test]
fn names_are_unique_and_what_ruins_is_put_on_whom_it_may_be_put_on() {
    let names: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), KINDS.len());
    for kind in KINDS.iter().filter(|kind| kind.ruins) {
        assert!(matches!(kind.whom, Whom::Standby | Whom::Primary), "{}", kind.name);
    }
}

#[test]
fn clocks_that_nobody_sets_move_by_more_than_a_lease_forgives_only_where_commits_wait() {
    let margin = 8_000 - 5_000;
    for kind in KINDS.iter().filter(|kind| kind.needs != Needs::ClocksAndRequired) {
        for request in asked_by(kind) {
            let FaultRequest::Clock { steady, .. } = request else { continue };
            assert_eq!(kind.needs, Needs::Clocks, "{}", kind.name);
            // Never behind: so that no second fault makes it more. Two pods at once are forgiven as well.
            assert!((0..=margin / 3).contains(&steady), "{}: {steady}", kind.name);
        }
    }
}
