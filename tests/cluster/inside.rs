//! One process of a pod by its number inside the pod, for what the faults cannot name: one walsender of two.

use pgherd_localkube::node::process::{ProcessId, members};

/// The process that is called `number` in the PID namespace of `first`.
pub fn numbered(first: i32, number: i32) -> Option<ProcessId> {
    members(first).into_iter().map(|seen| seen.id).find(|id| innermost(id.pid) == Some(number))
}

/// Whether it stands still.
pub fn is_stopped(id: ProcessId) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", id.pid)).unwrap_or_default();
    let state = text.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    id.is_alive() && state == Some('T')
}

/// Its number in the innermost namespace.
fn innermost(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_ascii_whitespace().last()?.parse().ok()
}
