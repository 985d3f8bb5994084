//! One failover, event by event: what the managers, postgres and the controller logged between the last row before the
//! fault and the first ones after it, what the API server stored, and when the client felt it.

use crate::journal::{Gap, boottime};
use crate::machine::Head;
use jiff::{SignedDuration, Timestamp};
use pgherd_localkube::daemon::Event as Stored;
use pgherd_localkube::trace::{said, short};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Seconds after the fault.
    pub at_s: f64,
    /// The pod, `postgres` of a pod, `controller`, `api`, `client`, or `fault`.
    pub who: String,
    /// What happened.
    pub what: String,
}

/// The events of one failover, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// What was done.
    pub scenario: String,
    /// `asynchronous` or `synchronous`.
    pub configuration: String,
    /// How long nothing was acknowledged.
    pub gap_s: f64,
    /// All of it.
    pub events: Vec<Event>,
}

/// `target/bench/failover-trace.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traces {
    /// Where the numbers are from.
    #[serde(flatten)]
    pub head: Head,
    /// The first run of each scenario.
    pub traces: Vec<Trace>,
}

/// What of postgres' own words marks a step.
const WORDS: [&str; 9] = [
    "terminated by signal",
    "received promote request",
    "redo done",
    "selected new timeline",
    "archive recovery complete",
    "ready to accept connections",
    "received fast shutdown",
    "received immediate shutdown",
    "database system is shut down",
];
/// What of the API server's objects marks a step: whom services lead to, and who holds the lease.
const FACTS: [&str; 4] = ["role", "ready", "holder", "state"];
/// Events before the fault and after the first row are of no interest, beyond so many seconds.
const MARGIN: f64 = 0.5;
/// How deep logs lie.
const DEPTH: u32 = 8;

impl Trace {
    /// Collects it from the logs below a state directory. `fault` is when the fault began, in nanoseconds of
    /// `CLOCK_BOOTTIME`.
    #[must_use]
    pub fn collect(state: &Path, fault: u64, gap: Gap) -> Self {
        let now = (Timestamp::now(), boottime());
        let back = SignedDuration::from_nanos(i64::try_from(now.1.saturating_sub(fault)).unwrap_or(i64::MAX));
        let zero = now.0.saturating_sub(back).unwrap_or(Timestamp::MIN);
        let seconds = |at: u64| {
            let nanos = |ns: u64| core::time::Duration::from_nanos(ns).as_secs_f64();
            if at >= fault { nanos(at - fault) } else { -nanos(fault - at) }
        };
        let event = |at_s: f64, who: &str, what: &str| Event { at_s, who: who.to_owned(), what: what.to_owned() };
        let (last, first) = (seconds(gap.before.at), seconds(gap.after.at));
        let mut events = vec![
            event(last, "client", "last row acknowledged"),
            event(0.0, "fault", "fault"),
            event(first, "client", "first row acknowledged on the new timeline"),
        ];
        let mut lines = Vec::new();
        read_logs(state, &mut lines, 0);
        let interesting = |at: f64| at >= last.min(0.0) - MARGIN && at <= first + MARGIN;
        events.extend(lines.iter().filter_map(|line| parse(line, zero)).filter(|event| interesting(event.at_s)));
        events.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
        for event in &mut events {
            event.at_s = (event.at_s * 1e4).round() / 1e4;
        }
        Self { gap_s: gap.seconds(), events, ..Self::default() }
    }
}

fn read_logs(directory: &Path, lines: &mut Vec<String>, depth: u32) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && depth < DEPTH && !path.ends_with("volumes") && !path.ends_with("s3") {
            read_logs(&path, lines, depth + 1);
        } else if path.extension().is_some_and(|extension| extension == "log" || extension == "jsonl") {
            // A line that is being written is not needed.
            lines.extend(std::fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned));
        }
    }
}

/// One line of a log, if it marks a step; a container's lines have a prefix of the runtime's.
fn parse(line: &str, zero: Timestamp) -> Option<Event> {
    let value: Value = serde_json::from_str(line.get(line.find('{')?..)?).ok()?;
    if let Ok(stored) = Stored::deserialize(&value) {
        let what = format!("{} {}", short(&stored.who), said(&stored));
        let at_s = stored.at.duration_since(zero).as_secs_f64();
        return FACTS.contains(&stored.what.as_str()).then(|| Event { at_s, who: "api".to_owned(), what });
    }
    let text = |path: &str| value.pointer(path).and_then(Value::as_str);
    let at: Timestamp = text("/ts")?.parse().ok()?;
    let pod = text("/logging_pod").unwrap_or_default();
    let (who, what) = match text("/logger")? {
        "postgres" => {
            let message = text("/record/message")?;
            WORDS.iter().find(|word| message.contains(**word))?;
            (format!("{pod} postgres"), message.to_owned())
        }
        "controller" => ("controller".to_owned(), message(&value)?),
        _ => (pod.to_owned(), message(&value)?),
    };
    Some(Event { at_s: at.duration_since(zero).as_secs_f64(), who, what })
}

/// A message with what makes it more than a word.
fn message(value: &Value) -> Option<String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let message = text("msg")?;
    Some(match (message, text("command"), text("from"), text("to")) {
        ("command", Some(command), ..) => command.split(['(', ' ']).next().unwrap_or_default().to_owned(),
        (_, _, Some(from), Some(to)) => format!("{from} to {to}"),
        _ => message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Entry;

    #[test]
    fn lines_of_managers_postgres_and_the_controller_become_events_and_others_do_not() {
        let zero: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let line = |logger: &str, rest: &str| {
            format!(
                "2026-01-01T00:00:00Z stdout F {{\"logger\":\"{logger}\",\"logging_pod\":\"c-1\",\
                 \"ts\":\"2026-01-01T00:00:00.25Z\",{rest}}}"
            )
        };
        let what = |text: &str| parse(text, zero).map(|event| format!("{} {} {}", event.at_s, event.who, event.what));
        let manager = line("instance-manager", r#""msg":"command","command":"Promote(Op(3))""#);
        assert_eq!(what(&manager).as_deref(), Some("0.25 c-1 Promote"));
        let phase = line("instance-manager", r#""msg":"phase changed","from":"standby","to":"candidate""#);
        assert_eq!(what(&phase).as_deref(), Some("0.25 c-1 standby to candidate"));
        let postgres = line("postgres", r#""record":{"message":"selected new timeline ID: 2"}"#);
        assert_eq!(what(&postgres).as_deref(), Some("0.25 c-1 postgres selected new timeline ID: 2"));
        assert_eq!(what(&line("postgres", r#""record":{"message":"checkpoint starting: time"}"#)), None);
        let fact = |what: &str| {
            format!(
                "{{\"boottime\":1,\"monotonic\":1,\"at\":\"2026-01-01T00:00:00.25Z\",\"who\":\"pod/ns/c-1\",\
                 \"what\":\"{what}\",\"from\":\"\",\"to\":\"primary\"}}"
            )
        };
        assert_eq!(what(&fact("role")).as_deref(), Some("0.25 api pod c-1 role is primary"));
        assert_eq!(what(&fact("address")), None);
        assert_eq!(what("no JSON"), None);
    }

    #[test]
    fn a_trace_has_the_clients_view_in_its_order() {
        let entry = |row, at, timeline| Entry { row, at, timeline };
        let now = boottime();
        let gap = Gap { before: entry(1, now, 1), after: entry(2, now + 700_000_000, 2) };
        let trace = Trace::collect(tempfile::tempdir().unwrap().path(), now + 100_000_000, gap);
        let seen: Vec<_> = trace.events.iter().map(|event| (event.who.as_str(), event.at_s)).collect();
        assert_eq!(seen, [("client", -0.1), ("fault", 0.0), ("client", 0.6)]);
    }
}
