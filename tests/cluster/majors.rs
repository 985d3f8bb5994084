//! The same life on each major of PostgreSQL: a first database, streaming, a failover while rows are written, a rewind, a
//! clone, a base backup, a restore drill and a recovery to a moment; with the settings of WAL and pages that are chosen at initdb.
//!
//! `make test` has them in a tier of their own, which fetches what Debian does not have.

use std::path::Path;
use std::time::Duration;

use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_testkit::bed::FIRST;
use serde_json::json;

use crate::apart::cut_off;
use crate::bed::{Bed, NAMESPACE};

/// What one of them is made of.
struct Kind {
    major: u32,
    /// `walSegmentSize`.
    segment: u32,
    checksums: bool,
    compression: &'static str,
    /// Whether the old primary has WAL of its own when it comes back, which takes its fence first.
    apart: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_postgresql_14_with_segments_of_1_mib_and_checksums_lives_as_any_other() {
    live(Kind { major: 14, segment: 1, checksums: true, compression: "on", apart: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_postgresql_15_with_lz4_lives_as_any_other() {
    live(Kind { major: 15, segment: 16, checksums: false, compression: "lz4", apart: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_postgresql_16_with_zstd_and_checksums_lives_as_any_other() {
    live(Kind { major: 16, segment: 16, checksums: true, compression: "zstd", apart: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_postgresql_17_without_compression_lives_as_any_other() {
    live(Kind { major: 17, segment: 16, checksums: false, compression: "off", apart: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_postgresql_18_with_segments_of_64_mib_and_no_checksums_lives_as_any_other() {
    live(Kind { major: 18, segment: 64, checksums: false, compression: "pglz", apart: true }).await;
}

async fn live(kind: Kind) {
    let Kind { major, segment, checksums, compression, apart } = kind;
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/postgres").canonicalize();
    let edit = |cluster: &mut serde_json::Value| {
        let spec = &mut cluster["spec"];
        spec["instances"] = 2.into();
        spec["imageName"] = format!("ghcr.io/cloudnative-pg/postgresql:{major}").into();
        spec["bootstrap"] = json!({"initdb": {"dataChecksums": checksums, "walSegmentSize": segment}});
        spec["postgresql"]["parameters"]["wal_compression"] = compression.into();
        spec["backup"]["barmanObjectStore"]["data"]["immediateCheckpoint"] = true.into();
    };
    let bed = Bed::start_with(&format!("pg{major}"), edit, |options| {
        options.backoff_scale = 0.02;
        options.node_grace = Duration::from_millis(800);
        options.postgres.extend(fetched);
    })
    .await;
    let first = bed.healthy(120).await;
    let on_off = |yes: bool| if yes { "on" } else { "off" };
    for (setting, value) in [
        ("wal_segment_size", format!("{segment}MB")),
        ("data_checksums", on_off(checksums).to_owned()),
        ("wal_compression", compression.to_owned()),
    ] {
        assert_eq!(bed.ask(&first, &format!("SHOW {setting}")).await.unwrap(), value, "{setting}");
    }
    let version = bed.ask(&first, "SHOW server_version_num").await.unwrap();
    assert_eq!(version.parse::<u32>().unwrap() / 10_000, major, "the image's major, whatever else is installed");
    bed.says_what_it_writes(&first, major).await;

    let load = bed.load().await;
    let took = bed.back_up("base", Duration::from_secs(60), |_| ()).await.unwrap();
    bed.say(&format!("a base backup: {:?}", took.backup_id));
    bed.hurt(&load, "kill -9 of the primary's postmaster", async || {
        bed.kill(Target::Postmaster, &first).await;
        bed.another_primary(&first, 60).await;
    })
    .await;
    let mut primary = bed.healthy(90).await;
    bed.nothing_lost(&load).await;

    if apart {
        cut_off(&bed, &load, &primary).await;
        let directory = bed.identity_of(&primary);
        bed.fault(FaultRequest::Heal).await;
        let next = bed.healthy(120).await;
        assert_eq!(bed.identity_of(&primary), directory, "the old primary was to be rewound, not cloned");
        bed.lost_only_apart(&load).await;
        primary = next;
    }

    let standby = bed.standby().await;
    bed.fault(FaultRequest::LoseVolume { pod: format!("{NAMESPACE}/{standby}") }).await;
    bed.healthy(120).await;
    load.stop().await;

    let run = async |sql: &str| bed.ask(&primary, sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    run("CREATE TABLE orders AS SELECT generate_series(1, 5000) AS id").await;
    let moment = run("SELECT clock_timestamp()::text").await;
    run("DROP TABLE orders").await;
    bed.archive_now(&primary, 60).await;
    if checksums {
        let (code, said) = bed.verify(&[]).await;
        assert_eq!((code, said["proven"]["checksums"].as_str()), (0, Some("verified")), "{said}");
        bed.say(&format!("proven: {}", said["proven"]));
    }
    let recovery = json!({"source": FIRST, "recoveryTarget": {"targetTime": moment}});
    let other = bed.recovered("recovered", &recovery, |spec| spec["instances"] = 1.into()).await.unwrap();
    let found = other.healthy(Duration::from_secs(120)).await.unwrap_or_else(|late| panic!("{late}"));
    let ask = async |sql: &str| bed.ask(&found, sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    assert_eq!(ask("SELECT count(*)::text || ' ' || sum(id)::text FROM orders").await, "5000 12502500");
    assert_eq!(ask("SHOW wal_segment_size").await, format!("{segment}MB"));
    assert_eq!(ask("SHOW min_wal_size").await, run("SHOW min_wal_size").await, "as initdb had it");
    bed.down().await;
}

impl Bed {
    /// The metrics of WAL have what this major counts, and it answers all of the default queries that are for it.
    async fn says_what_it_writes(&self, pod: &str, major: u32) {
        let checkpoints = if major < 17 {
            "cnpg_pg_stat_bgwriter_checkpoints_timed "
        } else {
            "cnpg_pg_stat_checkpointer_checkpoints_timed "
        };
        self.until("the metrics", 60, async || {
            let page = self.metrics(pod).await.map_err(|error| format!("{error:#}"))?;
            for start in
                ["cnpg_collector_wal_bytes{", "cnpg_last_error 0", "cnpg_pg_stat_bgwriter_buffers_clean ", checkpoints]
            {
                if !page.lines().any(|line| line.starts_with(start)) {
                    let errors: Vec<_> = page.lines().filter(|line| line.starts_with("cnpg_errors_total")).collect();
                    return Err(format!("no {start}; {errors:?}"));
                }
            }
            Ok(())
        })
        .await;
    }
}
