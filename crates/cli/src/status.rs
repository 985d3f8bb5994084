//! `pgherd status`: one screen that says whether the data is safe, and why.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use pgherd_proto::cluster::{Cluster, ClusterStatus};
use pgherd_proto::labels;
use pgherd_proto::member::{MemberReport, Phase};
use serde::Serialize;

use crate::args::ClusterArguments;
use crate::cluster::find_cluster;
use crate::output;

/// What is shown.
#[derive(Debug, Serialize)]
struct View {
    cluster: String,
    namespace: String,
    phase: String,
    safe: bool,
    /// Why, or why not.
    reasons: Vec<String>,
    /// Why each instance is not elected, and what forcing one would lose.
    refusal: Vec<String>,
    primary: Option<String>,
    timeline: Option<i64>,
    ready: i32,
    wanted: i32,
    lease: LeaseView,
    archiving: Option<Archiving>,
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
pub async fn run(cluster: &ClusterArguments, json: bool) -> anyhow::Result<u8> {
    let found = find_cluster(cluster).await?;
    let pods: Api<Pod> = Api::namespaced(found.client.clone(), &found.namespace);
    let of_cluster = ListParams::default().labels(&format!("{}={}", labels::CLUSTER, found.name));
    let pods = pods.list(&of_cluster).await?.items;
    let leases: Api<Lease> = Api::namespaced(found.client.clone(), &found.namespace);
    let lease = leases.get_opt(&found.name).await?;
    let view = look(&found.cluster, &pods, lease.as_ref());
    output::print(json, &view, || screen(&view))?;
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
        phase: status.phase.clone().unwrap_or_else(|| "not seen by the controller yet".to_owned()),
        safe: false,
        reasons: Vec::new(),
        refusal: Vec::new(),
        primary: status.current_primary.clone(),
        timeline: status.timeline_id,
        ready: status.ready_instances.unwrap_or(0),
        wanted: cluster.spec.instances,
        lease: lease.map(lease_view).unwrap_or_default(),
        archiving,
        members: pods.iter().map(member).collect(),
    };
    if let Some(refusal) = &status.election_refusal {
        view.reasons.push(format!("nobody can be elected: {}", refusal.reason));
        view.refusal.clone_from(&refusal.missing);
    }
    (view.safe, view.reasons) = verdict(&view);
    view
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
        Some(archiving) if archiving.works => "WAL is archived".to_owned(),
        Some(archiving) => format!("WAL is not being archived: {}", archiving.message),
    });
    safe &= standbys > 0 || archived;
    safe &= view.archiving.as_ref().is_none_or(|archiving| archiving.works);
    (safe, reasons)
}

fn screen(view: &View) -> String {
    let word = if view.safe { "The data is safe" } else { "The data is NOT safe now" };
    let mut rows = vec![["INSTANCE", "PHASE", "READY", "WAL", "MESSAGE"].map(str::to_owned).to_vec()];
    for member in &view.members {
        let ready = if member.ready { "yes" } else { "no" }.to_owned();
        let cells = [&member.name, &member.phase, &ready, &member.position, &member.message];
        rows.push(cells.map(Clone::clone).to_vec());
    }
    let timeline = view.timeline.map(|timeline| format!(", timeline {timeline}")).unwrap_or_default();
    let refusal: String = view.refusal.iter().map(|line| format!("  - {line}\n")).collect();
    format!(
        "{}/{}: {}\n{word}: {}.\n{refusal}primary {}{timeline}, {} of {} ready\n\n{}",
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
    use super::{Archiving, LeaseView, Member, View, verdict};

    fn view(state: &str, standby_ready: bool, archiving: Option<bool>) -> View {
        View {
            cluster: "c".into(),
            namespace: "n".into(),
            phase: String::new(),
            safe: false,
            reasons: Vec::new(),
            refusal: Vec::new(),
            primary: Some("c-1".into()),
            timeline: Some(1),
            ready: 2,
            wanted: 2,
            lease: LeaseView { holder: "c-1".into(), state: state.into(), term: "1".into() },
            archiving: archiving.map(|works| Archiving { works, message: "S3 is off".into() }),
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
}
