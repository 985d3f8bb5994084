//! Every kind of fault, as data: a new one is a new line here.

use super::dice::Dice;
use pgherd_localkube::fault::{ApiFault, ControllerFault, Cut, FaultRequest, Flap, Target, Way};
use pgherd_localkube::s3::S3Fault;

/// Whom a fault is put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A pod, the primary's or a standby's.
    Pod,
    /// Something that all pods share.
    Everybody,
}

/// What a fault does to the pod it is put on, where that is the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// It may stay the primary.
    None,
    /// It has to be replaced, and its volume can be read at once.
    Deposed,
    /// Its volume cannot be read while the fault lasts; where that is longer than a lease, it has to be replaced.
    Hidden,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// By the daemon.
    Fault(FaultRequest),
    /// The pod is deleted, with its grace period or without.
    DeletePod {
        /// Which.
        pod: String,
        /// At once, without a grace period.
        force: bool,
    },
}

/// The pods, when a fault is put on.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Whom it is put on, as faults are told it.
    pub pod: String,
    /// All other pods of the cluster, the same way.
    pub others: Vec<String>,
}

/// A kind of fault.
pub struct Kind {
    /// As the report has it.
    pub name: &'static str,
    /// On whom.
    pub whom: Whom,
    /// What it does to a primary.
    pub harm: Harm,
    /// How long it lasts, in milliseconds from, to; `None` is over at once.
    pub lasts: Option<(u64, u64)>,
    /// How likely it is, beside the others.
    pub weight: u64,
    /// What is to be done.
    pub acts: fn(&Cast, &mut Dice) -> Vec<Act>,
}

impl Kind {
    /// Whether a primary cannot outlive it.
    #[must_use]
    pub fn deposes(&self) -> bool {
        match self.harm {
            Harm::None => false,
            Harm::Deposed => true,
            Harm::Hidden => self.lasts.is_some_and(|(shortest, _)| shortest >= LEASE),
        }
    }
}

/// Longer than a lease, in milliseconds.
const LEASE: u64 = 9_000;
/// Shorter and longer than a lease.
const SHORT_OR_LONG: Option<(u64, u64)> = Some((800, 20_000));
/// Shorter than a lease.
const BRIEF: Option<(u64, u64)> = Some((500, 4_000));
/// Long enough for the standbys to do without.
const LONG: Option<(u64, u64)> = Some((10_000, 20_000));

const fn killed(name: &'static str, harm: Harm, weight: u64, acts: fn(&Cast, &mut Dice) -> Vec<Act>) -> Kind {
    Kind { name, whom: Whom::Pod, harm, lasts: None, weight, acts }
}

const fn held(name: &'static str, harm: Harm, weight: u64, acts: fn(&Cast, &mut Dice) -> Vec<Act>) -> Kind {
    let lasts = if matches!(harm, Harm::Hidden) { LONG } else { SHORT_OR_LONG };
    Kind { name, whom: Whom::Pod, harm, lasts, weight, acts }
}

const fn shared(name: &'static str, weight: u64, acts: fn(&Cast, &mut Dice) -> Vec<Act>) -> Kind {
    Kind { name, whom: Whom::Everybody, harm: Harm::None, lasts: SHORT_OR_LONG, weight, acts }
}

fn fault(request: FaultRequest) -> Vec<Act> {
    vec![Act::Fault(request)]
}

fn kill(cast: &Cast, target: Target) -> Vec<Act> {
    fault(FaultRequest::Kill { target, pod: cast.pod.clone() })
}

fn freeze(cast: &Cast, target: Target) -> Vec<Act> {
    fault(FaultRequest::Freeze { target, pod: cast.pod.clone() })
}

fn cut(cast: &Cast, from: &[&str], way: Way) -> Cut {
    let from = from.iter().map(|&peer| peer.to_owned()).collect();
    Cut { pods: vec![cast.pod.clone()], from, way, ..Cut::default() }
}

fn apart(cut: Cut) -> Vec<Act> {
    fault(FaultRequest::Cut(cut))
}

fn one_way(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    apart(cut(cast, &["api", "pods"], if dice.percent(50) { Way::In } else { Way::Out }))
}

fn flapping(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    let flap = Flap { cut: dice.between(300, 3_000), open: dice.between(300, 3_000) };
    apart(Cut { flap: Some(flap), ..cut(cast, &["api", "pods"], Way::Both) })
}

fn lossy(cast: &Cast, dice: &mut Dice) -> Vec<Act> {
    let percent = u8::try_from(dice.between(5, 40)).ok();
    apart(Cut { percent, ..cut(cast, &["api", "pods"], Way::Both) })
}

fn from_pods(cast: &Cast, _: &mut Dice) -> Vec<Act> {
    apart(cut(cast, &["pods"], Way::Both))
}

fn from_one(cast: &Cast) -> Vec<Act> {
    let first = cast.others.first().map(String::as_str);
    apart(cut(cast, first.as_slice(), Way::Both))
}

fn delete(cast: &Cast, force: bool) -> Vec<Act> {
    vec![Act::DeletePod { pod: cast.pod.clone(), force }]
}

fn delete_object(cast: &Cast, _: &mut Dice) -> Vec<Act> {
    fault(FaultRequest::ForceDelete { pod: cast.pod.clone() })
}

fn controller(what: ControllerFault) -> Vec<Act> {
    fault(FaultRequest::Controller { what })
}

fn s3(what: S3Fault) -> Vec<Act> {
    fault(FaultRequest::S3 { what })
}

fn api(what: ApiFault) -> Vec<Act> {
    fault(FaultRequest::Api { what })
}

/// All of them.
pub const KINDS: [Kind; 43] = [
    killed("kill_postmaster", Harm::Deposed, 12, |cast, _| kill(cast, Target::Postmaster)),
    killed("kill_backend", Harm::Deposed, 4, |cast, _| kill(cast, Target::Backend)),
    killed("kill_walsender", Harm::None, 3, |cast, _| kill(cast, Target::Walsender)),
    killed("kill_checkpointer", Harm::Deposed, 3, |cast, _| kill(cast, Target::Checkpointer)),
    killed("kill_manager", Harm::Deposed, 8, |cast, _| kill(cast, Target::Manager)),
    killed("kill_watchdog", Harm::None, 5, |cast, _| kill(cast, Target::Watchdog)),
    killed("kill_container", Harm::Deposed, 6, |cast, _| kill(cast, Target::Container)),
    killed("kill_pod", Harm::Deposed, 6, |cast, _| kill(cast, Target::Pod)),
    killed("delete_pod", Harm::Deposed, 8, |cast, _| delete(cast, false)),
    killed("force_delete_pod", Harm::Deposed, 5, |cast, _| delete(cast, true)),
    Kind { lasts: SHORT_OR_LONG, ..held("force_delete_alive", Harm::Hidden, 5, delete_object) },
    held("kubelet_apart", Harm::None, 4, |cast, _| fault(FaultRequest::KubeletApart { of: cast.pod.clone() })),
    held("freeze_postmaster", Harm::Hidden, 5, |cast, _| freeze(cast, Target::Postmaster)),
    held("freeze_postgres", Harm::Hidden, 5, |cast, _| freeze(cast, Target::Postgres)),
    held("freeze_backends", Harm::None, 4, |cast, _| freeze(cast, Target::Backends)),
    held("freeze_walsender", Harm::None, 4, |cast, _| freeze(cast, Target::Walsender)),
    held("freeze_checkpointer", Harm::None, 3, |cast, _| freeze(cast, Target::Checkpointer)),
    held("freeze_startup", Harm::None, 3, |cast, _| freeze(cast, Target::Startup)),
    held("freeze_manager", Harm::Hidden, 5, |cast, _| freeze(cast, Target::Manager)),
    held("freeze_watchdog", Harm::None, 4, |cast, _| freeze(cast, Target::Watchdog)),
    held("freeze_pod", Harm::Hidden, 5, |cast, _| freeze(cast, Target::Pod)),
    Kind { lasts: BRIEF, ..held("stall_pod", Harm::Hidden, 4, |cast, _| freeze(cast, Target::Pod)) },
    held("cut_from_api", Harm::Hidden, 7, |cast, _| apart(cut(cast, &["api"], Way::Both))),
    held("cut_from_s3", Harm::None, 3, |cast, _| apart(cut(cast, &["s3"], Way::Both))),
    held("cut_from_one", Harm::None, 4, |cast, _| from_one(cast)),
    Kind { lasts: SHORT_OR_LONG, ..held("cut_from_pods", Harm::Hidden, 5, from_pods) },
    held("cut_from_controller", Harm::None, 3, |cast, _| apart(cut(cast, &["controller"], Way::Both))),
    held("cut_from_all", Harm::Hidden, 8, |cast, _| apart(cut(cast, &["all", "api"], Way::Both))),
    held("cut_one_way", Harm::Hidden, 5, one_way),
    Kind { lasts: SHORT_OR_LONG, ..held("cut_flapping", Harm::Hidden, 5, flapping) },
    Kind { lasts: SHORT_OR_LONG, ..held("cut_lossy", Harm::Hidden, 4, lossy) },
    Kind { lasts: BRIEF, ..held("blink", Harm::Hidden, 4, |cast, _| apart(cut(cast, &["all", "api"], Way::Both))) },
    shared("s3_off", 3, |_, _| s3(S3Fault::Off)),
    shared("s3_silent", 3, |_, _| s3(S3Fault::Silent)),
    shared("s3_slow", 3, |_, dice| s3(S3Fault::Slow(dice.between(20, 400)))),
    shared("s3_loses_answers", 3, |_, _| s3(S3Fault::AckLost)),
    shared("s3_errors", 3, |_, dice| s3(S3Fault::Status(if dice.percent(50) { 503 } else { 500 }))),
    shared("api_off", 4, |_, _| api(ApiFault::Off)),
    shared("api_slow", 3, |_, dice| api(ApiFault::Slow(dice.between(50, 900)))),
    Kind { lasts: None, ..shared("api_errors", 4, api_errors) },
    Kind { lasts: None, ..shared("api_forgets", 3, |_, _| api(ApiFault::Forget)) },
    Kind { lasts: None, ..shared("kill_controller", 5, |_, _| controller(ControllerFault::Kill)) },
    shared("two_controllers", 4, |_, _| controller(ControllerFault::Double)),
];

fn api_errors(_: &Cast, dice: &mut Dice) -> Vec<Act> {
    let count = u32::try_from(dice.between(1, 30)).unwrap_or(1);
    api(ApiFault::Errors { count, status: if dice.percent(50) { 500 } else { 429 } })
}

/// A kind by its name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
