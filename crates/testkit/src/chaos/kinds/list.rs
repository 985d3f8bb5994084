//! Every kind of fault, as data: a new one is a new line here.

use super::acts::{
    api, api_errors, clock_slips, controller, cut_from, cut_from_one, damage_page, damage_wal, delete, delete_object,
    disk, flapping, freeze, full, kill, kubelet_apart, late_link, lose_node, lose_volume, lossy, no_names, one_way, s3,
    s3_errors, slow_link, steady_jumps, wall_jumps,
};
use super::{Act, Cast, Harm, Kind, Needs, Whom};
use crate::chaos::dice::Dice;
use pgherd_localkube::fault::{ApiFault, ControllerFault, DiskFault, Target, Volume};
use pgherd_localkube::s3::S3Fault;

/// Shorter and longer than a lease.
const SHORT_OR_LONG: Option<(u64, u64)> = Some((800, 20_000));
/// Shorter than a lease.
const BRIEF: Option<(u64, u64)> = Some((500, 4_000));
/// Long enough for the standbys to do without.
const LONG: Option<(u64, u64)> = Some((10_000, 20_000));

type Acts = fn(&Cast, &mut Dice) -> Vec<Act>;

const fn killed(name: &'static str, harm: Harm, weight: u64, acts: Acts) -> Kind {
    Kind { name, whom: Whom::Pod, harm, lasts: None, needs: Needs::Nothing, ruins: false, weight, acts }
}

const fn held(name: &'static str, harm: Harm, weight: u64, acts: Acts) -> Kind {
    let lasts = if matches!(harm, Harm::Hidden) { LONG } else { SHORT_OR_LONG };
    Kind { lasts, ..killed(name, harm, weight, acts) }
}

const fn of_standby(kind: Kind) -> Kind {
    Kind { whom: Whom::Standby, ..kind }
}

const fn of_primary(kind: Kind) -> Kind {
    Kind { whom: Whom::Primary, ..kind }
}

const fn of_disk(name: &'static str, harm: Harm, weight: u64, acts: Acts) -> Kind {
    Kind { needs: Needs::Disks, ..held(name, harm, weight, acts) }
}

const fn of_wal_volume(name: &'static str, harm: Harm, weight: u64, acts: Acts) -> Kind {
    Kind { needs: Needs::WalVolumes, ..held(name, harm, weight, acts) }
}

const fn of_clocks(name: &'static str, weight: u64, acts: Acts) -> Kind {
    Kind { needs: Needs::Clocks, ..held(name, Harm::None, weight, acts) }
}

const fn shared(name: &'static str, weight: u64, acts: Acts) -> Kind {
    Kind { whom: Whom::Everybody, lasts: SHORT_OR_LONG, ..killed(name, Harm::None, weight, acts) }
}

const fn brief(kind: Kind) -> Kind {
    Kind { lasts: BRIEF, ..kind }
}

const fn short_or_long(kind: Kind) -> Kind {
    Kind { lasts: SHORT_OR_LONG, ..kind }
}

const fn at_once(kind: Kind) -> Kind {
    Kind { lasts: None, ..kind }
}

const fn ruinous(kind: Kind) -> Kind {
    Kind { ruins: true, ..kind }
}

/// All of them.
pub const KINDS: &[Kind] = &[
    killed("kill_postmaster", Harm::Deposed, 12, |cast, _| kill(cast, Target::Postmaster)),
    killed("kill_postgres", Harm::Deposed, 4, |cast, _| kill(cast, Target::Postgres)),
    killed("kill_backend", Harm::Deposed, 4, |cast, _| kill(cast, Target::Backend)),
    killed("kill_backends", Harm::Deposed, 4, |cast, _| kill(cast, Target::Backends)),
    of_primary(killed("kill_walsender", Harm::None, 3, |cast, _| kill(cast, Target::Walsender))),
    killed("kill_checkpointer", Harm::Deposed, 3, |cast, _| kill(cast, Target::Checkpointer)),
    of_standby(killed("kill_walreceiver", Harm::None, 3, |cast, _| kill(cast, Target::Walreceiver))),
    of_standby(killed("kill_startup", Harm::None, 3, |cast, _| kill(cast, Target::Startup))),
    killed("kill_manager", Harm::Deposed, 8, |cast, _| kill(cast, Target::Manager)),
    killed("kill_watchdog", Harm::None, 5, |cast, _| kill(cast, Target::Watchdog)),
    killed("kill_container", Harm::Deposed, 6, |cast, _| kill(cast, Target::Container)),
    killed("kill_pod", Harm::Deposed, 6, |cast, _| kill(cast, Target::Pod)),
    killed("delete_pod", Harm::Deposed, 8, |cast, _| delete(cast, false)),
    killed("force_delete_pod", Harm::Deposed, 5, |cast, _| delete(cast, true)),
    short_or_long(held("force_delete_alive", Harm::Hidden, 5, delete_object)),
    held("kubelet_apart", Harm::None, 4, kubelet_apart),
    held("lose_node", Harm::Hidden, 6, lose_node),
    held("freeze_postmaster", Harm::Hidden, 5, |cast, _| freeze(cast, Target::Postmaster)),
    held("freeze_postgres", Harm::Hidden, 5, |cast, _| freeze(cast, Target::Postgres)),
    held("freeze_backend", Harm::None, 3, |cast, _| freeze(cast, Target::Backend)),
    held("freeze_backends", Harm::Hidden, 4, |cast, _| freeze(cast, Target::Backends)),
    of_primary(held("freeze_walsender", Harm::None, 4, |cast, _| freeze(cast, Target::Walsender))),
    of_standby(held("freeze_walreceiver", Harm::None, 3, |cast, _| freeze(cast, Target::Walreceiver))),
    held("freeze_checkpointer", Harm::None, 3, |cast, _| freeze(cast, Target::Checkpointer)),
    of_standby(held("freeze_startup", Harm::None, 3, |cast, _| freeze(cast, Target::Startup))),
    held("freeze_manager", Harm::Hidden, 5, |cast, _| freeze(cast, Target::Manager)),
    held("freeze_watchdog", Harm::None, 4, |cast, _| freeze(cast, Target::Watchdog)),
    held("freeze_container", Harm::Hidden, 3, |cast, _| freeze(cast, Target::Container)),
    held("freeze_pod", Harm::Hidden, 5, |cast, _| freeze(cast, Target::Pod)),
    brief(held("stall_pod", Harm::Hidden, 4, |cast, _| freeze(cast, Target::Pod))),
    held("cut_from_api", Harm::Hidden, 7, |cast, _| cut_from(cast, &["api"])),
    held("cut_from_s3", Harm::None, 3, |cast, _| cut_from(cast, &["s3"])),
    held("cut_from_one", Harm::None, 4, cut_from_one),
    short_or_long(held("cut_from_pods", Harm::Hidden, 5, |cast, _| cut_from(cast, &["pods"]))),
    held("cut_from_controller", Harm::None, 3, |cast, _| cut_from(cast, &["controller"])),
    held("cut_from_clients", Harm::None, 2, |cast, _| cut_from(cast, &["clients"])),
    held("cut_from_all", Harm::Hidden, 8, |cast, _| cut_from(cast, &["all", "api"])),
    held("cut_one_way", Harm::Hidden, 5, one_way),
    short_or_long(held("cut_flapping", Harm::Hidden, 5, flapping)),
    short_or_long(held("cut_lossy", Harm::Hidden, 4, lossy)),
    brief(held("blink", Harm::Hidden, 4, |cast, _| cut_from(cast, &["all", "api"]))),
    short_or_long(held("slow_link", Harm::Hidden, 5, slow_link)),
    short_or_long(held("late_link", Harm::Hidden, 5, late_link)),
    // Instances, API and controller reach each other by address: only the archive waits.
    held("no_names", Harm::None, 3, no_names),
    // Nothing that a cluster decides hangs on the time of day: it costs nobody anything.
    of_clocks("clock_jumps", 4, wall_jumps),
    // Nor does so little of any other clock.
    of_clocks("clock_slips", 2, clock_slips),
    // Elsewhere it makes two writers: no machine can know that its clocks stood still.
    Kind { needs: Needs::ClocksAndRequired, ..of_clocks("steady_clock_jumps", 4, steady_jumps) },
    // A full volume can be read. Statements fail, or postgres does; whether the primary goes is not said.
    of_disk("disk_full", Harm::None, 5, |cast, dice| full(cast, Volume::Data, dice)),
    of_disk("disk_no_inodes", Harm::None, 4, |cast, _| disk(cast, Volume::Data, DiskFault::NoInodes)),
    of_disk("disk_hung", Harm::Hidden, 6, |cast, _| disk(cast, Volume::Data, DiskFault::Hung)),
    of_disk("disk_read_only", Harm::Hidden, 5, |cast, _| disk(cast, Volume::Data, DiskFault::ReadOnly)),
    of_disk("disk_io_errors", Harm::Hidden, 5, |cast, _| disk(cast, Volume::Data, DiskFault::IoErrors)),
    of_wal_volume("wal_disk_full", Harm::None, 5, |cast, dice| full(cast, Volume::Wal, dice)),
    of_wal_volume("wal_disk_no_inodes", Harm::None, 4, |cast, _| disk(cast, Volume::Wal, DiskFault::NoInodes)),
    of_wal_volume("wal_disk_hung", Harm::Hidden, 6, |cast, _| disk(cast, Volume::Wal, DiskFault::Hung)),
    of_wal_volume("wal_disk_read_only", Harm::Hidden, 5, |cast, _| disk(cast, Volume::Wal, DiskFault::ReadOnly)),
    of_wal_volume("wal_disk_io_errors", Harm::Hidden, 5, |cast, _| disk(cast, Volume::Wal, DiskFault::IoErrors)),
    // Without checksums nobody could tell, and those are on where disks are.
    ruinous(of_standby(of_disk("damage_page", Harm::None, 2, damage_page))),
    ruinous(of_standby(held("damage_wal", Harm::None, 4, damage_wal))),
    ruinous(of_standby(killed("lose_volume", Harm::None, 5, lose_volume))),
    // Where nobody had to wait for a standby, what only this volume has is lost with it, and that proves nothing.
    ruinous(of_primary(Kind { needs: Needs::Required, ..killed("lose_primary_volume", Harm::Gone, 8, lose_volume) })),
    shared("s3_off", 3, |_, _| s3(S3Fault::Off)),
    shared("s3_silent", 3, |_, _| s3(S3Fault::Silent)),
    shared("s3_slow", 2, |_, dice| s3(S3Fault::Slow(dice.between(20, 400)))),
    shared("s3_trickles", 2, |_, dice| s3(S3Fault::Rate(dice.between(10_000, 1_000_000)))),
    shared("s3_resets", 3, |_, dice| s3(S3Fault::Reset(dice.between(100, 1_000_000)))),
    shared("s3_truncates", 3, |_, dice| s3(S3Fault::Truncated(dice.between(10, 200_000)))),
    shared("s3_loses_answers", 3, |_, _| s3(S3Fault::AckLost)),
    shared("s3_errors", 3, s3_errors),
    shared("s3_forbids", 3, |_, _| s3(S3Fault::Status(403))),
    shared("api_off", 4, |_, _| api(ApiFault::Off)),
    shared("api_silent", 4, |_, _| api(ApiFault::Silent)),
    shared("api_slow", 3, |_, dice| api(ApiFault::Slow(dice.between(50, 900)))),
    at_once(shared("api_errors", 4, api_errors)),
    shared("api_stale_watches", 4, |_, _| api(ApiFault::StaleWatches)),
    at_once(shared("api_drops_watches", 3, |_, _| api(ApiFault::DropWatches))),
    at_once(shared("api_forgets", 3, |_, _| api(ApiFault::Forget))),
    at_once(shared("kill_controller", 5, |_, _| controller(ControllerFault::Kill))),
    shared("freeze_controller", 4, |_, _| controller(ControllerFault::Freeze)),
    shared("controller_apart", 4, |_, _| controller(ControllerFault::Apart)),
    shared("two_controllers", 4, |_, _| controller(ControllerFault::Double)),
];
