//! `pgherd status`: one screen that says whether the data is safe, and why.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use pgherd_core::election::{DRAIN_REFUSED, SWITCHOVER_REFUSED};
use pgherd_proto::cluster::reason::ARCHIVING_WORKS;
use pgherd_proto::cluster::{Cluster, ClusterStatus, LossStatus, condition, drill_phase, phase};
use pgherd_proto::labels;
use pgherd_proto::member::{MemberReport, Phase};
use serde::Serialize;

use crate::args::{ClusterArguments, Output};
use crate::cluster::find_cluster;
use crate::output;

/// Between two looks of `--watch`.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What is shown.
#[derive(Debug, Serialize)]
struct View {
    cluster: String,
    namespace: String,
    phase: String,
    safe: bool,
    /// Why, or why not.
    reasons: Vec<String>,
    /// How an election stands that is due: who is eligible, who is not and why, what it waits for, what forcing somebody
    /// would lose.
    election: Vec<String>,
    primary: Option<String>,
    timeline: Option<i64>,
    ready: i32,
    wanted: i32,
    lease: LeaseView,
    archiving: Option<Archiving>,
    /// What the last restore drill came to.
    proof: Option<String>,
    members: Vec<Member>,
}

#[derive(Debug, Default, Serialize)]
struct LeaseView {
    holder: String,
    state: String,
    term: String,
}

#[derive(Debug, Serialize)]
struct Archiving {
    works: bool,
    message: String,
}

#[derive(Debug, Serialize)]
struct Member {
    name: String,
    phase: String,
    position: String,
    ready: bool,
    message: String,
}

/// Prints it. Exit code 2 if the data is not safe.
pub async fn run(cluster: &ClusterArguments, watch: bool, shape: Output) -> anyhow::Result<u8> {
    if !watch {
        return show(cluster, false, shape).await;
    }
    loop {
        show(cluster, true, shape).await?;
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn show(cluster: &ClusterArguments, clears: bool, shape: Output) -> anyhow::Result<u8> {
    let found = find_cluster(cluster).await?;
    let pods: Api<Pod> = Api::namespaced(found.client.clone(), &found.namespace);
    let of_cluster = ListParams::default().labels(&format!("{}={}", labels::CLUSTER, found.name));
    let pods = pods.list(&of_cluster).await?.items;
    let leases: Api<Lease> = Api::namespaced(found.client.clone(), &found.namespace);
    let lease = leases.get_opt(&found.name).await?;
    let view = look(&found.cluster, &pods, lease.as_ref());
    let colours = output::has_colours();
    output::print(shape, &view, || {
        let clear = if clears && colours { "\x1b[H\x1b[J" } else { "" };
        format!("{clear}{}", screen(&view, colours))
    })?;
    Ok(if view.safe { 0 } else { 2 })
}

fn look(cluster: &Cluster, pods: &[Pod], lease: Option<&Lease>) -> View {
    let none = ClusterStatus::default();
    let status = cluster.status.as_ref().unwrap_or(&none);
    let archiving = status.conditions.iter().find(|condition| condition.type_ == "ContinuousArchiving");
    let archiving =
        archiving.map(|condition| Archiving { works: condition.status == "True", message: condition.message.clone() });
    let mut view = View {
        cluster: cluster.metadata.name.clone().unwrap_or_default(),
        namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
        phase: phase_of(status),
        safe: false,
        reasons: Vec::new(),
        election: Vec::new(),
        primary: status.current_primary.clone(),
        timeline: status.timeline_id,
        ready: status.ready_instances.unwrap_or(0),
        wanted: cluster.spec.instances,
        lease: lease.map(lease_view).unwrap_or_default(),
        archiving,
        proof: proof(cluster),
        members: pods.iter().map(member).collect(),
    };
    election(status, &mut view);
    view
}

/// What was proven to be restorable, and why it no longer is.
fn proof(cluster: &Cluster) -> Option<String> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let proven = cluster
        .last_proven()
        .map(|proven| format!("proven restorable up to {}, at {}", text(&proven.instant), text(&proven.proven_at)));
    let failed = cluster
        .drill()
        .filter(|drill| drill.phase.as_deref() == Some(drill_phase::FAILED))
        .map(|drill| format!("the last restore drill failed at {}: {}", text(&drill.stopped_at), text(&drill.error)));
    let all: Vec<String> = [failed, proven].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// With how far it is, where the cluster is being restored.
fn phase_of(status: &ClusterStatus) -> String {
    let phase = status.phase.clone().unwrap_or_else(|| "not seen by the controller yet".to_owned());
    let explained = [phase::RESTORING, phase::HIBERNATED].contains(&phase.as_str());
    match status.phase_reason.as_deref().filter(|reason| explained && !reason.is_empty()) {
        Some(reason) => format!("{phase} ({reason})"),
        None => phase,
    }
}

/// Condition `PrimaryElected`, and the last refusal: the primary may be well and only not able to hand over.
fn election(status: &ClusterStatus, view: &mut View) {
    let condition = status.conditions.iter().find(|condition| condition.type_ == condition::PRIMARY_ELECTED);
    let due = condition.filter(|condition| condition.status == "False");
    let refusal = status.election_refusal.as_ref();
    let mut bad = Vec::new();
    match (due, refusal) {
        (_, Some(refusal)) if is_of_handover(&refusal.reason) => {
            view.election.push(format!("the primary stays: {}", refusal.reason));
            view.election.extend(refusal.missing.iter().cloned());
        }
        (_, Some(refusal)) => {
            bad.push(format!("nobody can be elected: {}", refusal.reason));
            view.election.extend(refusal.missing.iter().cloned());
            let force = |loss: &LossStatus| {
                let program = crate::called();
                format!("`{program} promote {} --instance {} --force` gives that up", view.cluster, loss.instance)
            };
            view.election.extend(refusal.losses.iter().map(force));
        }
        (Some(condition), None) => {
            bad.push("no primary is known to be well".to_owned());
            view.election.extend(condition.message.split("; ").map(str::to_owned));
        }
        (None, None) => {}
    }
    view.reasons = bad;
    (view.safe, view.reasons) = verdict(view);
}

fn is_of_handover(reason: &str) -> bool {
    reason.ends_with(SWITCHOVER_REFUSED) || reason.ends_with(DRAIN_REFUSED)
}

fn lease_view(lease: &Lease) -> LeaseView {
    let note =
        |key: &str| lease.metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned().unwrap_or_default();
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
    LeaseView { holder, state: note(labels::LEASE_STATE), term: note(labels::LEASE_TERM) }
}

fn member(pod: &Pod) -> Member {
    let text = pod.metadata.annotations.as_ref().and_then(|all| all.get(labels::MEMBER));
    let report = text.and_then(|text| serde_json::from_str::<MemberReport>(text).ok());
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    let phase = report.as_ref().and_then(|report| serde_json::to_value(report.phase).ok());
    let phase = phase.and_then(|phase| phase.as_str().map(str::to_owned));
    Member {
        name: pod.metadata.name.clone().unwrap_or_default(),
        phase: phase.unwrap_or_else(|| "unknown".to_owned()),
        // A primary's report is from before it was one: it writes on from there.
        position: report
            .as_ref()
            .filter(|report| report.phase != Phase::Primary)
            .and_then(|report| report.position.as_ref())
            .map(|at| format!("{}/{}", at.timeline, at.lsn))
            .unwrap_or_default(),
        ready,
        message: report.map(|report| report.message).unwrap_or_default(),
    }
}

/// Safe: one holder that is open, a second copy or a working archive. Every reason counts, good or bad.
fn verdict(view: &View) -> (bool, Vec<String>) {
    let mut reasons = view.reasons.clone();
    let mut safe = reasons.is_empty();
    if view.lease.state == "open" && !view.lease.holder.is_empty() {
        reasons.push(format!("{} alone may write (term {})", view.lease.holder, view.lease.term));
    } else {
        safe = false;
        reasons.push(match view.lease.state.as_str() {
            "" => "nobody has held the right to write yet".to_owned(),
            state => format!("nobody writes now: the lease is {state}"),
        });
    }
    let standbys = view.members.iter().filter(|member| member.ready && member.phase == "standby").count();
    let archived = view.archiving.as_ref().is_some_and(|archiving| archiving.works);
    reasons.push(match standbys {
        0 => "no standby has a copy now".to_owned(),
        1 => "1 standby has a copy".to_owned(),
        many => format!("{many} standbys have copies"),
    });
    reasons.push(match &view.archiving {
        None => "WAL is not archived, or nothing is known about it yet".to_owned(),
        Some(archiving) if archiving.works => {
            // What comes after it is a backlog.
            format!("WAL is archived{}", archiving.message.strip_prefix(ARCHIVING_WORKS).unwrap_or_default())
        }
        Some(archiving) => format!("WAL is not being archived: {}", archiving.message),
    });
    safe &= standbys > 0 || archived;
    safe &= view.archiving.as_ref().is_none_or(|archiving| archiving.works);
    (safe, reasons)
}

fn screen(view: &View, colours: bool) -> String {
    let word = match (view.safe, colours) {
        (true, false) => "The data is safe",
        (false, false) => "The data is NOT safe now",
        (true, true) => "\x1b[32mThe data is safe\x1b[0m",
        (false, true) => "\x1b[1;31mThe data is NOT safe now\x1b[0m",
    };
    let mut rows = vec![["INSTANCE", "PHASE", "READY", "WAL", "MESSAGE"].map(str::to_owned).to_vec()];
    for member in &view.members {
        let ready = if member.ready { "yes" } else { "no" }.to_owned();
        let cells = [&member.name, &member.phase, &ready, &member.position, &member.message];
        rows.push(cells.map(Clone::clone).to_vec());
    }
    let timeline = view.timeline.map(|timeline| format!(", timeline {timeline}")).unwrap_or_default();
    let election: String = view.election.iter().map(|line| format!("  - {line}\n")).collect();
    let proof = view.proof.as_ref().map(|proof| format!("backups: {proof}\n")).unwrap_or_default();
    format!(
        "{}/{}: {}\n{word}: {}.\n{election}primary {}{timeline}, {} of {} ready\n{proof}\n{}",
        view.namespace,
        view.cluster,
        view.phase,
        view.reasons.join("; "),
        view.primary.as_deref().unwrap_or("none"),
        view.ready,
        view.wanted,
        output::table(&rows)
    )
}

#[cfg(test)]
mod tests {
    use super::{ARCHIVING_WORKS, Archiving, LeaseView, Member, View, look, screen, verdict};
    use k8s_openapi::api::coordination::v1::Lease;
    use k8s_openapi::api::core::v1::Pod;
    use pgherd_proto::cluster::Cluster;
    use serde_json::{Value, json};

    fn view(state: &str, standby_ready: bool, archiving: Option<bool>) -> View {
        View {
            cluster: "c".into(),
            namespace: "n".into(),
            phase: String::new(),
            safe: false,
            reasons: Vec::new(),
            election: Vec::new(),
            primary: Some("c-1".into()),
            timeline: Some(1),
            ready: 2,
            wanted: 2,
            lease: LeaseView { holder: "c-1".into(), state: state.into(), term: "1".into() },
            archiving: archiving.map(|works| Archiving { works, message: "S3 is off".into() }),
            proof: None,
            members: vec![Member {
                name: "c-2".into(),
                phase: "standby".into(),
                position: String::new(),
                ready: standby_ready,
                message: String::new(),
            }],
        }
    }

    #[test]
    fn data_is_safe_with_one_writer_and_a_second_copy_and_no_failing_archive() {
        for (state, standby, archiving, safe) in [
            ("open", true, Some(true), true),
            ("open", true, None, true),
            ("open", false, Some(true), true),
            ("open", false, None, false),
            ("open", true, Some(false), false),
            ("released", true, Some(true), false),
        ] {
            let (found, reasons) = verdict(&view(state, standby, archiving));
            assert_eq!(found, safe, "{state} {standby} {archiving:?}: {reasons:?}");
        }
    }

    #[test]
    fn a_backlog_of_wal_is_shown() {
        let message = format!("{ARCHIVING_WORKS}, and catches up: 80 WAL files wait");
        let behind = View { archiving: Some(Archiving { works: true, message }), ..view("open", true, None) };
        let (safe, reasons) = verdict(&behind);
        assert!(
            safe && reasons.contains(&"WAL is archived, and catches up: 80 WAL files wait".to_owned()),
            "{reasons:?}"
        );
    }

    fn shown(status: &Value, state: &str) -> String {
        let cluster: Cluster = serde_json::from_value(json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
            "metadata": {"name": "c", "namespace": "n"}, "spec": {"instances": 2}, "status": status}))
        .unwrap();
        let lease: Lease = serde_json::from_value(json!({"metadata": {"name": "c",
            "annotations": {"pgherd.io/state": state, "pgherd.io/term": "4"}}, "spec": {"holderIdentity": "c-1"}}))
        .unwrap();
        let report =
            json!({"nonce": "n2", "podUID": "u2", "phase": "standby", "position": {"timeline": 1, "lsn": "0/300"}});
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "c-2",
            "annotations": {"pgherd.io/member": report.to_string()}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}}))
        .unwrap();
        screen(&look(&cluster, &[pod], Some(&lease)), false)
    }

    #[test]
    fn an_election_that_is_refused_is_explained_with_what_forcing_it_would_lose() {
        let refusal = json!({"reason": "an acknowledged commit may be missing on all who answered",
            "missing": ["c-1 does not answer", "term 4 needs 1 more of [c-3], or its writer c-1",
                        "c-2 has WAL up to 0/300 on timeline 1: forcing it loses 512 bytes or more"],
            "losses": [{"instance": "c-2", "podUID": "u2", "bytes": 512}], "leaseVersion": "77", "term": 4});
        let condition = json!({"type": "PrimaryElected", "status": "False", "reason": "ElectionRefused", "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = json!({"phase": "Failing over", "electionRefusal": refusal, "conditions": [condition],
            "currentPrimary": "c-1", "timelineID": 1, "readyInstances": 1});
        assert_eq!(
            shown(&status, "open").lines().take(8).collect::<Vec<_>>().join("\n"),
            "n/c: Failing over\n\
             The data is NOT safe now: nobody can be elected: an acknowledged commit may be missing on all who answered; \
             c-1 alone may write (term 4); 1 standby has a copy; WAL is not archived, or nothing is known about it yet.\n\
             \x20 - c-1 does not answer\n\
             \x20 - term 4 needs 1 more of [c-3], or its writer c-1\n\
             \x20 - c-2 has WAL up to 0/300 on timeline 1: forcing it loses 512 bytes or more\n\
             \x20 - `pgherd promote c --instance c-2 --force` gives that up\n\
             primary c-1, timeline 1, 1 of 2 ready\n"
        );
    }

    #[test]
    fn an_election_that_waits_says_for_what_and_who_is_eligible() {
        let message = "the primary has not renewed its lease; waits for spec.failoverDelay of 30 s; eligible by what they \
                       last said: c-2 (0/300 on timeline 1); not eligible: c-1 is the primary that is to be replaced";
        let condition = json!({"type": "PrimaryElected", "status": "False", "reason": "ElectionWaits", "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let text = shown(&json!({"phase": "Failing over", "conditions": [condition]}), "open");
        for line in [
            "The data is NOT safe now: no primary is known to be well",
            "  - waits for spec.failoverDelay of 30 s\n",
            "  - eligible by what they last said: c-2 (0/300 on timeline 1)\n",
            "  - not eligible: c-1 is the primary that is to be replaced\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn a_primary_that_cannot_hand_over_is_no_danger_to_the_data() {
        let refusal = json!({"reason": "node n1 is cordoned, where the primary c-1 runs, and nobody elsewhere can take over \
                                        from it", "missing": ["c-2 is on the same node"]});
        let text = shown(&json!({"phase": "Cluster in healthy state", "electionRefusal": refusal}), "open");
        assert!(text.contains("The data is safe: c-1 alone may write"), "{text}");
        assert!(text.contains("  - the primary stays: node n1 is cordoned"), "{text}");
        assert!(text.contains("  - c-2 is on the same node\n"), "{text}");
    }
}
