//! Carrying out what was decided about a cluster's drills.

use super::pod::build;
use super::record::{conclude, concluded, failed, stamp, write};
use super::view::view;
use crate::apply::Blueprint;
use crate::caches::{Caches, Key};
use crate::catalog;
use crate::clock;
use crate::config::Config;
use crate::desired::desired;
use crate::memory::Remembered;
use crate::validity::judge;
use core::time::Duration;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use pgherd_core::backup::{DrillCause, DrillStep, Timestamp, plan_drill};
use pgherd_proto::cluster::{Cluster, Drill, DrillOrder, drill_phase};
use pgherd_proto::labels::CONTROLLER_FIELD_MANAGER;

/// After something that was not done.
const RETRY: Duration = Duration::from_secs(2);

/// Looks after the drills of a cluster; how soon to look again.
pub async fn attend(client: &Client, caches: &Caches, config: &Config, key: &Key) -> Option<Duration> {
    let cluster = caches.cluster(key).filter(|cluster| cluster.metadata.deletion_timestamp.is_none())?;
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    let mut again: Option<Duration> = None;
    for step in plan_drill(&view(&cluster, caches, key), now) {
        let next = carry_out(client, config, &cluster, step, now).await;
        again = [again, next].into_iter().flatten().min();
    }
    again
}

async fn carry_out(
    client: &Client,
    config: &Config,
    cluster: &Cluster,
    step: DrillStep,
    now: Timestamp,
) -> Option<Duration> {
    let drill = cluster.drill().cloned().unwrap_or_default();
    match step {
        DrillStep::Order(cause) => {
            let ordered = order(cluster, drill, &cause, now);
            tracing::info!(cluster = %cluster.name_any(), pod = ordered.pod, ?cause, "a restore drill is ordered");
            write(client, cluster, &ordered).await;
        }
        DrillStep::Refuse { cause, why } => {
            let refused = Drill { pod: None, ..order(cluster, drill, &cause, now) };
            conclude(client, cluster, &failed(refused, &why, &now.rfc3339())).await;
        }
        DrillStep::MakePod => return make(client, config, cluster, drill).await,
        DrillStep::NotePod => {
            write(client, cluster, &Drill { phase: Some(drill_phase::RUNNING.to_owned()), ..drill }).await;
        }
        DrillStep::Conclude { said, how } => {
            conclude(client, cluster, &concluded(drill, said.as_deref(), &how, &stamp())).await;
        }
        DrillStep::GiveUp { why } => conclude(client, cluster, &failed(drill, &why, &stamp())).await,
        DrillStep::Delete { pod, uid } => {
            let only = Preconditions { uid: Some(uid.0), resource_version: None };
            let params = DeleteParams { preconditions: Some(only), ..DeleteParams::default() };
            match pods(client, cluster).delete(&pod, &params).await {
                Ok(_) => {}
                Err(kube::Error::Api(answer)) if answer.code == 404 => {}
                Err(error) => {
                    tracing::warn!(%pod, error = %pgherd_telemetry::chain(&error), "a drill's pod is still there");
                    return Some(RETRY);
                }
            }
        }
        DrillStep::Settle => {
            write(client, cluster, &Drill { checked_at: Some(now.rfc3339()), ..drill }).await;
        }
        DrillStep::Forget => {
            write(client, cluster, &Drill { checked_at: None, ..drill }).await;
        }
        DrillStep::Wait { until } => {
            let millis = until?.micros().saturating_sub(now.micros()).checked_div(1000)?;
            let wait = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
            return Some(wait.saturating_add(Duration::from_millis(5)));
        }
    }
    None
}

fn pods(client: &Client, cluster: &Cluster) -> Api<Pod> {
    Api::namespaced(client.clone(), &cluster.namespace().unwrap_or_default())
}

/// What stands in the status from now on. Whatever is on the Cluster later, this is what is done.
fn order(cluster: &Cluster, before: Drill, cause: &DrillCause, now: Timestamp) -> Drill {
    let defaults = cluster.drill_defaults();
    let asked = match cause {
        DrillCause::Request(_) => cluster.drill_request().unwrap_or_default(),
        DrillCause::Slot(_) => DrillOrder::default(),
    };
    let order = DrillOrder {
        query: asked.query.clone().or(defaults.query),
        timeout_seconds: asked.timeout_seconds.or(defaults.timeout_seconds),
        ..asked
    };
    let name = format!("{}-verify-{}", cluster.name_any(), now.utc().compact().replace('T', ""));
    let request = match cause {
        DrillCause::Request(id) => Some(id.clone()),
        DrillCause::Slot(_) => before.request,
    };
    Drill {
        phase: Some(drill_phase::ORDERED.to_owned()),
        order: Some(order),
        pod: Some(name),
        started_at: Some(now.rfc3339()),
        stopped_at: None,
        error: None,
        request,
        checked_at: cluster.drill_schedule().map(|_| now.rfc3339()),
        last_failed_at: before.last_failed_at,
    }
}

async fn make(client: &Client, config: &Config, cluster: &Cluster, drill: Drill) -> Option<Duration> {
    let (name, order) = (drill.pod.unwrap_or_default(), drill.order.unwrap_or_default());
    // Of a spec that is not in force there are no instances either.
    let chosen = catalog::chosen(client, cluster, &mut Remembered::default(), clock::now()).await;
    let verdict = judge(cluster, chosen.as_ref()).ok()?;
    let desired = desired(cluster, &verdict.spec);
    let blueprint = Blueprint { spec: &verdict.spec, desired: &desired, config };
    let params = PostParams { field_manager: Some(CONTROLLER_FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match pods(client, cluster).create(&params, &build(blueprint, cluster, &name, &order)).await {
        Ok(_) => {}
        Err(kube::Error::Api(answer)) if answer.code == 409 => {}
        Err(error) => {
            tracing::warn!(pod = %name, error = %pgherd_telemetry::chain(&error), "a drill's pod is not made yet");
        }
    }
    Some(RETRY)
}
