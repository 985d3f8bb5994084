//! What each kind of fault asks of the daemon.

use super::{Act, Cast};
use crate::chaos::dice::Dice;
use pgherd_localkube::fault::{
    ApiFault, ControllerFault, Cut, Damage, DiskFault, FaultRequest, Flap, Target, Volume, WalDamage, Way,
};
use pgherd_localkube::s3::S3Fault;

fn fault(request: FaultRequest) -> Vec<Act> {
    vec![Act::Fault(request)]
}

pub(super) fn kill(cast: &Cast, target: Target) -> Vec<Act> {
    fault(FaultRequest::Kill { target, pod: cast.pod.clone() })
}

pub(super) fn freeze(cast: &Cast, target: Target) -> Vec<Act> {
    fault(FaultRequest::Freeze { target, pod: cast.pod.clone() })
}

fn cut(cast: &Cast, from: &[&str], way: Way) -> Cut {
    let from = from.iter().map(|&peer| peer.to_owned()).collect();
    Cut { pods: vec![cast.pod.clone()], from, way, ..Cut::default() }
}

fn apart(cut: Cut) -> Vec<Act> {
    fault(FaultRequest::Cut(cut))
}

pub(super) fn cut_from(cast: &Cast, from: &[&str]) -> Vec<Act> {
    apart(cut(cast, from, Way::Both))
}

/// Nothing comes from, or goes to, one other pod.
pub(super) fn cut_from_one(cast: &Cast, _: &mut Dice) -> Vec<Act> {
    let Some(first) = cast.others.first() else { return Vec::new() };
    fault(FaultRequest::Partition { pod: cast.pod.clone(), from: first.clone() })
}

pub(super) fn one_way(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    apart(cut(cast, &["api", "pods"], if dice.percent(50) { Way::In } else { Way::Out }))
}

pub(super) fn flapping(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    let flap = Flap { cut: dice.between(300, 3_000), open: dice.between(300, 3_000) };
    apart(Cut { flap: Some(flap), ..cut(cast, &["api", "pods"], Way::Both) })
}

pub(super) fn lossy(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    let percent = u8::try_from(dice.between(5, 40)).ok();
    apart(Cut { percent, ..cut(cast, &["api", "pods"], Way::Both) })
}

/// As slow as a bad line: WAL still comes through, some of it late.
pub(super) fn slow_link(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    let kbit = u32::try_from(dice.between(256, 4_096)).ok();
    fault(FaultRequest::Link { pod: cast.pod.clone(), kbit, delay: None })
}

/// As far away as another continent: every packet waits, in each direction.
pub(super) fn late_link(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    let delay = u32::try_from(dice.between(50, 501)).ok();
    fault(FaultRequest::Link { pod: cast.pod.clone(), kbit: None, delay })
}

pub(super) fn no_names(cast: &Cast, _: &mut Dice) -> Vec<Act> {
    fault(FaultRequest::NoNames { pod: cast.pod.clone() })
}

pub(super) fn delete(cast: &Cast, force: bool) -> Vec<Act> {
    vec![Act::DeletePod { pod: cast.pod.clone(), force }]
}

pub(super) fn delete_object(cast: &Cast, _: &mut Dice) -> Vec<Act> {
    fault(FaultRequest::ForceDelete { pod: cast.pod.clone() })
}

pub(super) fn kubelet_apart(cast: &Cast, _: &mut Dice) -> Vec<Act> {
    fault(FaultRequest::KubeletApart { of: cast.pod.clone() })
}

pub(super) fn lose_node(cast: &Cast, _: &mut Dice) -> Vec<Act> {
    vec![Act::LoseNode { pod: cast.pod.clone() }]
}

pub(super) fn lose_volume(cast: &Cast, _: &mut Dice) -> Vec<Act> {
    fault(FaultRequest::LoseVolume { pod: cast.pod.clone() })
}

pub(super) fn disk(cast: &Cast, volume: Volume, what: DiskFault) -> Vec<Act> {
    fault(FaultRequest::Disk { pod: cast.pod.clone(), volume, what })
}

/// Full to the last byte, or so that what is small has room still.
pub(super) fn full(cast: &Cast, volume: Volume, dice: &mut Dice) -> Vec<Act> {
    let leave = if dice.percent(50) { 0 } else { dice.between(0, 4 << 20) };
    disk(cast, volume, DiskFault::Full { leave })
}

pub(super) fn damage_page(cast: &Cast, _: &mut Dice) -> Vec<Act> {
    let what = Damage::Page { file: None, block: 0 };
    fault(FaultRequest::Damage { pod: cast.pod.clone(), what })
}

pub(super) fn damage_wal(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    let how = if dice.percent(50) { WalDamage::Missing } else { WalDamage::Truncated };
    fault(FaultRequest::Damage { pod: cast.pod.clone(), what: Damage::Wal { segment: None, how } })
}

/// Up to an hour ahead or back: what is signed stays good for as long.
pub(super) fn wall_jumps(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    let by = i64::try_from(dice.between(1_000, 3_600_000)).unwrap_or(1_000);
    let wall = if dice.percent(50) { by } else { -by };
    fault(FaultRequest::Clock { pod: cast.pod.clone(), wall, steady: 0 })
}

/// Every clock of a pod is ahead by up to a third of the margin that a lease leaves, and loses that again as it is
/// healed: one pod that has gained so much and another that has lost it leave the last third.
pub(super) fn clock_slips(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    every_clock(cast, i64::try_from(dice.between(100, 1_001)).unwrap_or(100))
}

/// By more than a lease or less: back, as of a machine whose clocks stood still while it was paused, or ahead, which is
/// the same as it is healed.
pub(super) fn steady_jumps(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    let by = i64::try_from(dice.between(1_000, 20_000)).unwrap_or(1_000);
    every_clock(cast, if dice.percent(50) { by } else { -by })
}

fn every_clock(cast: &Cast, by: i64) -> Vec<Act> {
    fault(FaultRequest::Clock { pod: cast.pod.clone(), wall: by, steady: by })
}

pub(super) fn controller(what: ControllerFault) -> Vec<Act> {
    fault(FaultRequest::Controller { what })
}

pub(super) fn s3(what: S3Fault) -> Vec<Act> {
    fault(FaultRequest::S3 { what })
}

pub(super) fn s3_errors(_: &Cast, dice: &mut Dice) -> Vec<Act> {
    s3(S3Fault::Status(if dice.percent(50) { 503 } else { 500 }))
}

pub(super) fn api(what: ApiFault) -> Vec<Act> {
    fault(FaultRequest::Api { what })
}

pub(super) fn api_errors(_: &Cast, dice: &mut Dice) -> Vec<Act> {
    let count = u32::try_from(dice.between(1, 30)).unwrap_or(1);
    api(ApiFault::Errors { count, status: if dice.percent(50) { 500 } else { 429 } })
}
