//! The runs: each its bounds.

use crate::lease::Limits;
use crate::quorum::Limits as QuorumLimits;
use crate::runs::{Bounds, Run};

const fn lease(name: &'static str, about: &'static str, limits: Limits) -> Run {
    Run { name, about, bounds: Bounds::Lease(limits) }
}

const fn quorum(name: &'static str, about: &'static str, limits: QuorumLimits) -> Run {
    Run { name, about, bounds: Bounds::Quorum(limits) }
}

const FEW: QuorumLimits = QuorumLimits::FEW;
/// No time passes, nothing is written, nobody is elected, unless a run says so.
const QUIET: Limits = Limits { ticks: 0, writes: 0, elections: 0, heal_one_of: 500, ..Limits::QUIET };
/// The primary is cut off from the API from the beginning, and members pledge.
const OUTAGE: Limits = Limits { ticks: 8, elections: 1, cut: true, lease: 4, deadline: 3, failsafe: true, ..QUIET };

/// All runs.
pub const TABLE: &[Run] = &[
    lease(
        "lease-election",
        "elections of anybody by any controller while the primary is well or silent",
        Limits { ticks: 4, writes: 2, elections: 1, slow_kills: true, ..QUIET },
    ),
    lease(
        "lease-losses",
        "requests without an answer, stored, not stored, or stored long after",
        Limits { ticks: 3, writes: 1, elections: 1, losses: 1, zombies: true, ..QUIET },
    ),
    lease(
        "lease-losses-quiet",
        "the same without an election, further",
        Limits { ticks: 5, writes: 2, losses: 2, zombies: true, ..QUIET },
    ),
    lease(
        "lease-take-lost",
        "a take without an answer while the primary renews",
        Limits { ticks: 4, writes: 2, elections: 1, losses: 1, ..QUIET },
    ),
    lease(
        "lease-freeze",
        "a manager that stands still, and goes on later",
        Limits { ticks: 3, writes: 1, elections: 1, freezes: 1, ..QUIET },
    ),
    lease(
        "lease-crash",
        "a postmaster that dies while its backends go on, and the tail handed over",
        Limits { ticks: 0, writes: 4, elections: 1, crashes: 1, ..QUIET },
    ),
    lease(
        "lease-crash-lost",
        "the same, with answers lost",
        Limits { ticks: 0, writes: 3, elections: 1, crashes: 1, losses: 1, zombies: true, ..QUIET },
    ),
    lease(
        "lease-crash-in-place",
        "a postmaster that dies, and nobody who is elected",
        Limits { ticks: 5, writes: 4, crashes: 1, ..QUIET },
    ),
    lease(
        "lease-single",
        "a single instance whose postmaster dies: it recovers in place at once",
        Limits { instances: 1, ticks: 3, writes: 5, crashes: 2, ..QUIET },
    ),
    lease(
        "lease-death",
        "a container that dies and starts again, proven or not yet",
        Limits { ticks: 1, writes: 2, elections: 1, deaths: 1, ..QUIET },
    ),
    lease(
        "lease-lost-node",
        "a primary whose node is lost, and nobody says so",
        Limits { ticks: 3, writes: 2, elections: 1, lost: 1, ..QUIET },
    ),
    lease("lease-wedge", "a disk that hangs under an idle primary", Limits { ticks: 5, writes: 4, wedges: 1, ..QUIET }),
    lease(
        "lease-drift",
        "clocks that drift apart by a second within a leaseDuration of four",
        Limits { ticks: 4, writes: 1, elections: 1, drift: 1, lease: 4, ..QUIET },
    ),
    lease(
        "lease-drift-freeze",
        "the same while a manager stands still",
        Limits { ticks: 3, writes: 1, elections: 0, freezes: 1, drift: 1, lease: 4, ..QUIET },
    ),
    lease(
        "lease-touched",
        "a lease touched by hand under a holder that renews",
        Limits { ticks: 3, writes: 2, elections: 1, edits: 1, ..QUIET },
    ),
    lease(
        "lease-deleted",
        "a lease deleted by hand, made anew by its holder or by the controller",
        Limits { ticks: 3, writes: 1, elections: 1, deletes: 1, ..QUIET },
    ),
    lease(
        "lease-deleted-death",
        "the same while its holder starts again, and knows of no lease",
        Limits { ticks: 3, writes: 1, deaths: 1, deletes: 1, ..QUIET },
    ),
    lease(
        "lease-terminated",
        "SIGTERM, with kills that take time",
        Limits { ticks: 0, writes: 3, elections: 1, terminations: 1, slow_kills: true, ..QUIET },
    ),
    lease(
        "lease-handover",
        "a primary that is told to stop, three instances, two elections, within a second",
        Limits { instances: 3, writes: 3, elections: 2, terminations: 1, ..QUIET },
    ),
    lease(
        "lease-misled",
        "a postgres that takes another timeline than the reserved one",
        Limits { ticks: 0, writes: 3, elections: 1, deaths: 1, misled: 1, slow_kills: true, ..QUIET },
    ),
    lease(
        "lease-false-alarm",
        "members that are fenced at the term of a primary that is well",
        Limits { ticks: 4, writes: 3, fences: 1, heal_one_of: 5, ..QUIET },
    ),
    lease(
        "lease-double",
        "a pod deleted by force whose process lives, beside another of the same name",
        Limits { ticks: 3, writes: 1, elections: 1, doubles: 1, ..QUIET },
    ),
    lease("lease-join", "a member that joins", Limits { ticks: 0, writes: 2, elections: 1, joins: 1, ..QUIET }),
    lease(
        "lease-three",
        "three instances, two elections",
        Limits { instances: 3, ticks: 3, writes: 1, elections: 1, ..QUIET },
    ),
    lease(
        "lease-three-death",
        "three instances, a container that dies",
        Limits { instances: 3, ticks: 0, writes: 2, elections: 1, deaths: 1, ..QUIET },
    ),
    lease(
        "lease-three-crash",
        "three instances, a postmaster that dies",
        Limits { instances: 3, ticks: 0, writes: 4, elections: 1, crashes: 1, ..QUIET },
    ),
    lease(
        "lease-older-holder",
        "a change of primaryLease that the primary was not started with: it writes by longer timings than the others, and \
         stands still",
        Limits { ticks: 4, writes: 1, elections: 1, freezes: 1, older: 1, older_lease: 4, older_deadline: 3, ..QUIET },
    ),
    lease(
        "lease-older-taker",
        "the same where it is a standby that was not: it has shorter ones than the primary",
        Limits {
            ticks: 4,
            writes: 1,
            elections: 1,
            freezes: 1,
            lease: 4,
            deadline: 3,
            older: 0b10,
            older_lease: 3,
            older_deadline: 2,
            ..QUIET
        },
    ),
    lease(
        "prompt-set-back",
        "a lease that is set back to an earlier term and holder, once every volume has seen the later one",
        Limits { writes: 5, elections: 2, terminations: 1, set_backs: 1, prompt: 0b11, ..QUIET },
    ),
    lease(
        "lease-failsafe",
        "a primary that is cut off from the API, and a member that pledges",
        Limits { ticks: 9, writes: 1, ..OUTAGE },
    ),
    lease(
        "lease-failsafe-three",
        "the same with two members to pledge",
        Limits { instances: 3, ticks: 7, writes: 1, ..OUTAGE },
    ),
    lease(
        "lease-failsafe-join",
        "the same while a member joins that the primary does not know of",
        Limits { ticks: 7, writes: 1, joins: 1, ..OUTAGE },
    ),
    lease(
        "lease-failsafe-join-late",
        "a primary that is cut off after it has named a new member, or before it knows whether it has",
        Limits { ticks: 5, writes: 1, joins: 1, cuts: 1, cut: false, ..OUTAGE },
    ),
    lease(
        "lease-failsafe-restart",
        "the same while a member that has pledged starts again: its pledges are forgotten, and so is its timer",
        Limits { ticks: 8, writes: 1, deaths: 1, ..OUTAGE },
    ),
    lease(
        "lease-failsafe-lost",
        "answers that get lost, and requests that land late, before and in an outage",
        Limits { ticks: 5, writes: 1, losses: 1, zombies: true, cuts: 1, cut: false, ..OUTAGE },
    ),
    lease(
        "lease-failsafe-freeze",
        "a manager that stands still in an outage",
        Limits { ticks: 8, writes: 1, freezes: 1, ..OUTAGE },
    ),
    lease(
        "lease-failsafe-gone",
        "a primary that is cut off, lives by pledges, and is lost with its node",
        Limits { ticks: 6, writes: 2, elections: 0, lost: 1, heal_one_of: 1, ..OUTAGE },
    ),
    lease(
        "lease-failsafe-crash",
        "a postmaster that dies while the API is silent, members that pledge, and a request to fence",
        Limits { ticks: 3, writes: 1, elections: 0, crashes: 1, fences: 1, cut: false, ..OUTAGE },
    ),
    lease(
        "lease-sync",
        "commits that wait for a standby, and a postmaster that dies",
        Limits { sync: 1, ticks: 4, writes: 4, crashes: 1, ..QUIET },
    ),
    lease(
        "lease-sync-election",
        "commits that wait for one of two standbys, members that fence themselves, and an election",
        Limits { instances: 3, sync: 1, ticks: 0, writes: 3, elections: 1, fences: 2, deaths: 1, ..QUIET },
    ),
    lease(
        "lease-sync-outage",
        "an outage while commits wait for one of two: W of V pledges (ADR 8)",
        Limits { instances: 3, sync: 1, ticks: 7, writes: 1, fences: 2, ..OUTAGE },
    ),
    quorum(
        "quorum-elections",
        "two elections, one after the other, and a primary that dies or not",
        QuorumLimits { writes: 1, elections: 2, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-narrow",
        "the same, where a new primary promises those only who answered",
        QuorumLimits { writes: 2, elections: 2, crashes: 1, narrow: true, ..FEW },
    ),
    quorum(
        "quorum-controllers",
        "two controllers, two elections that overlap",
        QuorumLimits { writes: 1, elections: 2, controllers: 2, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-release",
        "the same while primaries end in order: an election meets a lease that was released since",
        QuorumLimits { writes: 1, elections: 2, controllers: 2, crashes: 1, releases: 1, ..FEW },
    ),
    quorum(
        "quorum-unfenced",
        "a controller that hears members which do not fence themselves",
        QuorumLimits { writes: 1, elections: 1, unfenced: true, ..FEW },
    ),
    quorum(
        "quorum-by-hand",
        "a standby that is promoted by hand",
        QuorumLimits { writes: 1, elections: 1, meddles: 1, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-change",
        "the synchronous set changes once, and an election comes between",
        QuorumLimits { writes: 1, elections: 1, changes: 1, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-change-lost",
        "it changes twice, with publishings that have no answer",
        QuorumLimits { writes: 0, elections: 0, changes: 2, losses: 1, ..FEW },
    ),
    quorum(
        "quorum-release-idle",
        "two controllers, and a primary that ends in order: an election meets a lease of a later term",
        QuorumLimits { writes: 0, elections: 2, controllers: 2, releases: 1, ..FEW },
    ),
    quorum(
        "quorum-change-idle",
        "an election while the one before changes its set",
        QuorumLimits { writes: 0, elections: 1, changes: 1, ..FEW },
    ),
    quorum("quorum-changes", "it changes twice", QuorumLimits { writes: 0, elections: 0, changes: 2, ..FEW }),
    quorum(
        "quorum-wipe",
        "a volume is lost and cloned anew, from anybody",
        QuorumLimits { writes: 1, elections: 1, wipes: 1, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-wipe-twice",
        "the same with two elections",
        QuorumLimits { writes: 1, elections: 2, wipes: 1, ..FEW },
    ),
    quorum(
        "quorum-raise",
        "a holder raises its term while elections are under way",
        QuorumLimits { writes: 1, elections: 2, raises: 1, ..FEW },
    ),
    quorum(
        "quorum-raise-change",
        "the same while the set changes",
        QuorumLimits { writes: 0, elections: 0, raises: 1, changes: 2, ..FEW },
    ),
    quorum(
        "quorum-both",
        "commits wait for both standbys",
        QuorumLimits { writes: 1, elections: 1, changes: 1, needed: 2, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-preferred",
        "preferred: from one to nobody and back",
        QuorumLimits { writes: 0, elections: 0, changes: 2, preferred: true, ..FEW },
    ),
    quorum(
        "quorum-preferred-release",
        "preferred: from one to nobody, then a release, and an election from before",
        QuorumLimits { writes: 1, elections: 1, changes: 1, releases: 1, preferred: true, ..FEW },
    ),
    lease(
        "prompt-late-take",
        "three instances that hear at once, a holder that dies, two takes, and answers that come late",
        Limits { instances: 3, ticks: 3, writes: 2, elections: 2, deaths: 1, slow_kills: true, prompt: 0b111, ..QUIET },
    ),
    lease(
        "prompt-late-answer",
        "a renewal whose answer comes a second late",
        Limits { ticks: 5, writes: 2, elections: 1, slow_kills: true, lease: 4, deadline: 3, prompt: 0b11, ..QUIET },
    ),
    lease(
        "prompt-crash",
        "a postmaster that dies, and a release that has no answer or lands late",
        Limits { ticks: 3, writes: 4, elections: 1, crashes: 1, losses: 1, zombies: true, prompt: 0b11, ..QUIET },
    ),
    lease(
        "prompt-crash-in-place",
        "a postmaster that dies twice, and nobody who is elected",
        Limits { ticks: 6, writes: 5, crashes: 2, prompt: 0b11, ..QUIET },
    ),
    lease(
        "prompt-sync-crash",
        "commits that wait for a standby, and a postmaster that dies and recovers in place",
        Limits { sync: 1, ticks: 5, writes: 6, crashes: 1, prompt: 0b11, ..QUIET },
    ),
    lease(
        "prompt-election",
        "a standby that hears at once, and a primary whose answers come late",
        Limits { ticks: 6, writes: 4, elections: 1, slow_kills: true, prompt: 0b11, ..QUIET },
    ),
    lease(
        "prompt-take-lost",
        "a take without an answer by a standby that hears late, while the primary renews",
        Limits { ticks: 4, writes: 3, elections: 1, losses: 1, slow_kills: true, prompt: 0b01, ..QUIET },
    ),
    lease(
        "prompt-touched",
        "a lease touched by hand",
        Limits { ticks: 5, writes: 4, elections: 1, edits: 1, slow_kills: true, prompt: 0b11, ..QUIET },
    ),
    lease(
        "prompt-freeze",
        "a manager that stands still, further",
        Limits { ticks: 5, writes: 3, elections: 1, freezes: 1, prompt: 0b11, ..QUIET },
    ),
    lease(
        "prompt-losses",
        "two requests without an answer, further",
        Limits { ticks: 5, writes: 3, elections: 1, losses: 2, zombies: true, prompt: 0b11, ..QUIET },
    ),
    lease(
        "prompt-drift",
        "clocks that drift apart while a manager stands still, further",
        Limits {
            ticks: 5,
            writes: 2,
            elections: 1,
            freezes: 1,
            drift: 1,
            lease: 4,
            prompt: 0b11,
            slow_kills: true,
            ..QUIET
        },
    ),
    lease(
        "prompt-deleted",
        "a lease deleted by hand, and its controller or its holder makes it anew",
        Limits { ticks: 5, writes: 4, elections: 1, deletes: 1, prompt: 0b11, ..QUIET },
    ),
    lease(
        "prompt-three",
        "three instances that hear at once, two elections, a manager that dies",
        Limits { instances: 3, ticks: 4, writes: 3, elections: 2, deaths: 1, prompt: 0b111, ..QUIET },
    ),
    lease(
        "prompt-join",
        "an outage that begins while the list of takers with a new member has no answer",
        Limits { ticks: 7, writes: 2, joins: 1, cuts: 1, cut: false, prompt: 0b111, ..OUTAGE },
    ),
    lease(
        "prompt-sync",
        "an outage while commits wait for one of two: W of V pledges (ADR 8)",
        Limits { instances: 3, sync: 1, ticks: 8, writes: 1, fences: 2, prompt: 0b111, ..OUTAGE },
    ),
    lease(
        "prompt-sync-both",
        "the same where they wait for both",
        Limits { instances: 3, sync: 2, ticks: 8, writes: 1, fences: 2, prompt: 0b111, ..OUTAGE },
    ),
    lease(
        "prompt-failsafe-three",
        "an outage with two members to pledge, one of which stands still",
        Limits { instances: 3, ticks: 8, writes: 1, freezes: 1, prompt: 0b111, ..OUTAGE },
    ),
    lease(
        "deep-election",
        "as lease-election, further",
        Limits { ticks: 6, writes: 4, elections: 2, slow_kills: true, ..QUIET },
    ),
    lease(
        "deep-three",
        "three instances, two elections, further",
        Limits { instances: 3, ticks: 6, writes: 3, elections: 2, ..QUIET },
    ),
    lease(
        "deep-all",
        "three instances and every fault",
        Limits { instances: 3, ticks: 5, writes: 3, elections: 1, lease: 4, ..Limits::EVERY },
    ),
    lease(
        "deep-outage",
        "three instances, and every fault in an outage",
        Limits {
            instances: 3,
            ticks: 9,
            writes: 2,
            losses: 1,
            zombies: true,
            deaths: 1,
            freezes: 1,
            joins: 1,
            lost: 1,
            cuts: 1,
            cut: false,
            ..OUTAGE
        },
    ),
    lease(
        "deep-sync",
        "three instances, commits that wait, and every fault",
        Limits {
            instances: 3,
            sync: 1,
            ticks: 6,
            writes: 3,
            losses: 1,
            zombies: true,
            crashes: 1,
            deaths: 1,
            fences: 3,
            cuts: 1,
            cut: false,
            ..OUTAGE
        },
    ),
    quorum(
        "deep-wipe",
        "a volume is lost and cloned anew, two elections, two commits",
        QuorumLimits { writes: 2, elections: 2, wipes: 1, crashes: 1, ..FEW },
    ),
    quorum(
        "deep-quorum",
        "every fault of the quorum",
        QuorumLimits {
            writes: 2,
            elections: 2,
            controllers: 2,
            changes: 2,
            crashes: 1,
            wipes: 1,
            losses: 1,
            raises: 1,
            releases: 1,
            meddles: 1,
            ..FEW
        },
    ),
];
