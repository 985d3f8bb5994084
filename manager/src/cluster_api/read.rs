//! From objects to facts: what of a Cluster, its pods and their containers the decisions need.

use core::time::Duration;
use k8s_openapi::api::core::v1::{ContainerState, Pod};
use pgherd_core::cluster::MemberPhase;
use pgherd_core::identity::{Nonce, PodUid};
use pgherd_core::instance::{ClusterView, Peer};
use pgherd_proto::cluster::{Cluster, ElectionStatus, RestartStatus};
use pgherd_proto::labels;
use pgherd_proto::member::MemberReport;
use std::sync::Arc;

/// The facts of the Cluster; `configuration` is the fingerprint of what postgres' configuration is made from.
#[must_use]
pub fn cluster_view(cluster: &Cluster, configuration: String) -> ClusterView {
    let status = cluster.status.clone().unwrap_or_default();
    ClusterView {
        system_id: cluster.database(),
        initializer: cluster.initializer(),
        instances: u32::try_from(cluster.spec.instances).unwrap_or(1),
        current_primary: status.current_primary.clone(),
        election: status.election.as_ref().map(ElectionStatus::to_fact),
        stop_delay: seconds(cluster.spec.stop_delay),
        smart_shutdown: cluster.spec.smart_shutdown_timeout.map(seconds),
        switchover_delay: seconds(cluster.spec.switchover_delay),
        configuration,
        fenced: cluster.fenced_instances(),
        restart: status.restart.as_ref().map(RestartStatus::to_fact),
        sync: cluster.spec.sync_spec(cluster.annotated_quorum()).map(Box::new),
        domains: cluster.domains(),
    }
}

fn seconds(field: i32) -> Duration {
    Duration::from_secs(u64::try_from(field).unwrap_or(0))
}

/// The other members: all but the pod `me`.
#[must_use]
pub fn peers(pods: &[Arc<Pod>], me: &PodUid) -> Vec<Peer> {
    pods.iter().filter_map(|pod| peer(pod)).filter(|peer| peer.pod_uid != *me).collect()
}

fn peer(pod: &Pod) -> Option<Peer> {
    let uid = PodUid(pod.metadata.uid.clone()?);
    let report = report(pod);
    let follows = report.as_ref().is_some_and(|r| {
        r.pod_uid == uid && matches!(r.phase, MemberPhase::Standby | MemberPhase::Candidate) && r.system_id.is_some()
    });
    Some(Peer {
        name: pod.metadata.name.clone()?,
        pod_uid: uid,
        electable: follows && pod.metadata.deletion_timestamp.is_none(),
        incarnation: report.as_ref().and_then(|report| report.incarnation.clone()),
        address: pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default(),
        fence: report.as_ref().map(|report| report.fence).unwrap_or_default(),
    })
}

/// Whether another pod than `me` is labelled as the primary.
#[must_use]
pub fn another_labelled(pods: &[Arc<Pod>], me: &PodUid) -> bool {
    let labelled = |pod: &Pod| {
        let labels = pod.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(labels::INSTANCE_ROLE)).is_some_and(|role| role == labels::ROLE_PRIMARY)
    };
    pods.iter().any(|pod| labelled(pod) && pod.metadata.uid.as_deref() != Some(me.0.as_str()))
}

fn report(pod: &Pod) -> Option<MemberReport> {
    let text = pod.metadata.annotations.as_ref()?.get(labels::MEMBER)?;
    serde_json::from_str(text).ok()
}

/// Nonces in the last words of terminated containers (rule L2's proof): whoever wrote one is dead, however old the
/// report is.
#[must_use]
pub fn deaths(pods: &[Arc<Pod>]) -> Vec<Nonce> {
    let statuses = pods.iter().filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref()).flatten();
    statuses
        .flat_map(|status| [&status.state, &status.last_state])
        .filter_map(|state| last_words(state.as_ref()?))
        .collect()
}

fn last_words(state: &ContainerState) -> Option<Nonce> {
    let terminated = state.terminated.as_ref()?;
    // A status that the kubelet made up is no proof (hole 17).
    let known = terminated.reason.as_deref() != Some("ContainerStatusUnknown");
    let words = terminated.message.as_deref().map(str::trim).filter(|text| known && !text.is_empty())?;
    Some(Nonce(words.to_owned()))
}
