//! The event log: one line of JSON for each change of a fact about a pod, a lease or a cluster, and for each fault, with
//! the clocks that processes on this machine share.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::api::object::{is_terminating, list, name, namespace, text};
use crate::api::{ApiError, ChangeKind, GroupResource, Store, WatchStart, Watcher};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub boottime: u64,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub monotonic: u64,
    /// The wall clock.
    pub at: jiff::Timestamp,
    /// Whose fact: `pod/NAMESPACE/NAME`, `lease/..`, `cluster/..`, `fault`.
    pub who: String,
    /// Which: `phase`, `ready`, `holder`, `term`, ...
    pub what: String,
    /// What it was; empty if there was none.
    pub from: String,
    /// What it is; empty if there is none any more.
    pub to: String,
}

fn clock(id: ClockId) -> u64 {
    let nanos = |time: nix::sys::time::TimeSpec| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec()).unwrap_or(0))
    };
    clock_gettime(id).map(nanos).unwrap_or(0)
}

/// The log's file; clones share it.
#[derive(Debug, Clone)]
pub(super) struct EventLog {
    file: Arc<Mutex<std::fs::File>>,
}

impl EventLog {
    /// Appends to `path`.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file: Arc::new(Mutex::new(file)) })
    }

    /// Notes a change, now.
    pub fn note(&self, who: &str, what: &str, from: &str, to: &str) {
        let event = Event {
            boottime: clock(ClockId::CLOCK_BOOTTIME),
            monotonic: clock(ClockId::CLOCK_MONOTONIC),
            at: jiff::Timestamp::now(),
            who: who.to_owned(),
            what: what.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let mut line = serde_json::to_vec(&event).unwrap_or_default();
        line.push(b'\n');
        // A test bed whose log cannot be written goes on without it.
        let _written = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
    }

    /// Follows the store until `stop`.
    pub async fn run(self, store: Store, stop: CancellationToken) {
        let follow = async {
            loop {
                if let Err(error) = self.follow(&store).await {
                    tracing::debug!(%error, "the event log looks at everything again");
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            () = follow => {}
            () = stop.cancelled() => {}
        }
    }

    async fn follow(&self, store: &Store) -> Result<(), ApiError> {
        let watch = |group: &str, resource: &str| -> Result<Watcher, ApiError> {
            store.watch(GroupResource::new(group, resource), None, WatchStart::Everything)
        };
        let mut pods = watch("", "pods")?;
        let mut leases = watch("coordination.k8s.io", "leases")?;
        let mut clusters = watch("postgresql.cnpg.io", "clusters")?;
        let mut known: BTreeMap<String, Facts> = BTreeMap::new();
        loop {
            let (kind, who, facts) = tokio::select! {
                change = pods.next() => change.map(|(kind, pod)| (kind, full("pod", &pod), of_pod(&pod)))?,
                change = leases.next() => change.map(|(kind, lease)| (kind, full("lease", &lease), of_lease(&lease)))?,
                change = clusters.next() => {
                    change.map(|(kind, cluster)| (kind, full("cluster", &cluster), of_cluster(&cluster)))?
                }
            };
            let now = if kind == ChangeKind::Deleted { Facts::new() } else { facts };
            let before = known.insert(who.clone(), now.clone()).unwrap_or_default();
            for (what, from, to) in differences(&before, &now) {
                self.note(&who, what, &from, &to);
            }
        }
    }
}

type Facts = BTreeMap<&'static str, String>;

fn full(kind: &str, object: &Value) -> String {
    format!("{kind}/{}/{}", namespace(object), name(object))
}

/// What is different: fact, before, after.
fn differences(before: &Facts, now: &Facts) -> Vec<(&'static str, String, String)> {
    let mut all: Vec<&'static str> = before.keys().chain(now.keys()).copied().collect();
    all.sort_unstable();
    all.dedup();
    let value = |facts: &Facts, what: &str| facts.get(what).cloned().unwrap_or_default();
    all.into_iter()
        .map(|what| (what, value(before, what), value(now, what)))
        .filter(|(_, from, to)| from != to)
        .collect()
}

fn of_pod(pod: &Value) -> Facts {
    let ready = list(pod, "/status/conditions")
        .iter()
        .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True");
    let restarts: u64 = list(pod, "/status/containerStatuses")
        .iter()
        .filter_map(|status| status.get("restartCount").and_then(Value::as_u64))
        .sum();
    let member: Value =
        serde_json::from_str(text(pod, "/metadata/annotations/pgherd.io~1member")).unwrap_or(Value::Null);
    let mut facts = Facts::from([
        ("phase", text(pod, "/status/phase").to_owned()),
        ("ready", ready.to_string()),
        ("restarts", restarts.to_string()),
        ("role", text(pod, "/metadata/labels/cnpg.io~1instanceRole").to_owned()),
        ("terminating", is_terminating(pod).to_string()),
        ("node", text(pod, "/spec/nodeName").to_owned()),
        ("address", text(pod, "/status/podIP").to_owned()),
    ]);
    for (fact, pointer) in [("member", "/phase"), ("message", "/message")] {
        facts.insert(fact, text(&member, pointer).to_owned());
    }
    facts
}

fn of_lease(lease: &Value) -> Facts {
    let annotation = |name: &str| text(lease, &format!("/metadata/annotations/pgherd.io~1{name}")).to_owned();
    Facts::from([
        ("holder", text(lease, "/spec/holderIdentity").to_owned()),
        ("state", annotation("state")),
        ("term", annotation("term")),
        ("timeline", annotation("timeline")),
        ("tail", annotation("tail")),
    ])
}

fn of_cluster(cluster: &Value) -> Facts {
    let field = |pointer: &str| text(cluster, pointer).to_owned();
    let ready = cluster.pointer("/status/readyInstances").and_then(Value::as_u64);
    Facts::from([
        ("phase", field("/status/phase")),
        ("currentPrimary", field("/status/currentPrimary")),
        ("targetPrimary", field("/status/targetPrimary")),
        ("winner", field("/status/election/winner")),
        ("reason", field("/status/election/reason")),
        ("refusal", field("/status/electionRefusal/reason")),
        ("readyInstances", ready.map(|ready| ready.to_string()).unwrap_or_default()),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{differences, of_lease, of_pod};

    #[test]
    fn only_what_changed_is_noted() {
        let lease = |holder: &str, state: &str, renewed: &str| {
            json!({"metadata": {"annotations": {"pgherd.io/state": state, "pgherd.io/term": "4"}},
                "spec": {"holderIdentity": holder, "renewTime": renewed}})
        };
        let (first, renewed) = (of_lease(&lease("c-1", "open", "1")), of_lease(&lease("c-1", "open", "2")));
        assert!(differences(&first, &renewed).is_empty(), "a renewal is no event");
        let released = of_lease(&lease("", "released", "2"));
        let expected = [("holder", "c-1".into(), String::new()), ("state", "open".into(), "released".into())];
        assert_eq!(differences(&renewed, &released), expected);
    }

    #[test]
    fn what_a_manager_reports_is_read_from_its_annotation() {
        let pod = json!({"metadata": {"annotations": {"pgherd.io/member": "{\"phase\":\"candidate\"}"}}});
        assert_eq!(of_pod(&pod)["member"], "candidate");
    }
}
