//! The columns of each kind, as the real server prints them.

use serde_json::{Value, json};

use super::super::object::{at, list, meta, text};
use super::super::resource::ResourceInfo;
use super::age::human_age;
use super::jsonpath::{evaluate, render};

/// How a cell is made.
pub(super) enum Source {
    Name,
    /// The age of the first time that is there.
    Age(&'static [&'static str]),
    Path(String, bool),
    Computed(fn(&Value) -> Value),
}

/// A column with its heading.
pub(super) struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    priority: i64,
    source: Source,
}

impl Column {
    fn new(name: &str, priority: i64, source: Source) -> Self {
        let (kind, format) = ("string".to_owned(), if matches!(source, Source::Name) { "name" } else { "" }.to_owned());
        Self { name: name.to_owned(), kind, format, description: String::new(), priority, source }
    }

    pub fn definition(&self) -> Value {
        json!({"name": self.name, "type": self.kind, "format": self.format, "description": self.description,
            "priority": self.priority})
    }

    pub fn cell(&self, object: &Value, now: jiff::Timestamp) -> Value {
        match &self.source {
            Source::Name => meta(object, "name").into(),
            Source::Age(pointers) => {
                let time = pointers.iter().map(|pointer| text(object, pointer)).find(|time| !time.is_empty());
                human_age(time.unwrap_or_default(), now).into()
            }
            Source::Computed(compute) => compute(object),
            Source::Path(path, is_date) => {
                let found = evaluate(path, object);
                match found.as_slice() {
                    [] => Value::Null,
                    [one] if *is_date => human_age(one.as_str().unwrap_or_default(), now).into(),
                    [one] if one.is_object() || one.is_array() => render(one).into(),
                    [one] => (*one).clone(),
                    many => many.iter().map(|value| render(value)).collect::<Vec<_>>().join(",").into(),
                }
            }
        }
    }
}

/// The columns of a resource.
pub(super) fn columns(info: &ResourceInfo) -> Vec<Column> {
    let mut all = vec![Column::new("Name", 0, Source::Name)];
    match &info.custom {
        Some(custom) if !custom.columns.is_empty() => {
            all.extend(custom.columns.iter().map(|column| Column {
                name: column.name.clone(),
                kind: column.kind.clone(),
                format: column.format.clone(),
                description: column.description.clone(),
                priority: column.priority,
                source: Source::Path(column.path.clone(), column.kind == "date"),
            }));
            return all;
        }
        Some(_) => {}
        None => all.extend(built_in(&info.gr.group, &info.gr.plural)),
    }
    if info.gr.plural == "events" {
        all.retain(|column| !matches!(column.source, Source::Name));
    } else if info.gr.plural == "customresourcedefinitions" {
        all.push(Column::new("Created At", 0, Source::Path(".metadata.creationTimestamp".into(), false)));
    } else {
        all.push(Column::new("Age", 0, Source::Age(&["/metadata/creationTimestamp"])));
    }
    // Wide columns come last, as in the real server's tables.
    all.sort_by_key(|column| column.priority);
    all
}

/// When an event was last seen, in either form.
const EVENT_TIMES: &[&str] = &[
    "/series/lastObservedTime",
    "/lastTimestamp",
    "/deprecatedLastTimestamp",
    "/eventTime",
    "/metadata/creationTimestamp",
];

fn built_in(group: &str, plural: &str) -> Vec<Column> {
    let path = |name: &str, path: &str| Column::new(name, 0, Source::Path(path.to_owned(), false));
    let wide = |name: &str, compute: fn(&Value) -> Value| Column::new(name, 1, Source::Computed(compute));
    let computed = |name: &str, compute: fn(&Value) -> Value| Column::new(name, 0, Source::Computed(compute));
    match (group, plural) {
        ("", "pods") => vec![
            computed("Ready", pod_ready),
            computed("Status", pod_status),
            computed("Restarts", pod_restarts),
            wide("IP", |pod| or_none(text(pod, "/status/podIP"))),
            wide("Node", |pod| or_none(text(pod, "/spec/nodeName"))),
            wide("Nominated Node", |pod| or_none(text(pod, "/status/nominatedNodeName"))),
            wide("Readiness Gates", |_| or_none("")),
        ],
        ("", "services") => vec![
            path("Type", ".spec.type"),
            path("Cluster-IP", ".spec.clusterIP"),
            computed("External-IP", |_| "<none>".into()),
            computed("Port(s)", service_ports),
            Column::new("Selector", 1, Source::Computed(|service| pairs(at(service, "/spec/selector")).into())),
        ],
        ("", "endpoints") => vec![computed("Endpoints", endpoint_addresses)],
        ("", "secrets") => vec![path("Type", ".type"), computed("Data", |secret| size(&secret["data"]))],
        ("", "configmaps") => vec![computed("Data", |map| size(&map["data"]))],
        ("", "serviceaccounts") => vec![computed("Secrets", |account| size(&account["secrets"]))],
        ("", "namespaces") => vec![computed("Status", phase)],
        ("", "nodes") => vec![computed("Status", node_status), path("Version", ".status.nodeInfo.kubeletVersion")],
        ("", "persistentvolumeclaims") => vec![
            computed("Status", phase),
            path("Volume", ".spec.volumeName"),
            path("Capacity", ".status.capacity.storage"),
            // What was asked for says nothing until there is a volume.
            computed("Access Modes", |claim| match text(claim, "/spec/volumeName") {
                "" => "".into(),
                _ => access_modes(claim),
            }),
            path("StorageClass", ".spec.storageClassName"),
        ],
        ("", "persistentvolumes") => vec![
            path("Capacity", ".spec.capacity.storage"),
            computed("Access Modes", access_modes),
            path("Reclaim Policy", ".spec.persistentVolumeReclaimPolicy"),
            computed("Status", phase),
            computed("Claim", |volume| {
                let claim = at(volume, "/spec/claimRef");
                if claim.is_null() {
                    return "".into();
                }
                format!("{}/{}", text(claim, "/namespace"), text(claim, "/name")).into()
            }),
            path("StorageClass", ".spec.storageClassName"),
        ],
        ("" | "events.k8s.io", "events") => vec![
            Column::new("Last Seen", 0, Source::Age(EVENT_TIMES)),
            path("Type", ".type"),
            path("Reason", ".reason"),
            computed("Object", |event| {
                let about =
                    if event["involvedObject"].is_null() { &event["regarding"] } else { &event["involvedObject"] };
                format!("{}/{}", text(about, "/kind").to_lowercase(), text(about, "/name")).into()
            }),
            computed("Message", |event| {
                let message = text(event, "/message");
                (if message.is_empty() { text(event, "/note") } else { message }).trim().into()
            }),
        ],
        ("coordination.k8s.io", "leases") => vec![path("Holder", ".spec.holderIdentity")],
        ("policy", "poddisruptionbudgets") => vec![
            computed("Min Available", |budget| or_na(at(budget, "/spec/minAvailable"))),
            computed("Max Unavailable", |budget| or_na(at(budget, "/spec/maxUnavailable"))),
            computed("Allowed Disruptions", |budget| {
                budget.pointer("/status/disruptionsAllowed").cloned().unwrap_or_else(|| 0.into())
            }),
        ],
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => vec![computed("Role", |binding| {
            format!("{}/{}", text(binding, "/roleRef/kind"), text(binding, "/roleRef/name")).into()
        })],
        ("storage.k8s.io", "storageclasses") => vec![
            path("Provisioner", ".provisioner"),
            path("ReclaimPolicy", ".reclaimPolicy"),
            path("VolumeBindingMode", ".volumeBindingMode"),
            computed("AllowVolumeExpansion", |class| (class["allowVolumeExpansion"] == true).into()),
        ],
        _ => Vec::new(),
    }
}

fn pod_ready(pod: &Value) -> Value {
    let statuses = list(pod, "/status/containerStatuses");
    let ready = statuses.iter().filter(|status| status["ready"] == true).count();
    format!("{ready}/{}", list(pod, "/spec/containers").len()).into()
}

/// The reason that kubectl shows: why a container waits or ended, else the phase.
fn pod_status(pod: &Value) -> Value {
    if !meta(pod, "deletionTimestamp").is_empty() {
        return "Terminating".into();
    }
    for (index, status) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
        if text(status, "/state/terminated/reason") == "Completed" || *at(status, "/state/terminated/exitCode") == 0 {
            continue;
        }
        let reason = ["/state/terminated/reason", "/state/waiting/reason"].map(|p| text(status, p));
        return match reason.into_iter().find(|r| !r.is_empty() && *r != "PodInitializing") {
            Some(reason) => format!("Init:{reason}").into(),
            None => format!("Init:{index}/{}", list(pod, "/spec/initContainers").len()).into(),
        };
    }
    for status in list(pod, "/status/containerStatuses") {
        for pointer in ["/state/waiting/reason", "/state/terminated/reason"] {
            let reason = text(status, pointer);
            if !reason.is_empty() {
                return reason.into();
            }
        }
    }
    let reason = text(pod, "/status/reason");
    (if reason.is_empty() { text(pod, "/status/phase") } else { reason }).into()
}

fn pod_restarts(pod: &Value) -> Value {
    let counts = list(pod, "/status/containerStatuses").iter().map(|s| s["restartCount"].as_u64().unwrap_or(0));
    counts.sum::<u64>().to_string().into()
}

fn phase(object: &Value) -> Value {
    let gone = !meta(object, "deletionTimestamp").is_empty();
    (if gone { "Terminating" } else { text(object, "/status/phase") }).into()
}

fn node_status(node: &Value) -> Value {
    let ready = list(node, "/status/conditions").iter().find(|c| text(c, "/type") == "Ready");
    let state = if ready.is_some_and(|c| text(c, "/status") == "True") { "Ready" } else { "NotReady" };
    let cordoned = if *at(node, "/spec/unschedulable") == true { ",SchedulingDisabled" } else { "" };
    format!("{state}{cordoned}").into()
}

fn service_ports(service: &Value) -> Value {
    let ports: Vec<String> = list(service, "/spec/ports")
        .iter()
        .map(|port| match port["nodePort"].as_u64() {
            Some(node_port) => format!("{}:{node_port}/{}", port["port"], text(port, "/protocol")),
            None => format!("{}/{}", port["port"], text(port, "/protocol")),
        })
        .collect();
    (if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") }).into()
}

fn endpoint_addresses(endpoints: &Value) -> Value {
    let mut all = Vec::new();
    for subset in list(endpoints, "/subsets") {
        for address in list(subset, "/addresses") {
            for port in list(subset, "/ports") {
                all.push(format!("{}:{}", text(address, "/ip"), port["port"]));
            }
        }
    }
    (if all.is_empty() { "<none>".to_owned() } else { all.join(",") }).into()
}

fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

fn access_modes(object: &Value) -> Value {
    let short = |mode: &str| match mode {
        "ReadWriteOnce" => "RWO".to_owned(),
        "ReadOnlyMany" => "ROX".to_owned(),
        "ReadWriteMany" => "RWX".to_owned(),
        "ReadWriteOncePod" => "RWOP".to_owned(),
        other => other.to_owned(),
    };
    let modes = list(object, "/spec/accessModes").iter().filter_map(Value::as_str).map(short);
    modes.collect::<Vec<_>>().join(",").into()
}

fn pairs(selector: &Value) -> String {
    let all: Vec<String> =
        selector.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", render(value))).collect();
    if all.is_empty() { "<none>".to_owned() } else { all.join(",") }
}

fn or_na(value: &Value) -> Value {
    if value.is_null() { "N/A".into() } else { render(value).into() }
}

fn size(value: &Value) -> Value {
    value.as_object().map(serde_json::Map::len).or_else(|| value.as_array().map(Vec::len)).unwrap_or(0).into()
}
