//! `pgherd hibernate`: no pods, every volume kept; and awake again.

use std::time::Duration;

use clap::Subcommand;
use pgherd_proto::cluster::{Cluster, condition};
use pgherd_proto::labels;
use serde::Serialize;

use crate::annotate::annotate;
use crate::args::{ClusterArguments, Output};
use crate::cluster::find_cluster;
use crate::output;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// On, off, or how far it is.
#[derive(Debug, Subcommand)]
pub enum HibernateVerb {
    /// Stop all instances, the primary last; the volumes stay.
    On {
        #[command(flatten)]
        cluster: ClusterArguments,
        /// Go on until no pod is left.
        #[arg(long)]
        wait: bool,
    },
    /// Start them again.
    Off {
        #[command(flatten)]
        cluster: ClusterArguments,
    },
    /// How far it is.
    Status {
        #[command(flatten)]
        cluster: ClusterArguments,
    },
}

/// What is shown.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct View {
    cluster: String,
    namespace: String,
    wanted: bool,
    hibernated: bool,
    message: String,
}

/// Asks, or looks.
pub async fn run(verb: &HibernateVerb, shape: Output) -> anyhow::Result<u8> {
    let (wanted, ask, wait) = match verb {
        HibernateVerb::On { cluster, wait } => (cluster, Some("on"), *wait),
        HibernateVerb::Off { cluster } => (cluster, Some("off"), false),
        HibernateVerb::Status { cluster } => (cluster, None, false),
    };
    let mut found = find_cluster(wanted).await?;
    if let Some(value) = ask {
        annotate(&found, labels::HIBERNATION, Some(value)).await?;
        found = find_cluster(wanted).await?;
    }
    while wait && !view(&found.cluster).hibernated {
        tokio::time::sleep(LOOK_AGAIN).await;
        found = find_cluster(wanted).await?;
    }
    let shown = view(&found.cluster);
    output::print(shape, &shown, || format!("{}: {}", shown.cluster, shown.message))?;
    Ok(0)
}

fn view(cluster: &Cluster) -> View {
    let status = cluster.status.as_ref();
    let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let condition = conditions.iter().find(|one| one.type_ == condition::HIBERNATION);
    let wanted = cluster.hibernates();
    let hibernated = wanted && condition.is_some_and(|one| one.status == "True");
    let ready = status.and_then(|status| status.ready_instances).unwrap_or(0);
    let message = match (wanted, condition) {
        (true, Some(condition)) => condition.message.clone(),
        (true, None) => "hibernation is asked for, and the controller has not begun".to_owned(),
        (false, _) => format!("awake: {ready} of {} instances are ready", cluster.spec.instances),
    };
    View {
        cluster: cluster.metadata.name.clone().unwrap_or_default(),
        namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
        wanted,
        hibernated,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::view;
    use serde_json::{Value, json};

    fn seen(annotation: &str, conditions: &Value) -> (bool, bool, String) {
        let cluster = json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "spec": {"instances": 3},
            "metadata": {"name": "c", "namespace": "n", "annotations": {"cnpg.io/hibernation": annotation}},
            "status": {"readyInstances": 2, "conditions": conditions}});
        let view = view(&serde_json::from_value(cluster).unwrap());
        (view.wanted, view.hibernated, view.message)
    }

    #[test]
    fn what_is_asked_for_and_what_is_reached_are_told_apart() {
        let condition = |status: &str, message: &str| {
            json!([{"type": "cnpg.io/hibernation", "status": status, "reason": "r", "message": message,
                "lastTransitionTime": "2026-01-01T00:00:00Z"}])
        };
        for (annotation, conditions, wanted) in [
            ("on", condition("True", "Cluster has been hibernated"), (true, true, "Cluster has been hibernated")),
            ("on", condition("False", "Waiting for c-2 to be deleted"), (true, false, "Waiting for c-2 to be deleted")),
            ("on", json!([]), (true, false, "hibernation is asked for, and the controller has not begun")),
            ("off", condition("True", "old"), (false, false, "awake: 2 of 3 instances are ready")),
        ] {
            let (asked, reached, message) = seen(annotation, &conditions);
            assert_eq!((asked, reached, message.as_str()), wanted);
        }
    }
}
