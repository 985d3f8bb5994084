//! The page, from a known view.

use crate::http::tests::Scene;
use crate::metrics::{Registry, render};

#[test]
fn a_primarys_page_has_the_names_that_dashboards_key_on() {
    let registry = Registry::default();
    registry.set_log_lines(100, 3);
    let page = render(&Scene::primary().view(), &registry);
    for line in [
        "cnpg_collector_up{cluster=\"c\"} 1",
        "cnpg_collector_postgres_version{cluster=\"c\",full=\"15.18\"} 15.18",
        "cnpg_collector_pg_wal{value=\"count\"} 3",
        "cnpg_collector_pg_wal_archive_status{value=\"ready\"} 2",
        "cnpg_collector_fencing_on 0",
        "cnpg_collector_collections_total 9",
        "cnpg_pg_replication_in_recovery 0",
        "cnpg_pg_replication_streaming_replicas 1",
        "cnpg_pg_stat_archiver_archived_count 7",
        "cnpg_pg_stat_archiver_seconds_since_last_archival 10",
        "cnpg_pg_stat_archiver_last_failed_time -1",
        "cnpg_pg_stat_archiver_last_archived_wal_start_lsn 33554432",
        "pgherd_instance_role{role=\"primary\"} 1",
        "pgherd_timeline 1",
        "pgherd_replication_streaming{application_name=\"c-2\"} 1",
        "pgherd_lease_age_seconds 1",
        "pgherd_lease_remaining_seconds 4",
        "pgherd_log_lines_dropped_total 3",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
}

#[test]
fn a_standbys_page_says_how_far_behind_it_is_and_nothing_about_archiving() {
    let page = render(&Scene::standby().view(), &Registry::default());
    assert!(page.contains("\ncnpg_pg_replication_lag 0.5\n"), "{page}");
    assert!(page.contains("\ncnpg_pg_replication_is_wal_receiver_up 1\n"), "{page}");
    assert!(!page.contains("stat_archiver"), "{page}");
    assert!(!page.contains("lease_remaining"), "{page}");
}

#[test]
fn every_family_is_described_once_and_before_its_samples() {
    let page = render(&Scene::primary().view(), &Registry::default());
    let mut described = std::collections::BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            assert!(described.insert(name.to_owned()), "{name} is described twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(described.contains(name), "{name} has no type");
        }
    }
}
