//! A manager that dies once its backup was copied: before the archive has the WAL, and after the store calls it whole.

use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_objectstore::ObjectStore as _;
use serde_json::Value;

use crate::bed::Bed;

impl Bed {
    /// Neither a half that passes for whole, nor a Backup that waits for ever.
    pub async fn killed_while_finalizing(&self, primary: &str) {
        let from = |from: &str, pod: &str| FaultRequest::Partition { pod: self.full(pod), from: from.to_owned() };
        // Its WAL is the primary's to archive.
        self.fault(from("s3", primary)).await;
        self.order_backup("copied").await.unwrap();
        let (taker, id) = self.finalizes("copied").await;
        assert_ne!(taker, primary);
        assert_eq!(self.info_of(&id).await, None, "it is not whole");
        self.kill(Target::Manager, &taker).await;
        let why = self.backup_cut_off("copied", 30).await;
        self.say(&why);
        self.fault(FaultRequest::Heal).await;
        let done = self.backup_is("copied", "completed", 240).await;
        assert_eq!(done["status"]["failedAttempts"][0]["backupId"], id.as_str());
        let second = done["status"]["backupId"].as_str().unwrap();
        assert_eq!(self.info_of(second).await.as_deref(), Some("DONE"));
        assert_eq!(self.info_of(&id).await, None, "the first is none still");

        self.fault(from("s3", primary)).await;
        self.order_backup("untold").await.unwrap();
        let (taker, id) = self.finalizes("untold").await;
        self.fault(from("api", &taker)).await;
        self.fault(FaultRequest::HealPod { pod: self.full(primary) }).await;
        self.until("the store to call it whole", 60, async || match self.info_of(&id).await.as_deref() {
            Some("DONE") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        self.kill(Target::Manager, &taker).await;
        self.fault(FaultRequest::Heal).await;
        let done = self.backup_is("untold", "completed", 240).await;
        let told = done["status"]["backupId"].as_str().unwrap();
        self.say(&format!("{id} is whole, and what the Backup tells of is {told}"));
        assert_eq!(self.info_of(told).await.as_deref(), Some("DONE"));
        assert_eq!(self.info_of(&id).await.as_deref(), Some("DONE"), "what is whole stays");
        self.healthy(120).await;
    }

    /// Waits until all of it is copied: who takes it, and the backup's name.
    async fn finalizes(&self, name: &str) -> (String, String) {
        let what = format!("{name} to wait for its WAL");
        let found = self.until(&what, 60, async || {
            let status = self.read("Backup", name).await?["status"].clone();
            let waits = ["finalizing", "walArchivingFailing"].iter().any(|phase| status["phase"] == *phase);
            if waits && status["endWal"].is_string() { Ok(status) } else { Err(status.to_string()) }
        });
        let status = found.await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&status["instanceID"]["podName"]), text(&status["backupId"]))
    }

    /// The status that a backup's information has in the store, if there is any.
    async fn info_of(&self, id: &str) -> Option<String> {
        let (store, location) = self.store().await.unwrap();
        let info = store.get(&location.key(&format!("base/{id}/backup.info")), 1 << 20).await.ok()?;
        let info = String::from_utf8(info.to_vec()).unwrap();
        info.lines().find_map(|line| line.strip_prefix("status=").map(str::to_owned))
    }
}
