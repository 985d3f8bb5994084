//! Kinds that an API server may lack: budgets are younger than it, or nobody installed PodMonitors. Its plain word that
//! it lacks them holds for a while, and for every cluster: a thousand of them ask once.

use core::time::Duration;
use kube::Client;
use pgherd_core::time::Instant;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How old that word may be: a kind that is installed is made use of with the next look.
const HOLDS_FOR: Duration = Duration::from_secs(2);

const BUDGETS: Kind = Kind { group_version: "policy/v1", kind: "PodDisruptionBudget" };
const POD_MONITORS: Kind = Kind { group_version: "monitoring.coreos.com/v1", kind: "PodMonitor" };

struct Kind {
    group_version: &'static str,
    kind: &'static str,
}

/// What the API server said that it lacks, by kind, and when.
#[derive(Clone, Debug, Default)]
pub struct Lacked(Arc<Mutex<BTreeMap<&'static str, Instant>>>);

impl Lacked {
    /// Whether policy/v1 is served (since Kubernetes 1.21): yes, until the API server plainly says no.
    pub async fn serves_budgets(&self, client: &Client, now: Instant) -> bool {
        self.serves(client, &BUDGETS, now).await.unwrap_or(true)
    }

    /// Whether there are PodMonitors: no, where that cannot be asked.
    pub async fn serves_pod_monitors(&self, client: &Client, now: Instant) -> bool {
        self.serves(client, &POD_MONITORS, now).await.unwrap_or(false)
    }

    /// What the API server says, if it says anything.
    async fn serves(&self, client: &Client, asked: &Kind, now: Instant) -> Option<bool> {
        if self.knows(asked, now) {
            return Some(false);
        }
        let served = match client.list_api_group_resources(asked.group_version).await {
            Ok(list) => list.resources.iter().any(|resource| resource.kind == asked.kind),
            // Nothing of that group and version.
            Err(kube::Error::Api(status)) if status.code == 404 => false,
            Err(_) => return None,
        };
        if !served {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(asked.kind, now);
        }
        Some(served)
    }

    fn knows(&self, asked: &Kind, now: Instant) -> bool {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(asked.kind).is_some_and(|since| now.since(*since) < HOLDS_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_testkit::scenario::Scenario;
    use serde_json::{Value, json};

    fn at(second: u64) -> Instant {
        Instant(second * 1_000_000_000)
    }

    fn resources(group_version: &str, kind: &str) -> Value {
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
            "resources": [{ "name": "x", "singularName": "", "namespaced": true, "kind": kind, "verbs": ["get"] }] })
    }

    #[tokio::test]
    async fn pod_monitors_are_there_if_the_api_server_lists_the_kind() {
        let group = "/apis/monitoring.coreos.com/v1";
        for (answer, served) in [(Some("PodMonitor"), true), (Some("ServiceMonitor"), false), (None, false)] {
            let scenario = match answer {
                Some(kind) => Scenario::new().get(group, resources("monitoring.coreos.com/v1", kind)),
                None => Scenario::new().missing(group),
            };
            let (client, script) = scenario.client();
            assert_eq!(Lacked::default().serves_pod_monitors(&client, at(0)).await, served, "{answer:?}");
            script.finish();
        }
    }

    #[tokio::test]
    async fn what_is_lacked_is_asked_for_once_by_all_and_again_after_a_while() {
        let (budgets, monitors) = ("/apis/policy/v1", "/apis/monitoring.coreos.com/v1");
        let scenario = Scenario::new().missing(monitors).get(budgets, resources("policy/v1", "PodDisruptionBudget"));
        let scenario = scenario.get(monitors, resources("monitoring.coreos.com/v1", "PodMonitor"));
        let (client, script) = scenario.client();
        let lacked = Lacked::default();
        let another_look = lacked.clone();
        assert!(!lacked.serves_pod_monitors(&client, at(0)).await);
        assert!(!another_look.serves_pod_monitors(&client, at(1)).await);
        assert!(lacked.serves_budgets(&client, at(1)).await, "another kind is another matter");
        assert!(another_look.serves_pod_monitors(&client, at(2)).await, "it may have been installed");
        script.finish();
    }
}
