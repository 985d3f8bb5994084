//! The first database as the manifest wants it: locale, segments, checksums, SQL of the user's, his environment and his
//! files; and nothing of it where a part of it is missing. Afterwards its roles and services are changed.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::{Api, LogParams, PostParams};
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER, NAMESPACE};

fn wanted(cluster: &mut Value) {
    let spec = &mut cluster["spec"];
    spec["instances"] = 1.into();
    spec["postgresql"] = json!({ "parameters": { "pg_stat_statements.max": "200" } });
    spec["monitoring"] = json!({
        "metricsQueriesTTL": "1s",
        "customQueriesConfigMap": [{ "name": "cnpg-default-monitoring", "key": "queries" }, { "name": "shop", "key": "queries" }],
    });
    spec["env"] = json!([{ "name": "SHOP", "value": "open" }]);
    spec["projectedVolumeTemplate"] = json!({ "sources": [{ "secret": { "name": "aws-creds" } }] });
    spec["inheritedMetadata"] = json!({ "labels": { "team": "shop" } });
    spec["bootstrap"] = json!({ "initdb": {
        "database": "shop", "owner": "shopkeeper",
        "localeProvider": "icu", "icuLocale": "de", "walSegmentSize": 32, "dataChecksums": true,
        "postInitSQL": ["CREATE ROLE reader", "CREATE TABLE in_postgres (i int); INSERT INTO in_postgres VALUES (1)"],
        "postInitTemplateSQL": ["CREATE EXTENSION pg_stat_statements"],
        "postInitApplicationSQL": ["CREATE TABLE first (i int); GRANT SELECT, INSERT ON first TO PUBLIC"],
        "postInitApplicationSQLRefs": {
            "secretRefs": [{ "name": "shop", "key": "sql" }],
            "configMapRefs": [{ "name": "shop", "key": "sql" }],
        },
    } });
}

/// Metrics of the user's: one query that answers, one that is not for this version, one that tries to write, one of a
/// misspelt usage.
const QUERIES: &str = r#"
first:
  query: "SELECT i::text AS number, 1 AS total FROM first"
  metrics:
    - number: {usage: "LABEL", description: "Which"}
    - total: {usage: "GAUGE", description: "How many"}
newer:
  query: "SELECT nothing"
  runonserver: ">=99.0.0"
  metrics: []
writes:
  query: "INSERT INTO first VALUES (4) RETURNING i AS total"
  metrics:
    - total: {usage: "GAUGE"}
misspelt:
  query: "SELECT 1 AS total"
  metrics:
    - total: {usage: "GUAGE"}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_database_is_made_as_the_manifest_says_and_only_whole() {
    let bed = Bed::start("firstborn", wanted).await;
    let (maps, secrets) = (
        Api::<ConfigMap>::namespaced(bed.client.clone(), NAMESPACE),
        Api::<Secret>::namespaced(bed.client.clone(), NAMESPACE),
    );
    let name = format!("{CLUSTER}-1");
    bed.until("the manager to miss the Secret", 60, async || {
        let log = bed.pods().logs(&name, &LogParams::default()).await.unwrap_or_default();
        match log.contains("postInitApplicationSQLRefs: key sql of Secret shop") {
            true => Ok(()),
            false => Err("it says nothing of it".to_owned()),
        }
    })
    .await;
    let secret = json!({ "metadata": { "name": "shop" }, "stringData": { "sql": "INSERT INTO first VALUES (2)" } });
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    let map = json!({ "metadata": { "name": "shop" },
        "data": { "sql": "INSERT INTO first VALUES (3)", "queries": QUERIES } });
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();

    let primary = bed.healthy(120).await;
    let ask = async |database: &str, sql: &str| {
        bed.ask_in(&primary, database, sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"))
    };
    let setting = async |name: &str| ask("postgres", &format!("SELECT current_setting('{name}')")).await;
    assert_eq!(setting("wal_segment_size").await, "32MB");
    assert_eq!(setting("data_checksums").await, "on");
    assert_eq!(setting("shared_preload_libraries").await, "pg_stat_statements");
    let locale = "SELECT datlocprovider::text || ' ' || daticulocale || ' ' || pg_encoding_to_char(encoding) FROM pg_database \
                  WHERE datname = 'shop'";
    assert_eq!(ask("postgres", locale).await, "i de UTF8");
    let owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'";
    assert_eq!(ask("postgres", owner).await, "shopkeeper");
    assert_eq!(ask("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'reader'").await, "1");
    assert_eq!(ask("postgres", "SELECT count(*) FROM in_postgres").await, "1", "once, whatever was tried before");
    let extension = "SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'";
    assert_eq!(ask("shop", extension).await, "1", "made of the template");
    ask("postgres", "CREATE DATABASE later TEMPLATE template0").await;
    for database in ["postgres", "later"] {
        bed.until(&format!("the extension of the parameter in {database}"), 60, async || {
            let there = bed.ask_in(&primary, database, extension).await.map_err(|error| format!("{error:#}"))?;
            if there == "1" { Ok(()) } else { Err(there) }
        })
        .await;
    }
    assert_eq!(ask("shop", "SELECT string_agg(i::text, ' ' ORDER BY i) FROM first").await, "2 3");
    bed.queries_are_asked(&primary).await;
    assert_eq!(ask("shop", "SELECT count(*) FROM first").await, "2", "a query of metrics writes nothing");
    // The manager's environment and files.
    let program =
        "COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; test \"$SHOP\" = open && test -s /projected/ACCESS_KEY_ID'";
    ask("postgres", program).await;
    // What it inherits, and the archive of segments of another size.
    bed.roles_are_kept(&primary).await;
    bed.services_are_kept().await;
    let pod = bed.pods().get(&name).await.unwrap();
    assert_eq!(pod.labels().get("team").map(String::as_str), Some("shop"));
    let segment = bed.archive_now(&primary, 60).await;
    bed.say(&format!("{segment} of 32 MB is archived"));
    bed.down().await;
}

impl Bed {
    /// The default queries' metrics, and those of the user's queries that can be asked; the others are named, and harm none.
    async fn queries_are_asked(&self, primary: &str) {
        let wanted = [
            "cnpg_first_total{number=\"2\"} 1",
            "cnpg_first_total{number=\"3\"} 1",
            "cnpg_pg_stat_database_xact_commit{datname=\"shop\"} ",
            "cnpg_pg_database_size_bytes{datname=\"shop\"} ",
            "cnpg_pg_settings_setting{name=\"max_connections\"} ",
            "cnpg_pg_stat_bgwriter_buffers_alloc ",
            "cnpg_backends_waiting_total 0",
            "cnpg_pg_extensions_update_available{datname=\"later\",extname=\"plpgsql\"",
            "cnpg_errors_total{errorUserQueries=\"writes on db shop: SQLSTATE 25006\"} 1",
            "cnpg_errors_total{errorUserQueries=\"misspelt: ",
            "cnpg_last_error 1",
        ];
        self.until("metrics by queries", 90, async || {
            let page = self.metrics(primary).await.map_err(|error| format!("{error:#}"))?;
            let missing: Vec<_> = wanted.iter().filter(|start| !page.lines().any(|l| l.starts_with(**start))).collect();
            let errors: Vec<_> = page.lines().filter(|line| line.starts_with("cnpg_errors_total")).collect();
            if !missing.is_empty() {
                return Err(format!("{missing:?}; {errors:?}"));
            }
            assert_eq!(errors.len(), 2, "{errors:?}");
            Ok(())
        })
        .await;
    }
}
