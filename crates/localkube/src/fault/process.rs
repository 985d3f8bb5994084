//! Which processes are meant: pure, from what `/proc` shows.

use super::Target;
use crate::node::process::Seen;

/// Postgres names its own helpers in the command line; everything else that is a child of the postmaster is a client's.
const HELPERS: [&str; 10] = [
    "checkpointer",
    "background writer",
    "walwriter",
    "autovacuum",
    "archiver",
    "logical replication",
    "logger",
    "startup",
    "walreceiver",
    "stats",
];

/// The processes of a container that are meant. `members` has PID 1 first.
pub(super) fn choose(target: Target, members: &[Seen]) -> Vec<&Seen> {
    let postgres = |seen: &&Seen| seen.name == "postgres" || seen.name == "postmaster";
    let is_child = |seen: &&Seen| members.iter().any(|other| other.id.pid == seen.parent && postgres(&other));
    let postmaster = || members.iter().find(|seen| postgres(seen) && !is_child(seen));
    match target {
        Target::Postmaster => postmaster().into_iter().collect(),
        Target::Manager => members.first().into_iter().collect(),
        Target::Pod => members.iter().collect(),
        Target::Backend => {
            let Some(parent) = postmaster() else { return Vec::new() };
            let children = || members.iter().filter(|seen| seen.parent == parent.id.pid);
            let helper = |seen: &&Seen| HELPERS.iter().any(|helper| seen.command.contains(helper));
            children().find(|seen| !helper(seen)).or_else(|| children().next()).into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::choose;
    use crate::node::process::{ProcessId, Seen};

    fn seen(pid: i32, parent: i32, name: &str, command: &str) -> Seen {
        Seen { id: ProcessId { pid, start: 1 }, parent, name: name.to_owned(), command: command.to_owned() }
    }

    #[test]
    fn the_right_process_is_found_by_what_postgres_calls_itself() {
        let members = [
            seen(100, 1, "manager", "/controller/manager run"),
            seen(101, 100, "manager", "/controller/manager watchdog"),
            seen(110, 100, "postgres", "/usr/lib/postgresql/15/bin/postgres -D /x"),
            seen(111, 110, "postgres", "postgres: checkpointer "),
            seen(112, 110, "postgres", "postgres: app app 10.213.0.1(5432) idle"),
        ];
        let pids = |target| choose(target, &members).iter().map(|seen| seen.id.pid).collect::<Vec<_>>();
        assert_eq!(pids(Target::Manager), [100]);
        assert_eq!(pids(Target::Postmaster), [110]);
        assert_eq!(pids(Target::Backend), [112]);
        assert_eq!(pids(Target::Pod).len(), 5);
    }
}
