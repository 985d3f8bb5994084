//! What is known, put where others read it: the pod's annotation and the HTTP server's snapshot.

use crate::context::Context;
use crate::http::{ClusterFacts, Identity, InstanceSnapshot, LeaseView, PostgresState, ProvenFacts, Role, Strategy};
use pgherd_core::cluster::MemberPhase;
use pgherd_core::instance::{Machine, Phase, Report};
use pgherd_core::rules::quantity;
use pgherd_core::sync::mirrored;
use pgherd_core::time::Instant;
use pgherd_proto::cluster::{Cluster, ProbeStrategy, ProbeWithStrategy, ProbesConfiguration, Proven};
use pgherd_proto::member::{LeaseSeen, MemberReport};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// One word for a phase, for the log.
#[must_use]
pub fn word(phase: &Phase) -> &'static str {
    match phase {
        Phase::Starting(_) => "starting",
        Phase::Waiting { .. } => "waiting",
        Phase::Initializing(_) => "initializing",
        Phase::Joining(..) => "joining",
        Phase::Rejoining(..) => "rejoining",
        Phase::Standby(_) => "standby",
        Phase::Candidate(_) => "candidate",
        Phase::Promoting(_) => "promoting",
        Phase::Primary => "primary",
        Phase::Crashed(_) => "crashed",
        Phase::Offering(_) => "offering",
        Phase::SteppingDown(_) => "stepping down",
        Phase::Stopping(_) => "stopping",
        Phase::Killing(..) => "killing",
        Phase::Exited => "exited",
    }
}

/// The machine's report in the words of the annotation.
#[must_use]
pub fn member_report(context: &Context, report: &Report) -> MemberReport {
    let (resource_version, term, state, stale) = report.lease.clone().unwrap_or_default();
    MemberReport {
        nonce: context.config.me.nonce.clone(),
        pod_uid: context.config.me.pod_uid.clone(),
        incarnation: report.incarnation.clone(),
        system_id: report.system_id,
        phase: report.phase,
        message: explained(report, *context.full.borrow()),
        lease_seen: LeaseSeen { resource_version, term, state, stale, lease_duration: report.lease_duration },
        position: report.position,
        tail: report.tail,
        fence: report.fence,
        lineage: report.lineage.clone(),
        pending_restart: context.pending_restart.load(Ordering::Relaxed),
        pending_restart_for_decrease: context.pending_decrease.load(Ordering::Relaxed),
        damaged: report.damaged,
        ready: matches!(report.phase, MemberPhase::Primary | MemberPhase::Standby),
    }
}

/// The machine's message, and what else it may be due to: a postgres that finds no room ends without a word that its
/// parent hears.
fn explained(report: &Report, full: Option<&str>) -> String {
    match full {
        Some(full) if report.phase == MemberPhase::Stuck => format!("{}; {full}", report.message),
        _ => report.message.clone(),
    }
}

/// Offers the report to the task that annotates the pod, unless only an LSN has changed.
pub fn report(context: &Context, machine: &Machine, now: Instant, out: &watch::Sender<Option<MemberReport>>) {
    let fresh = member_report(context, &machine.report(now));
    out.send_if_modified(|known| {
        let news =
            known.as_ref().is_none_or(|known| MemberReport { position: fresh.position, ..known.clone() } != fresh);
        if news {
            *known = Some(fresh);
        }
        news
    });
}

/// Publishes the snapshot that the HTTP server answers from.
pub fn snapshot(context: &Context, machine: &Machine, now: Instant, out: &watch::Sender<Arc<InstanceSnapshot>>) {
    let report = machine.report(now);
    let hold = machine.hold();
    let lease = machine.lease();
    let archive = context.archiving.view();
    let quorum = match (report.phase, context.mirror.borrow().as_ref(), lease, report.incarnation.as_ref()) {
        (MemberPhase::Primary, Some(setting), Some(lease), Some(writer)) => {
            mirrored(setting, &lease.value.records, lease.value.term, writer)
        }
        _ => None,
    };
    out.send_replace(Arc::new(InstanceSnapshot {
        identity: Identity {
            pod: context.config.me.name.clone(),
            pod_uid: context.config.me.pod_uid.clone(),
            nonce: context.config.me.nonce.clone(),
            cluster: context.config.cluster.clone(),
            namespace: context.config.namespace.clone(),
            node: context.config.node.clone(),
        },
        phase: report.phase,
        message: explained(&report, *context.full.borrow()),
        role: match report.phase {
            MemberPhase::Primary | MemberPhase::Promoting => Role::Primary,
            MemberPhase::Standby | MemberPhase::Candidate => Role::Standby,
            _ => Role::None,
        },
        lease: LeaseView {
            deadline: hold.map(|h| h.deadline),
            renewed_at: hold.map(|h| Instant(h.deadline.0.saturating_sub(nanos(context.timings.renew_deadline)))),
            term: lease.map(|l| l.value.term).unwrap_or_default(),
            holder: lease.and_then(|l| l.value.held_by()).map(|h| h.name.clone()),
            voter: lease.and_then(|l| l.value.records.last()).map(|record| {
                report.incarnation.as_ref().is_some_and(|own| record.needed > 0 && record.voters.contains(own))
            }),
        },
        postgres: postgres_state(context, machine.phase()),
        loop_at: now,
        system_id: report.system_id,
        incarnation: report.incarnation,
        timeline: *context.timeline.borrow(),
        config_hash: machine.configuration().unwrap_or_default().to_owned(),
        fenced: machine.is_fenced(),
        cannot_follow: machine.cannot_follow(),
        rejoining: matches!(machine.phase(), Phase::Rejoining(..)),
        serves_tail: report.tail.is_some(),
        quorum,
        switchover_required: false,
        archive,
        cluster: context.cluster_now().as_deref().map(facts),
        startup: strategy(context, |probes| probes.startup.as_ref()),
        readiness: strategy(context, |probes| probes.readiness.as_ref()),
    }));
}

/// What the user wants a probe to ask.
fn strategy(context: &Context, of: fn(&ProbesConfiguration) -> Option<&ProbeWithStrategy>) -> Strategy {
    let cluster = context.cluster_now();
    let probes = cluster.as_ref().and_then(|cluster| cluster.spec.probes.as_deref());
    let Some(probe) = probes.and_then(of).filter(|probe| probe.strategy == Some(ProbeStrategy::Streaming)) else {
        return Strategy::default();
    };
    let most_behind = probe.maximum_lag.as_ref().and_then(|lag| quantity::quantity(&lag.0).ok());
    Strategy { streams: true, most_behind }
}

/// What the metrics say of the Cluster.
fn facts(cluster: &Cluster) -> ClusterFacts {
    let status = cluster.status.as_ref();
    let seconds = |text: Option<&String>| Some(text?.parse::<jiff::Timestamp>().ok()?.as_duration().as_secs_f64());
    let topology = status.and_then(|status| status.topology.as_ref()).filter(|seen| seen.successfully_extracted);
    let window = status.and_then(|status| status.recoverability.as_ref());
    let drill = window.and_then(|window| window.drill.as_ref());
    // A look through the archive knows better than the Backups: some were taken by others, of some the data are gone.
    let looked = window.filter(|window| window.checked_at.is_some());
    let first = match looked {
        Some(window) => window.first_recoverable.as_ref(),
        None => status.and_then(|status| status.first_recoverability_point.as_ref()),
    };
    let told = seconds(status.and_then(|status| status.last_successful_backup.as_ref()));
    let seen = seconds(looked.and_then(|window| window.last_backup.as_ref()));
    ClusterFacts {
        nodes_used: topology.and_then(|seen| u64::try_from(seen.nodes_used).ok()),
        first_recoverable_at: seconds(first),
        last_backup_at: [told, seen].into_iter().flatten().reduce(f64::max),
        last_failed_backup_at: seconds(status.and_then(|status| status.last_failed_backup.as_ref())),
        last_recoverable_at: seconds(window.and_then(|window| window.last_recoverable.as_ref())),
        last_failed_drill_at: seconds(drill.and_then(|drill| drill.last_failed_at.as_ref())),
        proven: window.and_then(|window| proven(window.last_proven.as_ref()?)),
    }
}

fn proven(proven: &Proven) -> Option<ProvenFacts> {
    let seconds = |milliseconds: i64| {
        core::time::Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default()).as_secs_f64()
    };
    Some(ProvenFacts {
        instant: proven.instant.as_ref()?.parse::<jiff::Timestamp>().ok()?.as_duration().as_secs_f64(),
        total: seconds(proven.milliseconds),
        fetch: seconds(proven.fetch_milliseconds),
        replay: seconds(proven.replay_milliseconds),
        checks: seconds(proven.check_milliseconds),
    })
}

fn nanos(duration: core::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn postgres_state(context: &Context, phase: &Phase) -> PostgresState {
    match context.running() {
        None => PostgresState::Down,
        Some(_) => match phase {
            Phase::SteppingDown(_) | Phase::Stopping(_) | Phase::Killing(..) => PostgresState::Stopping,
            Phase::Primary | Phase::Standby(_) | Phase::Candidate(_) | Phase::Promoting(_) => PostgresState::Running,
            _ => PostgresState::Starting,
        },
    }
}
