//! Who wins, what is always there, and that a value stays one value.

use super::*;
use crate::pgconf::parse::parse;
use proptest::prelude::*;

fn facts() -> Facts {
    Facts {
        cluster_name: "phoenix-guardian-db".into(),
        port: 5432,
        archive_mode: ArchiveMode::On,
        allow_alter_system: None,
        slot_cap_megabytes: Some(2048),
        paths: Paths::default(),
    }
}

fn user(parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
    parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn rendered(parameters: &[(&str, &str)], role: &Role) -> Rendered {
    let user = user(parameters);
    render(Inputs { user: &user, preload: &[], facts: &facts(), role }).unwrap()
}

fn read(text: &str) -> BTreeMap<String, String> {
    parse(text).unwrap().into_iter().map(|setting| (setting.name, setting.value)).collect()
}

/// `spec.postgresql.parameters` of docs/examples/cluster.yaml.
const EXAMPLE: &[(&str, &str)] = &[
    ("max_connections", "200"),
    ("shared_buffers", "2GB"),
    ("effective_cache_size", "6GB"),
    ("work_mem", "64MB"),
    ("maintenance_work_mem", "512MB"),
    ("wal_buffers", "64MB"),
    ("checkpoint_completion_target", "0.9"),
    ("wal_level", "replica"),
    ("max_wal_senders", "10"),
    ("random_page_cost", "1.1"),
    ("effective_io_concurrency", "200"),
    ("log_min_duration_statement", "1000"),
];

#[test]
fn the_example_manifest_keeps_each_of_its_values() {
    let manifest = include_str!("../../../../docs/examples/cluster.yaml");
    let conf = read(&rendered(EXAMPLE, &Role::Primary).custom_conf);
    for (name, value) in EXAMPLE {
        assert!(manifest.contains(&format!("{name}: \"{value}\"")), "{name} is as in the manifest");
        assert_eq!(conf.get(*name).map(String::as_str), Some(*value), "{name}");
    }
    assert_eq!(manifest.matches(": \"").count() - 5, EXAMPLE.len(), "all of the manifest's parameters are here");
    for (name, value) in [
        ("archive_command", "/controller/wal-client wal-archive %p"),
        ("archive_mode", "on"),
        ("cluster_name", "phoenix-guardian-db"),
        ("log_destination", "csvlog"),
        ("log_directory", "/controller/log"),
        ("restart_after_crash", "off"),
        ("ssl_ca_file", "/controller/certificates/client-ca.crt"),
        ("unix_socket_directories", "/controller/run"),
        ("wal_log_hints", "on"),
        ("wal_retrieve_retry_interval", "200ms"),
    ] {
        assert_eq!(conf.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn the_user_wins_over_defaults_and_the_manager_over_the_user() {
    let role = Role::Primary;
    let conf = rendered(&[("Wal_Level", "replica"), ("PORT", "1"), ("ssl", "off"), ("archive_library", "x")], &role);
    let conf = read(&conf.custom_conf);
    let value = |name: &str| conf.get(name).map(String::as_str);
    assert_eq!([value("wal_level"), value("port"), value("ssl")], [Some("replica"), Some("5432"), Some("on")]);
    assert_eq!([value("Wal_Level"), value("archive_library")], [None, None]);
}

#[test]
fn alter_system_is_only_forbidden_where_postgres_can() {
    for (allowed, value) in [(None, None), (Some(false), Some("off")), (Some(true), Some("on"))] {
        let facts = Facts { allow_alter_system: allowed, ..facts() };
        let inputs = Inputs { user: &BTreeMap::new(), preload: &[], facts: &facts, role: &Role::Primary };
        let conf = read(&render(inputs).unwrap().custom_conf);
        assert_eq!(conf.get("allow_alter_system").map(String::as_str), value, "{allowed:?}");
    }
}

#[test]
fn a_standby_follows_the_elected_pod_and_the_latest_timeline() {
    let upstream = Upstream {
        host: "10.213.0.7".into(),
        port: 5432,
        application_name: "c-2".into(),
        certificates: "/controller/certificates".into(),
    };
    let role = Role::Standby { upstream: Some(upstream.clone()), slot: None };
    let conf = read(&rendered(&[], &role).override_conf);
    assert_eq!(conf["primary_conninfo"], upstream.conninfo());
    assert_eq!(conf["restore_command"], "/controller/wal-client wal-restore %f %p");
    assert_eq!(conf["recovery_target_timeline"], "latest");
    assert_eq!(conf["primary_slot_name"], "");
    let alone = read(&rendered(&[], &Role::Standby { upstream: None, slot: None }).override_conf);
    assert_eq!(alone["primary_conninfo"], "", "with no primary known it asks nobody");
    assert!(!rendered(&[], &Role::Primary).override_conf.contains("primary_conninfo"));
}

#[test]
fn a_name_that_is_none_is_refused_before_anything_is_written() {
    let (facts, role) = (facts(), Role::Primary);
    for (name, value) in [("work_mem = 1\nssl", "x"), ("", "x"), ("work_mem", "a\0b")] {
        let user = user(&[(name, value)]);
        assert!(render(Inputs { user: &user, preload: &[], facts: &facts, role: &role }).is_err());
    }
}

#[test]
fn a_slot_may_not_fill_the_volume_unless_the_user_says_so() {
    let value = |parameters: &[(&str, &str)]| {
        read(&rendered(parameters, &Role::Primary).custom_conf)["max_slot_wal_keep_size"].clone()
    };
    assert_eq!(value(&[]), "2048MB");
    assert_eq!(value(&[("max_slot_wal_keep_size", "-1")]), "-1");
}

#[test]
fn the_includes_are_added_once() {
    let once = with_includes("port = 5432 # (change requires restart)");
    assert!(once.ends_with("\ninclude 'custom.conf'\ninclude 'override.conf'\ninclude 'synchronous.conf'\n"));
    assert!(once.starts_with("port = 5432 # (change requires restart)\n"));
    assert_eq!(with_includes(&once), once);
}

proptest! {
    #[test]
    fn whatever_a_user_writes_stays_one_value(name in "[a-z_]{1,10}(\\.[a-z_]{1,10})?", value in "(?s)[^\0]{0,40}") {
        prop_assume!(fixed::reserved(&name).is_none());
        let plain = rendered(&[], &Role::Primary).custom_conf;
        let conf = rendered(&[(&name, &value)], &Role::Primary).custom_conf;
        prop_assert!(conf.lines().count() <= plain.lines().count() + 1);
        let conf = read(&conf);
        prop_assert_eq!(conf.get(&name), Some(&value));
    }
}
