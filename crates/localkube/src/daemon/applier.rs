//! Applies manifests: all of them, or none if an object that is new is invalid. An edit of one that is there already goes
//! through whatever it says, as it would with `kubectl`: the last valid spec stays in force, and the controller says why.

use std::path::PathBuf;

use pgherd_proto::cluster::DEFAULT_IMAGE;
use pgherd_proto::validate::{Checked, for_people, manifests as check};
use serde_json::Value;

use super::furnish::{self, S3Keys};
use super::{DaemonError, manifests};
use crate::api::Store;
use crate::api::object::text;
use crate::node::Servers;

/// What applies manifests and answers what was done. `buckets` is where the embedded S3 has its buckets.
pub(super) fn applier(
    store: Store,
    keys: S3Keys,
    buckets: Option<PathBuf>,
    servers: Servers,
) -> impl Fn(&[PathBuf]) -> Result<Vec<String>, DaemonError> + Send + Sync + 'static {
    move |files| {
        let (mut documents, mut broken) = (Vec::new(), Vec::new());
        for path in files {
            let text = std::fs::read_to_string(path).map_err(DaemonError::file(path))?;
            let of_file = manifests::parse(path, &text)?;
            broken.extend(refused(&store, check(path, &text), &of_file));
            documents.extend(of_file);
        }
        if !broken.is_empty() {
            return Err(DaemonError::Invalid(for_people(&broken).trim_end().to_owned()));
        }
        let lacking: Vec<String> = documents.iter().filter_map(|document| lack(&servers, document)).collect();
        if !lacking.is_empty() {
            return Err(DaemonError::Invalid(lacking.join("\n")));
        }
        let wanted = manifests::taken_for_granted(&documents);
        let mut done: Vec<String> = furnish::surroundings(&store, &wanted, &keys, buckets.as_deref())?
            .into_iter()
            .map(|what| format!("made {what}"))
            .collect();
        for document in documents {
            done.push(manifests::apply(&store, document)?);
        }
        Ok(done)
    }
}

/// Why a Cluster's image cannot be run here.
fn lack(servers: &Servers, document: &Value) -> Option<String> {
    let image = Some(text(document, "/spec/imageName")).filter(|image| !image.is_empty()).unwrap_or(DEFAULT_IMAGE);
    let why = (text(document, "/kind") == "Cluster").then(|| servers.lack(image))??;
    Some(format!("Cluster {}: spec.imageName: {why}", text(document, "/metadata/name")))
}

/// The invalid ones of those that are new. Both lists are of the same documents.
fn refused(store: &Store, checked: Vec<Checked>, documents: &[Value]) -> Vec<Checked> {
    let pairs = checked.into_iter().zip(documents);
    pairs
        .filter(|(checked, document)| checked.is_broken() && !manifests::is_there(store, document))
        .map(|(checked, _)| checked)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::{ApiConfig, ApiServer, FaultSwitch};
    use crate::net::address::ServiceAddresses;

    const EXAMPLE: &str = include_str!("../../../../docs/examples/cluster.yaml");

    #[test]
    fn an_invalid_new_cluster_is_refused_as_validate_says_it_and_an_invalid_edit_reaches_the_controller() {
        let directory = tempfile::tempdir().unwrap();
        let api = ApiServer::new(ApiConfig {
            state_dir: directory.path().join("api"),
            tokens: std::collections::BTreeMap::new(),
            rbac: false,
            cluster_ips: Arc::new(ServiceAddresses::default()),
            pod_logs: None,
            root_ca: String::new(),
            faults: FaultSwitch::default(),
        })
        .unwrap();
        let store = api.store();
        furnish::definitions_of(&store).unwrap();
        let keys = S3Keys { id: "id".to_owned(), secret: "secret".to_owned() };
        let apply = applier(store.clone(), keys, Some(directory.path().join("s3")), Servers::below(&[]));
        let file = directory.path().join("cluster.yaml");
        let bad = EXAMPLE.replace("max_connections: \"200\"", "archive_command: \"true\"");
        assert_ne!(bad, EXAMPLE);

        std::fs::write(&file, &bad).unwrap();
        let error = apply(std::slice::from_ref(&file)).unwrap_err();
        let said = for_people(&check(&file, &bad));
        assert!(error.to_string().contains(said.trim_end()), "{error}");
        assert!(error.to_string().contains("error: spec.postgresql.parameters"), "{error}");
        let clusters = || store.list("clusters.postgresql.cnpg.io", None, "").unwrap().items;
        assert!(clusters().is_empty() && !directory.path().join("s3").exists(), "nothing was made for it");

        let absent = (14..=18).find(|major| Servers::below(&[]).of(*major).is_none()).expect("not all of them");
        std::fs::write(&file, EXAMPLE.replace("instances: 3", &format!("instances: 3\n  imageName: pg:{absent}")))
            .unwrap();
        let error = apply(std::slice::from_ref(&file)).unwrap_err().to_string();
        let said = format!("Cluster phoenix-guardian-db: spec.imageName: PostgreSQL {absent} of image pg:{absent}");
        assert!(error.contains(&said), "{error}");
        assert!(clusters().is_empty(), "nothing was made for it");

        std::fs::write(&file, EXAMPLE).unwrap();
        apply(std::slice::from_ref(&file)).unwrap();
        std::fs::write(&file, &bad).unwrap();
        apply(std::slice::from_ref(&file)).unwrap();
        let parameters = &clusters()[0]["spec"]["postgresql"]["parameters"];
        assert_eq!(parameters["archive_command"], "true", "the controller keeps the last valid spec in force");
    }
}
