//! Which processes are meant: pure, from what `/proc` shows.

use super::Target;
use crate::node::process::Seen;

/// Postgres names its own helpers in the command line; everything else that is a child of the postmaster is a client's.
const HELPERS: [&str; 11] = [
    "walsender",
    "checkpointer",
    "background writer",
    "walwriter",
    "autovacuum",
    "archiver",
    "logical replication",
    "logger",
    "startup",
    "walreceiver",
    "stats collector",
];

/// The processes of a container that are meant, parents before their children. `members` has PID 1 first.
pub(super) fn choose(target: Target, members: &[Seen]) -> Vec<&Seen> {
    let postgres = |seen: &&Seen| seen.name == "postgres" || seen.name == "postmaster";
    let is_child = |seen: &&Seen| members.iter().any(|other| other.id.pid == seen.parent && postgres(&other));
    let parent = members.iter().find(|seen| postgres(seen) && !is_child(seen));
    let children = || members.iter().filter(|seen| parent.is_some_and(|parent| seen.parent == parent.id.pid));
    let called = |what: &'static str| children().filter(|seen| is_called(seen, what)).collect();
    let clients = || children().filter(|seen| !HELPERS.iter().any(|helper| is_called(seen, helper)));
    match target {
        Target::Postmaster => parent.into_iter().collect(),
        Target::Postgres => parent.into_iter().chain(children()).collect(),
        Target::Manager => members.first().into_iter().collect(),
        Target::Watchdog => members.iter().filter(|seen| seen.command.split(' ').nth(1) == Some("watchdog")).collect(),
        Target::Container | Target::Pod => members.iter().collect(),
        Target::Backend => clients().next().or_else(|| children().next()).into_iter().collect(),
        Target::Backends => clients().collect(),
        Target::Walsender => called("walsender"),
        Target::Walreceiver => called("walreceiver"),
        Target::Checkpointer => called("checkpointer"),
        Target::Startup => called("startup"),
    }
}

/// `postgres: checkpointer`, or with a cluster's name between, `postgres: c-1: checkpointer`. A client's user comes in
/// the same place, so only the words before the first blank behind it count.
fn is_called(seen: &Seen, helper: &str) -> bool {
    let Some(title) = seen.command.strip_prefix("postgres: ") else { return false };
    let named = title.split_once(": ").map_or(title, |(_, rest)| rest);
    [title, named].iter().any(|title| {
        title.strip_prefix(helper).is_some_and(|rest| rest.trim().is_empty() || rest.starts_with(' '))
            && (helper != "startup" || title.trim() == "startup" || title.starts_with("startup recovering"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::choose;
    use crate::node::process::{BootId, ProcessId, Seen};

    fn seen(pid: i32, parent: i32, name: &str, command: &str) -> Seen {
        let id = ProcessId { boot: BootId::present(), pid, start: 1 };
        Seen { id, parent, name: name.to_owned(), command: command.to_owned() }
    }

    #[test]
    fn the_right_process_is_found_by_what_postgres_calls_itself() {
        let members = [
            seen(100, 1, "manager", "/controller/manager run"),
            seen(101, 100, "manager", "/controller/manager watchdog"),
            seen(110, 100, "postgres", "/usr/lib/postgresql/15/bin/postgres -D /x"),
            seen(111, 110, "postgres", "postgres: checkpointer "),
            seen(
                113,
                110,
                "postgres",
                "postgres: c-1: walsender streaming_replica 10.213.0.11(4711) streaming 0/3000148",
            ),
            seen(112, 110, "postgres", "postgres: app app 10.213.0.1(5432) idle"),
            seen(114, 110, "postgres", "postgres: startup app 10.213.0.1(5433) idle"),
        ];
        let pids = |target| choose(target, &members).iter().map(|seen| seen.id.pid).collect::<Vec<_>>();
        assert_eq!(pids(Target::Manager), [100]);
        assert_eq!(pids(Target::Postmaster), [110]);
        assert_eq!(pids(Target::Backend), [112]);
        assert_eq!(pids(Target::Backends), [112, 114]);
        assert_eq!(pids(Target::Walsender), [113]);
        assert_eq!(pids(Target::Checkpointer), [111]);
        assert_eq!(pids(Target::Startup), [0; 0], "a client may call itself so");
        assert_eq!(pids(Target::Watchdog), [101]);
        assert_eq!(pids(Target::Postgres), [110, 111, 113, 112, 114]);
        assert_eq!(pids(Target::Pod).len(), 7);
    }
}
