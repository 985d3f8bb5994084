//! One failover out of an event log, as a timeline: text for a terminal, SVG for a page. Pure.

mod svg;
mod text;

pub use svg::{Mark, picture, svg};
pub use text::text;

use crate::daemon::Event;

/// How long before a change of the term its cause may lie.
const CAUSE_WITHIN: u64 = 180_000_000_000;
/// What is shown where no fault was noted.
const BEFORE: u64 = 5_000_000_000;
/// How long after the change of the term things still belong to it.
const AFTER: u64 = 60_000_000_000;

/// The lines of a log; what is not one is left out.
pub fn read(log: &str) -> Vec<Event> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The last failover: from its fault (or 5 s before the lease's term changed) until the cluster was whole again, or the
/// next fault came. Empty if the term never changed.
pub fn last_failover(events: &[Event]) -> Vec<Event> {
    let is_term = |event: &&Event| event.who.starts_with("lease/") && event.what == "term" && !event.from.is_empty();
    let Some(turn) = events.iter().rfind(is_term) else { return Vec::new() };
    let is_fault = |event: &&Event| event.who == "fault" && event.what == "put";
    let cause = events
        .iter()
        .filter(is_fault)
        .rfind(|event| event.boottime <= turn.boottime && event.boottime.saturating_add(CAUSE_WITHIN) > turn.boottime);
    let start = cause.map_or(turn.boottime.saturating_sub(BEFORE), |event| event.boottime);
    let next_fault = events.iter().filter(is_fault).find(|event| event.boottime > turn.boottime);
    let end = next_fault.map_or(u64::MAX, |event| event.boottime).min(turn.boottime.saturating_add(AFTER));
    let within = |event: &&Event| event.boottime >= start && event.boottime < end;
    events.iter().filter(within).cloned().collect()
}

/// Milliseconds since the first event, and the event.
fn since_first(events: &[Event]) -> impl Iterator<Item = (f64, &Event)> {
    let first = events.first().map_or(0, |event| event.boottime);
    events.iter().map(move |event| {
        let micros = event.boottime.saturating_sub(first) / 1_000;
        (f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1_000.0, event)
    })
}

/// `pod/NAMESPACE/NAME` as `pod NAME`.
pub fn short(who: &str) -> String {
    match (who.split_once('/'), who.rsplit_once('/')) {
        (Some((kind, _)), Some((_, name))) => format!("{kind} {name}"),
        _ => who.to_owned(),
    }
}

/// What an event says, in a few words.
pub fn said(event: &Event) -> String {
    match (event.from.as_str(), event.to.as_str()) {
        (_, to) if event.who == "fault" => to.to_owned(),
        ("", to) => format!("{} is {to}", event.what),
        (from, "") => format!("{} is no more ({from})", event.what),
        (from, to) => format!("{}: {from} -> {to}", event.what),
    }
}

#[cfg(test)]
mod tests {
    use super::{last_failover, svg, text};
    use crate::daemon::Event;

    fn event(second: u64, who: &str, what: &str, from: &str, to: &str) -> Event {
        let [who, what, from, to] = [who, what, from, to].map(str::to_owned);
        let boottime = second * 1_000_000_000;
        Event { boottime, monotonic: boottime, at: jiff::Timestamp::UNIX_EPOCH, who, what, from, to }
    }

    fn log() -> Vec<Event> {
        vec![
            event(1, "lease/n/c", "term", "", "1"),
            event(50, "fault", "put", "", "SIGKILL to postgres (7) of c-1"),
            event(51, "lease/n/c", "state", "open", "recovering"),
            event(52, "lease/n/c", "term", "1", "2"),
            event(53, "cluster/n/c", "currentPrimary", "c-1", "c-2"),
            event(54, "fault", "put", "", "another"),
            event(55, "pod/n/c-1", "ready", "true", "false"),
        ]
    }

    #[test]
    fn a_failover_begins_with_its_fault_and_ends_before_the_next() {
        let seconds: Vec<u64> = last_failover(&log()).iter().map(|event| event.boottime / 1_000_000_000).collect();
        assert_eq!(seconds, [50, 51, 52, 53]);
        assert!(last_failover(&log()[..2]).is_empty(), "the first term is no failover");
    }

    #[test]
    fn a_timeline_tells_when_who_did_what() {
        let events = last_failover(&log());
        let lines = text(&events);
        assert!(lines.contains("2000.0 ms  lease c           term: 1 -> 2"), "{lines}");
        let picture = svg(&events);
        assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"), "{picture}");
        assert!(picture.contains("currentPrimary: c-1 -&gt; c-2"), "{picture}");
    }
}
