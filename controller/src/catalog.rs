//! `spec.imageCatalogRef`: the image of a major, as its catalog has it now. Catalogs are read now and then, not watched:
//! a change of one is a rollout, for which nobody waits by the second.

use crate::memory::Remembered;
use core::time::Duration;
use kube::{Api, Client, ResourceExt};
use pgherd_core::rules::catalog;
use pgherd_core::time::Instant;
use pgherd_proto::cluster::{Cluster, ImageCatalogRef};
use pgherd_proto::image_catalog::{CatalogImage, ClusterImageCatalog, ImageCatalog};
use pgherd_telemetry::chain;

/// The image, or why there is none, for people.
pub type Chosen = Result<String, String>;

/// No election waits longer for a catalog.
const WITHIN: Duration = Duration::from_secs(2);

/// Where the cluster has its image from a catalog: which one. As it was read a moment ago, if it was.
pub async fn chosen(client: &Client, cluster: &Cluster, memory: &mut Remembered, now: Instant) -> Option<Chosen> {
    let reference = cluster.spec.image_catalog_ref.as_deref()?;
    if let Some(known) = memory.image(reference, now) {
        return Some(known);
    }
    let namespace = cluster.namespace().unwrap_or_default();
    let read = tokio::time::timeout(WITHIN, read(client, &namespace, reference)).await;
    match read.unwrap_or_else(|_| Err("no answer".to_owned())) {
        Ok(images) => {
            let chosen = choose(reference, images.as_deref());
            memory.remember_image(reference, chosen.clone(), now);
            Some(chosen)
        }
        // What could not be read has not changed for that.
        Err(why) => {
            let what = named(reference);
            let known = memory.image_of_before(reference);
            Some(known.unwrap_or_else(|| Err(format!("{what} cannot be read: {why}"))))
        }
    }
}

/// The cluster with that image in place of the reference: what the rest of the controller sees.
#[must_use]
pub fn with_image(cluster: &Cluster, image: &str) -> Cluster {
    let mut cluster = cluster.clone();
    cluster.spec.image_catalog_ref = None;
    cluster.spec.image_name = Some(image.to_owned());
    cluster
}

fn named(reference: &ImageCatalogRef) -> String {
    format!("spec.imageCatalogRef: {} {}", reference.kind, reference.name)
}

/// Nothing where there is no such catalog.
async fn read(
    client: &Client,
    namespace: &str,
    reference: &ImageCatalogRef,
) -> Result<Option<Vec<CatalogImage>>, String> {
    let name = &reference.name;
    let found = if reference.kind == "ClusterImageCatalog" {
        let found = Api::<ClusterImageCatalog>::all(client.clone()).get_opt(name).await;
        found.map(|catalog| catalog.map(|catalog| catalog.spec.images))
    } else {
        let found = Api::<ImageCatalog>::namespaced(client.clone(), namespace).get_opt(name).await;
        found.map(|catalog| catalog.map(|catalog| catalog.spec.images))
    };
    found.map_err(|error| chain(&error))
}

fn choose(reference: &ImageCatalogRef, images: Option<&[CatalogImage]>) -> Chosen {
    let what = named(reference);
    let Some(images) = images else { return Err(format!("{what} is absent: create it, or write imageName")) };
    let plain: Vec<(i32, &str)> = images.iter().map(|image| (image.major, image.image.as_str())).collect();
    let chosen = catalog::image(reference.major, &plain);
    chosen.map(str::to_owned).map_err(|error| format!("{what} cannot be used: {}", chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_proto::cluster::ClusterSpec;
    use pgherd_testkit::scenario::{Scenario, refusal};
    use serde_json::{Value, json};

    const OF_NAMESPACE: &str = "/apis/postgresql.cnpg.io/v1/namespaces/ns/imagecatalogs/k";
    const OF_ALL: &str = "/apis/postgresql.cnpg.io/v1/clusterimagecatalogs/k";
    const SECOND: u64 = 1_000_000_000;

    fn cluster(kind: &str, major: i32) -> Cluster {
        let reference = json!({ "instances": 1, "imageCatalogRef": { "kind": kind, "name": "k", "major": major } });
        let spec: ClusterSpec = serde_json::from_value(reference).unwrap();
        let mut cluster = Cluster::new("c", spec);
        cluster.metadata.namespace = Some("ns".to_owned());
        cluster
    }

    fn catalog(kind: &str, image: &str) -> Value {
        json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": kind, "metadata": { "name": "k" },
            "spec": { "images": [{ "major": 16, "image": image }] } })
    }

    async fn look(scenario: Scenario, cluster: &Cluster, memory: &mut Remembered, second: u64) -> Option<Chosen> {
        let (client, script) = scenario.client();
        let found = chosen(&client, cluster, memory, Instant(second * SECOND)).await;
        script.finish();
        found
    }

    #[tokio::test]
    async fn each_kind_of_catalog_is_read_where_it_is_and_none_where_none_is_named() {
        for (kind, path) in [("ImageCatalog", OF_NAMESPACE), ("ClusterImageCatalog", OF_ALL)] {
            let cluster = cluster(kind, 16);
            let scenario = Scenario::new().get(path, catalog(kind, "pg:16.1"));
            let found = look(scenario, &cluster, &mut Remembered::default(), 0).await;
            assert_eq!(found, Some(Ok("pg:16.1".to_owned())));
        }
        let plain = Cluster::new("c", ClusterSpec::default());
        assert_eq!(look(Scenario::new(), &plain, &mut Remembered::default(), 0).await, None);
        let seen = with_image(&cluster("ImageCatalog", 16), "pg:16.1").spec;
        assert_eq!(
            (seen.postgres_image(), seen.postgres_major(), seen.image_catalog_ref.clone()),
            ("pg:16.1", Some(16), None)
        );
    }

    #[tokio::test]
    async fn what_is_lacking_is_named() {
        let there = Scenario::new().get(OF_NAMESPACE, catalog("ImageCatalog", "pg:16.1"));
        let absent = Scenario::new().missing(OF_NAMESPACE);
        for (scenario, major, said) in [(there, 17, "has no image of PostgreSQL 17"), (absent, 16, "is absent")] {
            let found = look(scenario, &cluster("ImageCatalog", major), &mut Remembered::default(), 0).await;
            let why = found.unwrap().unwrap_err();
            assert!(why.starts_with("spec.imageCatalogRef: ImageCatalog k") && why.contains(said), "{why}");
        }
    }

    #[tokio::test]
    async fn an_image_that_was_read_stays_while_the_api_server_does_not_answer_as_it_should() {
        let (mut memory, cluster) = (Remembered::default(), cluster("ImageCatalog", 16));
        let failing = || Scenario::new().call("GET", OF_NAMESPACE, None, 500, refusal(500, "InternalError"));
        let first = look(failing(), &cluster, &mut memory, 0).await;
        assert!(first.unwrap().unwrap_err().contains("cannot be read"));
        let there = Scenario::new().get(OF_NAMESPACE, catalog("ImageCatalog", "pg:16.1"));
        let known = Some(Ok("pg:16.1".to_owned()));
        assert_eq!(look(there, &cluster, &mut memory, 1).await, known);
        assert_eq!(look(Scenario::new(), &cluster, &mut memory, 2).await, known, "it was read a moment ago");
        assert_eq!(look(failing(), &cluster, &mut memory, 600).await, known);
        let gone = look(Scenario::new().missing(OF_NAMESPACE), &cluster, &mut memory, 660).await;
        assert!(gone.unwrap().unwrap_err().contains("is absent"));
    }
}
