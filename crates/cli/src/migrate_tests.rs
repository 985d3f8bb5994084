//! What is said of clusters as CloudNativePG leaves them.

use crate::migrate_look::{Seen, Verdict, look, may_go};
use serde_json::{Value, json};

/// Makes it one that cannot be.
type Spoil = fn(&mut Seen);

/// Hibernated by CloudNativePG, its operator stopped.
fn asleep() -> Seen {
    let claim = |name: &str, role: &str| {
        json!({"metadata": {"name": name, "labels": {"cnpg.io/cluster": "db", "cnpg.io/instanceName": name,
            "cnpg.io/pvcRole": role}, "annotations": {"cnpg.io/pvcStatus": "ready", "cnpg.io/nodeSerial": "1"}}})
    };
    let secret = |name: &str, key: &str| json!({"metadata": {"name": name}, "data": {key: "eA=="}});
    let cluster = json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "db"},
        "spec": {"instances": 2, "imageName": "ghcr.io/cloudnative-pg/postgresql:15.8", "storage": {"size": "1Gi"},
            "backup": {"barmanObjectStore": {"destinationPath": "s3://backups/db", "s3Credentials": {
                "accessKeyId": {"name": "s", "key": "a"}, "secretAccessKey": {"name": "s", "key": "b"}}}}},
        "status": {"systemID": "7", "currentPrimary": "db-1", "targetPrimary": "db-1"}});
    Seen {
        cluster: Some(serde_json::from_value(cluster).unwrap()),
        claims: read(json!([claim("db-1", "PG_DATA"), claim("db-2", "PG_DATA"), claim("db-1-wal", "PG_WAL")])),
        secrets: read(json!([
            secret("db-ca", "ca.key"),
            secret("db-server", "tls.key"),
            secret("db-replication", "tls.key"),
            secret("db-app", "password")
        ])),
        lease: Some(read(json!({"metadata": {"name": "db"}, "spec": {"holderIdentity": "db-1"}}))),
        ..Seen::default()
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn texts(seen: &Seen, verdict: Verdict) -> String {
    let lines = look(seen);
    let of_it: Vec<&str> = lines.iter().filter(|line| line.verdict == verdict).map(|line| line.what.as_str()).collect();
    of_it.join("\n")
}

#[test]
fn a_hibernated_cluster_may_be_taken_over_with_its_volumes_secrets_and_archive() {
    let seen = asleep();
    assert!(may_go(&look(&seen)), "{:#?}", look(&seen));
    let stays = texts(&seen, Verdict::Stays);
    for word in
        ["database system 7", "db-1-wal, as instance db-1", "Secret db-app", "s3://backups/db, server db", "db-rw"]
    {
        assert!(stays.contains(word), "{word}: {stays}");
    }
    assert!(texts(&seen, Verdict::Changes).contains("Lease of CloudNativePG"));
}

#[test]
fn what_has_to_be_done_first_is_said() {
    let mut seen = asleep();
    seen.operators = vec!["cnpg-system/cnpg-controller-manager-1".into()];
    seen.pods = read(json!([{"metadata": {"name": "db-1"}}]));
    let cluster = seen.cluster.as_mut().unwrap();
    cluster.spec.image_name = None;
    cluster.status.as_mut().unwrap().image = Some("pg:16".into());
    cluster.status.as_mut().unwrap().target_primary = Some("db-2".into());
    let first = texts(&seen, Verdict::First);
    for word in ["cnpg-controller-manager-1", "hibernate the cluster", "write pg:16 into it", "failover goes on"] {
        assert!(first.contains(word), "{word}: {first}");
    }
    assert!(!may_go(&look(&seen)));
}

#[test]
fn what_cannot_be_taken_over_is_refused() {
    let cases: [(&str, Spoil); 5] = [
        ("systemID", |seen| seen.cluster.as_mut().unwrap().status.as_mut().unwrap().system_id = None),
        ("primary's volume", |seen| drop(seen.claims.remove(0))),
        ("pgherd's already", |seen| {
            seen.pods = read(json!([{"metadata": {"name": "db-1", "annotations": {"pgherd.io/member": "{}"}}}]));
        }),
        ("has a tablespace", |seen| {
            seen.claims =
                read(json!([{"metadata": {"name": "db-1-tbs-x", "labels": {"cnpg.io/pvcRole": "PG_TABLESPACE"}}}]));
        }),
        ("spec.replica", |seen| {
            let mut cluster = json!(seen.cluster);
            cluster["spec"]["replica"] = json!({"enabled": true, "source": "x"});
            seen.cluster = Some(read(cluster));
        }),
    ];
    for (word, spoil) in cases {
        let mut seen = asleep();
        spoil(&mut seen);
        let refused = texts(&seen, Verdict::Refused);
        assert!(refused.contains(word), "{word}: {refused}");
    }
}
