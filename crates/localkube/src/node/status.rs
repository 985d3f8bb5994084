//! A pod's status as the kubelet writes it: pure, from what the worker knows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terminated {
    pub exit_code: i32,
    pub signal: Option<i32>,
    pub reason: &'static str,
    pub message: String,
    pub started_at: jiff::Timestamp,
    pub finished_at: jiff::Timestamp,
    pub container_id: String,
}

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Waiting { reason: &'static str, message: String },
    Running { since: jiff::Timestamp },
    Terminated(Terminated),
}

/// One container, for the status.
#[derive(Debug, Clone)]
pub(super) struct ContainerView<'a> {
    pub name: &'a str,
    pub image: &'a str,
    pub init: bool,
    pub state: &'a State,
    pub last: Option<&'a Terminated>,
    pub restarts: u32,
    pub ready: bool,
    pub started: bool,
    pub id: &'a str,
}

/// One pod, for the status.
#[derive(Debug)]
pub(super) struct PodView<'a> {
    pub address: Option<String>,
    pub node_address: String,
    pub started_at: String,
    pub restart_policy: &'a str,
    pub containers: Vec<ContainerView<'a>>,
}

/// Condition -> (value, since).
pub(super) type Transitions = BTreeMap<&'static str, (bool, String)>;

fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The status; `transitions` is brought up to date.
pub(super) fn render(pod: &PodView<'_>, transitions: &mut Transitions, now: jiff::Timestamp) -> Value {
    let done = |c: &ContainerView<'_>| matches!(c.state, State::Terminated(end) if end.exit_code == 0);
    let initialized = pod.containers.iter().filter(|c| c.init).all(done);
    let ready = initialized && pod.containers.iter().filter(|c| !c.init).all(|c| c.ready);
    let mut conditions = Vec::new();
    for (name, value) in
        [("PodScheduled", true), ("Initialized", initialized), ("ContainersReady", ready), ("Ready", ready)]
    {
        let entry = transitions.entry(name).or_insert_with(|| (value, time(now)));
        if entry.0 != value {
            *entry = (value, time(now));
        }
        let mut condition = json!({
            "type": name, "status": if value { "True" } else { "False" }, "lastTransitionTime": entry.1,
        });
        if let (false, Some(condition)) = (value, condition.as_object_mut()) {
            let reason = if name == "Initialized" { "ContainersNotInitialized" } else { "ContainersNotReady" };
            condition.insert("reason".into(), reason.into());
            let which: Vec<&str> = pod
                .containers
                .iter()
                .filter(|c| if name == "Initialized" { c.init && !done(c) } else { !c.init && !c.ready })
                .map(|c| c.name)
                .collect();
            let word = if name == "Initialized" { "incomplete" } else { "unready" };
            condition.insert("message".into(), format!("containers with {word} status: [{}]", which.join(" ")).into());
        }
        conditions.push(condition);
    }
    let statuses =
        |init: bool| -> Vec<Value> { pod.containers.iter().filter(|c| c.init == init).map(container).collect() };
    let mut status = json!({
        "phase": phase(pod), "conditions": conditions, "startTime": pod.started_at,
        "hostIP": pod.node_address, "hostIPs": [{"ip": pod.node_address}],
        "containerStatuses": statuses(false),
    });
    if let Some(map) = status.as_object_mut() {
        let init = statuses(true);
        if !init.is_empty() {
            map.insert("initContainerStatuses".into(), init.into());
        }
        if let Some(address) = &pod.address {
            map.insert("podIP".into(), address.clone().into());
            map.insert("podIPs".into(), json!([{"ip": address}]));
        }
    }
    status
}

fn phase(pod: &PodView<'_>) -> &'static str {
    let main = || pod.containers.iter().filter(|c| !c.init);
    let ended = |c: &ContainerView<'_>| match c.state {
        State::Terminated(end) => match pod.restart_policy {
            "Never" => true,
            "OnFailure" => end.exit_code == 0,
            _ => false,
        },
        _ => false,
    };
    if main().all(ended) {
        let good = main().all(|c| matches!(c.state, State::Terminated(end) if end.exit_code == 0));
        return if good { "Succeeded" } else { "Failed" };
    }
    let init_failed = pod.restart_policy == "Never"
        && pod.containers.iter().any(|c| c.init && matches!(c.state, State::Terminated(end) if end.exit_code != 0));
    if init_failed {
        return "Failed";
    }
    let started = main().any(|c| !matches!(c.state, State::Waiting { .. }) || c.last.is_some());
    if started { "Running" } else { "Pending" }
}

fn container(c: &ContainerView<'_>) -> Value {
    let state = match c.state {
        State::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
        State::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
        State::Running { since } => json!({"running": {"startedAt": time(*since)}}),
        State::Terminated(end) => terminated(end),
    };
    let mut status = json!({
        "name": c.name, "image": c.image, "imageID": c.image, "ready": c.ready, "started": c.started,
        "restartCount": c.restarts, "state": state, "lastState": c.last.map_or_else(|| json!({}), terminated),
    });
    if let (false, Some(map)) = (c.id.is_empty(), status.as_object_mut()) {
        map.insert("containerID".into(), c.id.into());
    }
    status
}

fn terminated(end: &Terminated) -> Value {
    let mut map = Map::new();
    map.insert("exitCode".into(), end.exit_code.into());
    map.insert("reason".into(), end.reason.into());
    map.insert("startedAt".into(), time(end.started_at).into());
    map.insert("finishedAt".into(), time(end.finished_at).into());
    map.insert("containerID".into(), end.container_id.clone().into());
    if let Some(signal) = end.signal {
        map.insert("signal".into(), signal.into());
    }
    if !end.message.is_empty() {
        map.insert("message".into(), end.message.clone().into());
    }
    json!({ "terminated": map })
}

#[cfg(test)]
mod tests {
    use super::{ContainerView, PodView, State, Terminated, Transitions, render};

    fn view<'a>(state: &'a State, ready: bool) -> PodView<'a> {
        let container = ContainerView {
            name: "c",
            image: "i",
            init: false,
            state,
            last: None,
            restarts: 0,
            ready,
            started: true,
            id: "",
        };
        PodView {
            address: Some("10.213.0.10".into()),
            node_address: "10.213.0.2".into(),
            started_at: "2026-01-01T00:00:00Z".into(),
            restart_policy: "Always",
            containers: vec![container],
        }
    }

    #[test]
    fn a_ready_container_makes_a_ready_pod_and_the_time_is_that_of_the_change() {
        let (first, later) = (jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::from_second(60).unwrap());
        let running = State::Running { since: first };
        let mut transitions = Transitions::new();
        render(&view(&running, true), &mut transitions, first);
        let status = render(&view(&running, true), &mut transitions, later);
        assert_eq!(status["phase"], "Running");
        assert_eq!(status["conditions"][3]["status"], "True");
        assert_eq!(status["conditions"][3]["lastTransitionTime"], "1970-01-01T00:00:00Z");
        let status = render(&view(&running, false), &mut transitions, later);
        assert_eq!(status["conditions"][3]["lastTransitionTime"], "1970-01-01T00:01:00Z");
    }

    #[test]
    fn a_killed_container_is_told_with_signal_and_message() {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let state = State::Terminated(Terminated {
            exit_code: 137,
            signal: Some(9),
            reason: "Error",
            message: "nonce".into(),
            started_at: at,
            finished_at: at,
            container_id: "pgherd://1".into(),
        });
        let status = render(&view(&state, false), &mut Transitions::new(), at);
        let end = &status["containerStatuses"][0]["state"]["terminated"];
        assert_eq!((end["exitCode"].as_i64(), end["signal"].as_i64()), (Some(137), Some(9)));
        assert_eq!((end["message"].as_str(), end["reason"].as_str()), (Some("nonce"), Some("Error")));
        assert_eq!(status["phase"], "Running", "a pod whose container comes back is still running");
    }
}
