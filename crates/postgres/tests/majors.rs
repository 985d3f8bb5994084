//! The tables of majors, held against the programs of the majors that are installed: one of them as a rule, and each of
//! the five in turn by `tests/tools/test.sh majors`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test program")]

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::unistd::{User, chown, getuid};
use pgherd_core::rules::majors::{SINCE, UNTIL, knows};
use pgherd_postgres::control_data::ControlData;
use pgherd_postgres::initdb::InitDb;
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::version::Major;

const PATIENCE: Duration = Duration::from_secs(60);

/// A program of a major, as the user that may run it.
fn program(major: Major, name: &str) -> Command {
    let mut command = Command::new(major.bin_dir().unwrap().join(name));
    if getuid().is_root() {
        let user = User::from_name("postgres").unwrap().expect("a user postgres");
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command.env("LC_ALL", "C");
    command
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A database that initdb made by its own defaults.
fn made(major: Major, root: &Path) -> std::path::PathBuf {
    if getuid().is_root() {
        let user = User::from_name("postgres").unwrap().unwrap();
        chown(root, Some(user.uid), Some(user.gid)).unwrap();
    }
    let pgdata = root.join("data");
    output(program(major, "initdb").arg("-D").arg(&pgdata).args(["--no-sync", "--auth=reject"]));
    pgdata
}

#[tokio::test]
async fn each_row_is_what_the_programs_of_that_major_do() {
    let reaper = Reaper::start().unwrap();
    for major in Major::installed() {
        let root = tempfile::tempdir().unwrap();
        let pgdata = made(major, root.path());
        let traits = major.traits();
        let first = std::fs::read(pgdata.join("pg_wal/000000010000000000000001")).unwrap();
        assert_eq!(u16::from_le_bytes([first[0], first[1]]), traits.wal_page_magic, "PostgreSQL {major}");
        let control = ControlData::read(&reaper, &major.bin_dir().unwrap(), &pgdata, PATIENCE).await.unwrap();
        assert_eq!(control.control_version, traits.control_version, "PostgreSQL {major}");
        assert_eq!(control.checksums, traits.checksums_by_default, "PostgreSQL {major}");
        assert_eq!(Major::of_data_directory(&pgdata).unwrap(), major);
        let help = output(program(major, "initdb").arg("--help"));
        assert_eq!(help.contains("--no-data-checksums"), traits.checksums_by_default, "PostgreSQL {major}");
        assert!(InitDb::default().options.is_empty());
        // The functions and columns, by the catalog's own source.
        let share = output(program(major, "pg_config").arg("--sharedir"));
        let catalog = std::fs::read_to_string(Path::new(share.trim()).join("postgres.bki")).unwrap();
        for function in [traits.backup_start, traits.backup_stop] {
            let name = function.split('(').next().unwrap();
            assert!(catalog.contains(&format!(" {name} ")), "PostgreSQL {major} has no {name}");
        }
        let views = std::fs::read_to_string(Path::new(share.trim()).join("system_views.sql")).unwrap();
        let stat_wal = views.split("CREATE VIEW pg_stat_wal AS").nth(1).unwrap().split(';').next().unwrap();
        let is_there = traits.wal_io.contains("FROM pg_stat_wal");
        assert_eq!(stat_wal.contains("w.wal_write"), is_there, "PostgreSQL {major}: {stat_wal}");
    }
}

#[test]
fn a_major_knows_the_parameters_that_the_table_says() {
    for major in Major::installed() {
        let listing = output(program(major, "postgres").arg("--describe-config"));
        let there: BTreeSet<&str> = listing.lines().filter_map(|line| line.split('\t').next()).collect();
        assert!(there.contains("work_mem"), "PostgreSQL {major}");
        for (name, _) in SINCE.iter().chain(UNTIL) {
            let known = knows(u32::from(major.number()), name).is_ok();
            assert_eq!(there.contains(name), known, "{name} in PostgreSQL {major}");
        }
        assert_eq!(there.contains("allow_alter_system"), major.traits().forbids_alter_system);
    }
}
