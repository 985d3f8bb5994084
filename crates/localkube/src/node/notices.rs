//! Events as a kubelet writes them (Pulled, Created, Started, Killing, Unhealthy, BackOff), for `kubectl describe`.

use serde_json::{Value, json};

use crate::api::Store;
use crate::api::object::{name, namespace, uid};

/// What people are told about a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Pulled,
    Created,
    Started,
    Killing,
    Unhealthy,
    BackOff,
    Failed,
}

impl Notice {
    fn reason(self) -> &'static str {
        match self {
            Self::Pulled => "Pulled",
            Self::Created => "Created",
            Self::Started => "Started",
            Self::Killing => "Killing",
            Self::Unhealthy => "Unhealthy",
            Self::BackOff => "BackOff",
            Self::Failed => "Failed",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Unhealthy | Self::BackOff | Self::Failed => "Warning",
            _ => "Normal",
        }
    }
}

/// Writes one, or counts it up if the same was said about the same container. Best effort, as at a real node.
pub(super) fn tell(store: &Store, pod: &Value, container: &str, notice: Notice, message: &str) {
    let (reason, in_namespace) = (notice.reason(), namespace(pod));
    let short: String = uid(pod).chars().take(8).collect();
    let own = format!("{}.{short}.{container}.{}", name(pod), reason.to_lowercase());
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let written = match store.get("events", in_namespace, &own) {
        Ok(old) => {
            let count = old.get("count").and_then(Value::as_u64).unwrap_or(1).saturating_add(1);
            let patch = json!({"count": count, "lastTimestamp": now, "message": message});
            store.merge("events", in_namespace, &own, &patch)
        }
        Err(_) => store.create(
            "events",
            in_namespace,
            json!({
                "metadata": {"name": own}, "type": notice.kind(), "reason": reason, "message": message, "count": 1,
                "firstTimestamp": now, "lastTimestamp": now, "source": {"component": "kubelet", "host": pod.pointer("/spec/nodeName")},
                "reportingComponent": "kubelet", "reportingInstance": "",
                "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": in_namespace, "name": name(pod),
                    "uid": uid(pod), "fieldPath": format!("spec.containers{{{container}}}")},
            }),
        ),
    };
    if let Err(error) = written {
        tracing::debug!(%error, reason, pod = name(pod), "an event cannot be written");
    }
}
