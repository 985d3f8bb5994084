//! Volumes: the class that the example asks for, with folders of the nodes behind it. A claim waits for its pod; the scheduler
//! names the node; the folder is made there, and stays there, as a disk of that machine would.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::kubectl::{Kubectl, items};

/// Who makes the volumes of the class.
pub const PROVISIONER: &str = "pgherd.test/folders";
/// What the scheduler writes on a claim.
const SELECTED: &str = "volume.kubernetes.io/selected-node";
/// Between two looks at the claims.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes the class.
pub async fn class(kubectl: &Kubectl, name: &str, provisioner: &str) {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete",
    });
    kubectl.apply(&class).await;
}

/// Makes volumes for claims, and removes those of claims that are gone, for as long as the program runs.
pub async fn provision(kubectl: Kubectl, directory: PathBuf) {
    loop {
        let all = ["get", "persistentvolumeclaims,persistentvolumes", "--all-namespaces"];
        for object in items(&kubectl.json(&all).await.unwrap_or_default()) {
            // What could not be done is tried again at the next look.
            let _done = if object["kind"] == "PersistentVolume" {
                remove(&kubectl, object).await
            } else {
                make(&kubectl, &directory, object).await
            };
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn make(kubectl: &Kubectl, directory: &Path, claim: &Value) -> Option<()> {
    let metadata = &claim["metadata"];
    let node = metadata["annotations"][SELECTED].as_str()?;
    if claim["spec"]["volumeName"].is_string() {
        return None;
    }
    let (uid, name) = (metadata["uid"].as_str()?, metadata["name"].as_str()?);
    let folder = directory.join(node).join("volumes").join(format!("{name}-{uid}"));
    std::fs::create_dir_all(&folder).unwrap();
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("pvc-{uid}"),
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"], "storageClassName": claim["spec"]["storageClassName"],
            "persistentVolumeReclaimPolicy": "Retain", "local": {"path": folder},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name, "uid": uid,
                "namespace": metadata["namespace"]},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]}},
        },
    });
    let file = folder.with_extension("json");
    std::fs::write(&file, volume.to_string()).unwrap();
    kubectl.ask(&["create", "-f", &file.display().to_string()]).await.ok().map(drop)
}

async fn remove(kubectl: &Kubectl, volume: &Value) -> Option<()> {
    if volume["status"]["phase"] != "Released" {
        return None;
    }
    kubectl.ask(&["delete", "persistentvolume", volume["metadata"]["name"].as_str()?, "--wait=false"]).await.ok()?;
    std::fs::remove_dir_all(volume["spec"]["local"]["path"].as_str()?).ok()
}
