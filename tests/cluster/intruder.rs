//! Another cluster that is told to archive where one archives already: it is refused, and told so at once, until it has an
//! archive of its own.

use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER};

const GROUP: &str = "postgresql.cnpg.io";
const INTRUDER: &str = "intruder";

impl Bed {
    /// Nothing of it comes into the archive, and no Backup of it waits for that.
    pub async fn intruder_is_refused(&self) {
        let mut backup = self.cluster().await.unwrap()["spec"]["backup"].clone();
        backup["barmanObjectStore"]["serverName"] = json!(CLUSTER);
        let spec = json!({"instances": 1, "storage": {"size": "1Gi"}, "backup": backup});
        self.make("Cluster", INTRUDER, spec).await;
        self.until("the intruder to be healthy", 90, async || {
            let found = self.read("Cluster", INTRUDER).await?;
            let phase = &found["status"]["phase"];
            if phase == "Cluster in healthy state" { Ok(()) } else { Err(phase.to_string()) }
        })
        .await;
        let before = self.archived().await;
        self.backup_fails("before-its-first-wal", &["belongs to database system"]).await;

        self.ask(&format!("{INTRUDER}-1"), "SELECT pg_switch_wal()").await.unwrap();
        self.its_archiving_is("ArchiveRefuses").await;
        self.backup_fails("after-it", &["not begun", "waiting does not help", "belongs to database system"]).await;
        assert_eq!(self.archived().await, before, "nothing of it is in the archive");

        // What it was told to do helps, and nothing of the refusal is held against the next Backup.
        let own = json!({"spec": {"backup": {"barmanObjectStore": {"serverName": INTRUDER}}}});
        let clusters = self.objects(GROUP, "Cluster");
        clusters.patch(INTRUDER, &PatchParams::default(), &Patch::Merge(&own)).await.unwrap();
        self.its_archiving_is("ContinuousArchivingSuccess").await;
        self.make("Backup", "of-its-own", json!({"cluster": {"name": INTRUDER}})).await;
        self.backup_is("of-its-own", "completed", 120).await;
    }

    async fn its_archiving_is(&self, reason: &str) {
        self.until(&format!("the intruder's archiving to be {reason}"), 60, async || {
            let found = self.read("Cluster", INTRUDER).await?;
            let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let condition = conditions.into_iter().find(|one| one["type"] == "ContinuousArchiving");
            let said = condition.as_ref().is_some_and(|one| one["reason"] == reason);
            if said { Ok(()) } else { Err(format!("{condition:?}")) }
        })
        .await;
    }

    /// At once, for a reason with these words and with what to do.
    async fn backup_fails(&self, name: &str, words: &[&str]) {
        self.make("Backup", name, json!({"cluster": {"name": INTRUDER}})).await;
        let error = self
            .until("its Backup to fail", 20, async || {
                let found = self.read("Backup", name).await?;
                let status = &found["status"];
                if status["phase"] == "failed" { Ok(status["error"].clone()) } else { Err(status.to_string()) }
            })
            .await;
        let error = error.as_str().unwrap_or_default().to_owned();
        self.say(&error);
        for word in words.iter().chain(&["a serverName or destinationPath of its own", &format!("/{CLUSTER}")]) {
            assert!(error.contains(word), "{word:?} is not in {error}");
        }
    }

    async fn make(&self, kind: &str, name: &str, spec: Value) {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec
        }))
        .unwrap();
        self.objects(GROUP, kind).create(&PostParams::default(), &object).await.unwrap();
    }
}
