//! What is done to a primary, as data, and what it may cost.

use pgherd_localkube::fault::Target;

/// One kind of end that a primary comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// As the report has it.
    pub name: &'static str,
    /// What is done.
    pub hurt: Hurt,
    /// How many clients write.
    pub clients: u32,
    /// The median that is aimed at, in seconds (docs/architecture.md).
    pub budget_s: f64,
    /// The old volume cannot be read while it lasts: without synchronous replication, its last rows may be lost.
    pub hidden: bool,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hurt {
    /// SIGKILL.
    Kill(Target),
    /// SIGSTOP, until another is the primary.
    Freeze(Target),
    /// The pod is deleted, with its grace period.
    Delete,
    /// The pod's object is deleted while its processes run on, until another is the primary.
    ForceDelete,
    /// Nothing reaches it and it reaches nobody, until another is the primary.
    CutOff,
    /// No write to its disk ends, until another is the primary.
    HangDisk,
    /// A standby is asked for by name.
    Switchover,
}

/// Longer than a lease, in seconds: 8 s and what an election takes.
const LEASE_BUDGET: f64 = 9.5;

const fn of(name: &'static str, hurt: Hurt, budget_s: f64) -> Scenario {
    Scenario { name, hurt, clients: 1, budget_s, hidden: false }
}

const fn lost(name: &'static str, hurt: Hurt) -> Scenario {
    Scenario { hidden: true, ..of(name, hurt, LEASE_BUDGET) }
}

/// All of them. A manager that dies for the second time is held back by the kubelet (10 s, 20 s, ...), so that the
/// standbys have to do without the old primary.
pub const SCENARIOS: [Scenario; 11] = [
    of("postmaster_killed", Hurt::Kill(Target::Postmaster), 0.6),
    Scenario { hidden: true, ..of("manager_killed", Hurt::Kill(Target::Manager), 1.5) },
    Scenario { hidden: true, ..of("container_killed", Hurt::Kill(Target::Container), 1.5) },
    of("pod_deleted", Hurt::Delete, 1.5),
    lost("pod_force_deleted", Hurt::ForceDelete),
    lost("partitioned", Hurt::CutOff),
    lost("frozen", Hurt::Freeze(Target::Pod)),
    lost("disk_hung", Hurt::HangDisk),
    of("switchover", Hurt::Switchover, 0.5),
    Scenario { clients: 16, ..of("switchover", Hurt::Switchover, 0.5) },
    Scenario { clients: 64, ..of("switchover", Hurt::Switchover, 0.5) },
];

impl Scenario {
    /// As a sentence about the primary, for people.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.hurt, self.clients) {
            (Hurt::Kill(Target::Postmaster), _) => "its postmaster is killed".to_owned(),
            (Hurt::Kill(Target::Manager), _) => "its manager is killed".to_owned(),
            (Hurt::Kill(_), _) => "its container is killed".to_owned(),
            (Hurt::Delete, _) => "its pod is deleted".to_owned(),
            (Hurt::ForceDelete, _) => "its pod is deleted by force, and runs on".to_owned(),
            (Hurt::CutOff, _) => "it is cut off from everything".to_owned(),
            (Hurt::Freeze(_), _) => "it is frozen".to_owned(),
            (Hurt::HangDisk, _) => "its disk hangs".to_owned(),
            (Hurt::Switchover, 1) => "switchover, 1 client writing".to_owned(),
            (Hurt::Switchover, clients) => format!("switchover, {clients} clients writing"),
        }
    }

    /// Whoever takes over has to wait until the lease has lapsed: the primary can neither be asked nor seen to be dead.
    #[must_use]
    pub const fn is_held_up_by_the_lease(&self) -> bool {
        matches!(self.hurt, Hurt::Freeze(_) | Hurt::ForceDelete | Hurt::CutOff | Hurt::HangDisk)
    }

    /// Name and clients, where there are several.
    #[must_use]
    pub fn title(&self) -> String {
        if self.clients == 1 { self.name.to_owned() } else { format!("{} {}", self.name, self.clients) }
    }
}
