//! What of a data directory does not belong into a base backup, and which of its files are made of pages
//! (barman 3.19, `postgres_plumbing.py`; pg_basebackup's `basebackup.c`).

/// Directories that are kept empty: what was in them means nothing to another postmaster.
const EMPTIED: [&str; 7] =
    ["pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_stat_tmp", "pg_snapshots", "pg_subtrans"];
/// The same, directly below the data directory.
const EMPTIED_AT_TOP: [&str; 4] = ["pg_wal", "pg_xlog", "log", "pg_log"];
/// Files that belong to the running postmaster, or to its role.
const LEFT_OUT: [&str; 7] = [
    "postgresql.auto.conf.tmp",
    "current_logfiles.tmp",
    "pg_internal.init",
    "postmaster.pid",
    "postmaster.opts",
    "recovery.conf",
    "standby.signal",
];

/// Where recovery starts is read from it: it has to be copied after everything else.
pub const CONTROL_FILE: &str = "global/pg_control";

/// Whether an entry stays out of the backup; of a directory, with all that is in it. `path` is relative to the data
/// directory or to a tablespace.
#[must_use]
pub fn is_left_out(path: &str) -> bool {
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = parents.rsplit_once('/').map_or(parents, |(_, parent)| parent);
    name.starts_with("pgsql_tmp")
        || LEFT_OUT.contains(&name)
        || EMPTIED.contains(&parent)
        || EMPTIED_AT_TOP.contains(&parents)
        || is_temporary_relation(parent, name)
        || path == CONTROL_FILE
}

/// `t<backend>_<relation>` in the directory of a database.
fn is_temporary_relation(parent: &str, name: &str) -> bool {
    let numbered = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let relation = name.strip_prefix('t').filter(|rest| numbered(rest)).and_then(|rest| rest.split_once('_'));
    numbered(parent) && relation.is_some_and(|(_, relation)| numbered(relation))
}

/// For a file of a relation: which segment of it the file is (`16384.2` is segment 2), since the number of a block
/// goes on from one to the next. Nothing for other files: they have no pages, or none with checksums.
#[must_use]
pub fn relation_segment(path: &str) -> Option<u32> {
    let (parents, name) = path.rsplit_once('/')?;
    let in_place = parents == "global"
        || parents.strip_prefix("base/").is_some_and(is_number)
        // <tablespace>/PG_15_202209061/<database>
        || parents.split_once('/').is_some_and(|(version, database)| version.starts_with("PG_") && is_number(database));
    let (stem, segment) = match name.split_once('.') {
        None => (name, 0),
        Some((stem, number)) => (stem, number.parse().ok().filter(|_| is_number(number))?),
    };
    let (relation, fork) = stem.split_once('_').map_or((stem, None), |(relation, fork)| (relation, Some(fork)));
    let known = matches!(fork, None | Some("fsm" | "vm" | "init"));
    (in_place && known && is_number(relation)).then_some(segment)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_belongs_to_the_running_postmaster_stays_out() {
        for path in [
            "postmaster.pid",
            "postmaster.opts",
            "standby.signal",
            "pg_wal/000000010000000000000001",
            "pg_wal/archive_status",
            "pg_replslot/one",
            "pg_stat_tmp/global.stat",
            "base/pgsql_tmp",
            "base/pgsql_tmp/pgsql_tmp12.0",
            "base/5/pg_internal.init",
            "global/pg_internal.init",
            "base/5/t3_16401",
            "base/5/t3_16401_fsm",
            "log/postgresql.csv",
            "global/pg_control",
            "PG_15_202209061/pgsql_tmp",
        ] {
            assert!(is_left_out(path), "{path}");
        }
        for path in [
            "",
            "PG_VERSION",
            "pg_wal",
            "pg_replslot",
            "pg_tblspc",
            "base/5/16401",
            "base/5/t_1",
            "global/pg_filenode.map",
            "postgresql.auto.conf",
            "base/log",
            "pg_logical/snapshots",
            "recovery.signal",
        ] {
            assert!(!is_left_out(path), "{path}");
        }
    }

    #[test]
    fn files_of_relations_are_told_by_where_they_are_and_how_they_are_named() {
        for (path, segment) in [
            ("base/5/16401", 0),
            ("base/5/16401.12", 12),
            ("base/5/16401_vm", 0),
            ("base/5/16401_fsm.1", 1),
            ("global/1262", 0),
            ("PG_15_202209061/5/16401.1", 1),
        ] {
            assert_eq!(relation_segment(path), Some(segment), "{path}");
        }
        for path in [
            "16401",
            "PG_VERSION",
            "base/5/PG_VERSION",
            "base/5/pg_filenode.map",
            "global/pg_control",
            "base/5/16401_old",
            "base/5/16401.x",
            "base/5/16401.",
            "base/x/16401",
            "pg_xact/0000",
            "pg_multixact/members/0000",
        ] {
            assert_eq!(relation_segment(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_judged(path in "\\PC*") {
            let _ = (is_left_out(&path), relation_segment(&path));
        }
    }
}
