//! The page, from a known view.

use crate::http::tests::Scene;
use crate::http::{ClusterFacts, ProvenFacts};
use crate::metrics::{Registry, render};

#[test]
fn a_primarys_page_has_the_names_that_dashboards_key_on() {
    let registry = Registry::default();
    registry.add_backup_damaged_pages(1);
    registry.set_log_lines(100, 3);
    let page = render(&Scene::primary().view(), &registry);
    for line in [
        "cnpg_collector_up{cluster=\"c\"} 1",
        "cnpg_collector_postgres_version{cluster=\"c\",full=\"15.18\"} 15.18",
        "cnpg_collector_pg_wal{value=\"count\"} 3",
        "cnpg_collector_pg_wal{value=\"volume_size\"} 2147483648",
        "cnpg_collector_pg_wal{value=\"volume_max\"} 128",
        "pgherd_volume_size_bytes{volume=\"data\"} 107374182400",
        "pgherd_volume_free_bytes{volume=\"wal\"} 536870912",
        "cnpg_collector_pg_wal_archive_status{value=\"ready\"} 2",
        "cnpg_collector_fencing_on 0",
        "cnpg_collector_collections_total 9",
        "cnpg_collector_collection_errors_total{collector=\"Collect.up\"} 1",
        "cnpg_pg_replication_in_recovery 0",
        "cnpg_pg_replication_streaming_replicas 1",
        "cnpg_pg_stat_archiver_archived_count 7",
        "cnpg_pg_stat_archiver_seconds_since_last_archival 10",
        "cnpg_pg_stat_archiver_last_failed_time -1",
        "cnpg_pg_stat_archiver_stats_reset_time 1600000000",
        "cnpg_pg_stat_archiver_last_archived_wal_start_lsn 33554432",
        "pgherd_instance_role{role=\"primary\"} 1",
        "pgherd_timeline 1",
        "pgherd_replication_streaming{application_name=\"c-2\"} 1",
        "pgherd_lease_age_seconds 1",
        "pgherd_lease_remaining_seconds 4",
        "pgherd_log_lines_dropped_total 3",
        "pgherd_checksum_failures_total 2",
        "pgherd_backup_damaged_pages_total 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
}

#[test]
fn what_only_the_cluster_knows_is_left_out_until_it_was_seen_and_is_the_primarys_to_say() {
    let page = |scene: Scene| render(&scene.view(), &Registry::default());
    assert!(!page(Scene::primary()).contains("cnpg_collector_nodes_used"));
    let facts = ClusterFacts { nodes_used: None, last_failed_backup_at: Some(7.0), ..ClusterFacts::default() };
    let knowing = |scene: Scene| page(scene.with(|instance| instance.cluster = Some(facts.clone())));
    let primary = knowing(Scene::primary());
    for line in [
        "cnpg_collector_nodes_used -1",
        "cnpg_collector_last_failed_backup_timestamp 7",
        "cnpg_collector_last_available_backup_timestamp 0",
        "cnpg_collector_first_recoverability_point 0",
    ] {
        assert!(primary.lines().any(|found| found == line), "{line} is not in\n{primary}");
    }
    let standby = knowing(Scene::standby());
    assert!(standby.contains("\ncnpg_collector_nodes_used -1\n"), "{standby}");
    // Of its own volume it says more.
    let of_cluster = |line: &str| line.contains("backup") && !line.contains("pgherd_backup_damaged_pages_total");
    assert!(!standby.lines().any(of_cluster), "{standby}");
}

#[test]
fn what_a_drill_proved_is_shown_once_there_was_one() {
    let page = |facts: &ClusterFacts| {
        let scene = Scene::primary().with(|instance| instance.cluster = Some(facts.clone()));
        render(&scene.view(), &Registry::default())
    };
    let unknown = page(&ClusterFacts::default());
    assert!(!unknown.contains("pgherd_backup_last") && !unknown.contains("pgherd_backup_first"), "{unknown}");
    let proven = ProvenFacts { instant: 1_700_000_000.5, total: 61.5, fetch: 30.0, replay: 1.25, checks: 30.25 };
    let facts = ClusterFacts {
        first_recoverable_at: Some(5.0),
        last_recoverable_at: Some(6.0),
        last_failed_drill_at: Some(7.0),
        proven: Some(proven),
        ..ClusterFacts::default()
    };
    let page = page(&facts);
    for line in [
        "pgherd_backup_first_recoverable_timestamp_seconds 5",
        "pgherd_backup_last_recoverable_timestamp_seconds 6",
        "pgherd_backup_last_proven_restorable_timestamp_seconds 1700000000.5",
        "pgherd_backup_last_proven_restorable_duration_seconds{part=\"replay\"} 1.25",
        "pgherd_backup_last_proven_restorable_duration_seconds{part=\"total\"} 61.5",
        "pgherd_backup_last_failed_drill_timestamp_seconds 7",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
}

#[test]
fn each_standby_that_follows_has_its_lines_with_how_far_it_is_behind() {
    let page = render(&Scene::primary().view(), &Registry::default());
    let who = "{usename=\"streaming_replica\",application_name=\"c-2\",client_addr=\"10.0.0.2\",client_port=\"40000\"}";
    // Written to 0/3000148, sent up to 0/3000000.
    assert!(page.contains(&format!("\ncnpg_pg_stat_replication_sent_diff_bytes{who} 328\n")), "{page}");
    assert!(page.contains(&format!("\ncnpg_pg_stat_replication_write_lag_seconds{who} 0.000123\n")), "{page}");
    assert!(!page.contains("cnpg_pg_stat_replication_flush_diff_bytes"), "what is not known is left out: {page}");
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
fn why_archiving_fails_is_told_in_one_word_while_it_does() {
    let page = |scene: Scene| render(&scene.view(), &Registry::default());
    let failing = |instance: &mut crate::http::InstanceSnapshot| {
        instance.archive.error = Some("000000010000000000000001: 404 NoSuchBucket".to_owned());
        instance.archive.error_kind = Some("misconfigured");
    };
    let said = page(Scene::primary().with(failing));
    assert!(said.contains("\npgherd_archive_failing 1\n"), "{said}");
    assert!(said.contains("\npgherd_archive_failing_reason{reason=\"misconfigured\"} 1\n"), "{said}");
    assert!(!page(Scene::primary()).contains("pgherd_archive_failing_reason"));
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
