//! The passwords (and what postgres keeps of them) and keys of a cluster that has been through something are in none of
//! its logs, Events, statuses, nor in the arguments and environments of any process.

use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};

use crate::bed::{Bed, CLUSTER, NAMESPACE};

/// Keys of Secrets whose whole values are secret: of a role, and of the object store.
const WHOLE: [&str; 2] = ["password", "SECRET_ACCESS_KEY"];
/// The Secret of the example's object store, which is not the cluster's own.
const STORE: &str = "aws-creds";
/// What everybody may read who reads the namespace without its Secrets.
const SHOWN: [(&str, &str); 6] = [
    ("", "Event"),
    ("", "Pod"),
    ("postgresql.cnpg.io", "Cluster"),
    ("postgresql.cnpg.io", "Backup"),
    ("postgresql.cnpg.io", "ScheduledBackup"),
    ("coordination.k8s.io", "Lease"),
];
/// How deep logs lie below a state directory.
const DEPTH: u32 = 6;

impl Bed {
    /// Looks everywhere.
    pub async fn no_secret_is_shown(&self) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mut needles: Vec<(String, String)> = Vec::new();
        for secret in secrets.list(&ListParams::default()).await.unwrap().items {
            let name = secret.metadata.name.clone().unwrap_or_default();
            if !name.starts_with(CLUSTER) && name != STORE {
                continue;
            }
            for (key, value) in secret.data.unwrap_or_default() {
                let what = format!("{name}/{key}");
                let text = String::from_utf8(value.0).unwrap();
                if WHOLE.contains(&key.as_str()) {
                    needles.push((what, text));
                } else if key.ends_with(".key") {
                    // A line of its body is enough; the armour is no secret.
                    let lines = text.lines().filter(|line| line.len() >= 40 && !line.contains("-----"));
                    needles.extend(lines.map(|line| (what.clone(), line.to_owned())));
                }
            }
        }
        // What postgres keeps of a password can be guessed at without it.
        needles.push(("a password's verifier".to_owned(), "SCRAM-SHA-256$".to_owned()));
        assert!(needles.len() >= 7, "there is something to look for: {}", needles.len());
        assert!(needles.iter().any(|(what, _)| what.starts_with(STORE)), "the keys of the object store among it");

        let mut looked = 0;
        let mut look = |place: &str, content: &[u8]| {
            looked += 1;
            let text = String::from_utf8_lossy(content);
            for (what, needle) in &needles {
                assert!(!text.contains(needle.as_str()), "{what} is in {place}");
            }
        };
        each_log(&self.directory, 0, &mut look);
        let api = |group: &str, kind: &str| self.objects(group, kind);
        for (group, kind) in SHOWN {
            for object in api(group, kind).list(&ListParams::default()).await.unwrap().items {
                look(&format!("{kind} {:?}", object.metadata.name), &serde_json::to_vec(&object).unwrap());
            }
        }
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            for file in ["cmdline", "environ"] {
                let path = process.path().join(file);
                // Processes come and go.
                if let Ok(content) = std::fs::read(&path) {
                    look(&path.display().to_string(), &content);
                }
            }
        }
        self.say(&format!("{} secrets are in none of {looked} places", needles.len()));
        assert!(looked > 50, "it looked into {looked} places only");
    }
}

/// Every file that a program of the environment has logged to.
fn each_log(directory: &Path, depth: u32, look: &mut impl FnMut(&str, &[u8])) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() && depth < DEPTH {
            each_log(&path, depth + 1, look);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            look(&path.display().to_string(), &std::fs::read(&path).unwrap_or_default());
        }
    }
}
