//! Manifests that are given to `up`. Needs root, as `make test` has it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bed;

use bed::{assert_nothing_is_up, directory_of, try_start};
use kube::api::{Api, DynamicObject};
use pgherd_localkube::daemon::DaemonError;

const EXAMPLE: &str = include_str!("../../../docs/examples/cluster.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_cluster_is_refused_with_the_reason_and_nothing_is_left_up_and_once_mended_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster.yaml");
    let bad = EXAMPLE.replace("max_connections: \"200\"", "archive_command: \"true\"");
    assert_ne!(bad, EXAMPLE);
    std::fs::write(&file, bad).unwrap();
    let start = || try_start("manifest", |options| options.files = vec![file.clone()]);
    let Err(DaemonError::Invalid(text)) = start().await else { panic!("it was taken") };
    assert!(text.contains("document 1 (Cluster phoenix-guardian-db): cannot be applied"), "{text}");
    assert!(text.contains("error: spec.postgresql.parameters: the parameter \"archive_command\" is set"), "{text}");
    assert_nothing_is_up(&directory_of("manifest"), &format!("t{}manifest", std::process::id()));

    std::fs::write(&file, EXAMPLE).unwrap();
    let environment = start().await.unwrap();
    let kind =
        kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk("postgresql.cnpg.io", "v1", "Cluster"));
    let clusters = Api::<DynamicObject>::namespaced_with(environment.client.clone(), "phoenix-guardian", &kind);
    assert!(clusters.get_opt("phoenix-guardian-db").await.unwrap().is_some());
    environment.down().await;
}
