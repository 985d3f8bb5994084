//! The verbs of a day's work, by the program itself, on a cluster that runs.

use std::io::Read;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use serde_json::Value;

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::program::said;

impl Bed {
    /// What asks, plans, reports and signs; then an instance is destroyed, and the primary restarts where it is.
    pub async fn worked_on(&self, primary: &str) {
        let standby = self.standby().await;
        let fenced = said(self.program(&["fencing", "on"], &[&standby]).await);
        assert!(fenced.contains(&standby), "{fenced}");
        let lifted = said(self.program(&["fencing", "off"], &[CLUSTER, &standby]).await);
        assert!(lifted.contains("no instance"), "{lifted}");
        let loaded = "SELECT pg_conf_load_time()";
        let before = self.ask(primary, loaded).await.unwrap();
        said(self.program(&["reload"], &[]).await);
        self.until("the configuration loaded again", 30, async || {
            let now = self.ask(primary, loaded).await?;
            if now == before { Err(now) } else { Ok(()) }
        })
        .await;
        said(self.program(&["maintenance", "set"], &[]).await);
        self.budgets(0).await;
        said(self.program(&["maintenance", "unset"], &[CLUSTER]).await);
        self.budgets(2).await;
        let secret = said(self.program(&["certificate"], &["mine", "--cnpg-user", "app", "--dry-run"]).await);
        assert!(secret.contains("kind: Secret") && secret.contains("tls.crt"), "{secret}");
        self.healthy(60).await;
        self.planned().await;
        self.reported().await;

        let refused = self.program(&["destroy"], &[primary]).await;
        assert!(String::from_utf8_lossy(&refused.stderr).contains("promote another first"), "{refused:?}");
        let before = self.uid_of(&standby).await;
        said(self.program(&["destroy"], &[&standby]).await);
        self.until("another instance in its place", 90, async || {
            let now = self.uid_of(&standby).await;
            if now.is_some() && now != before { Ok(()) } else { Err(format!("{now:?}")) }
        })
        .await;
        self.healthy(90).await;

        let started = "SELECT pg_postmaster_start_time()";
        let before = self.ask(primary, started).await.unwrap();
        said(self.program(&["restart"], &[CLUSTER, primary]).await);
        self.until("postgres of the primary restarted", 60, async || {
            let now = self.ask(primary, started).await?;
            if now == before { Err(now) } else { Ok(()) }
        })
        .await;
        assert_eq!(self.healthy(60).await, primary, "it restarts where it is");
    }

    async fn uid_of(&self, pod: &str) -> Option<String> {
        self.pods().get(pod).await.ok().and_then(|pod| pod.metadata.uid)
    }

    async fn budgets(&self, wanted: usize) {
        self.until("the budgets", 30, async || {
            let found = self.objects("policy", "PodDisruptionBudget").list(&ListParams::default()).await;
            let found = found.map_err(|error| error.to_string())?.items.len();
            if found == wanted { Ok(()) } else { Err(format!("{found} of {wanted}")) }
        })
        .await;
    }

    async fn planned(&self) {
        self.until("nothing to do", 30, async || {
            let plan: Value = serde_json::from_str(&said(self.program(&["plan"], &["-o", "json"]).await)).unwrap();
            let mut steps = plan.pointer("/plan/steps").and_then(Value::as_array).unwrap().clone();
            // What is only said is said again: there is no Prometheus operator here.
            steps.retain(|step| step.get("event").is_none());
            if steps.is_empty() { Ok(()) } else { Err(format!("{steps:?}")) }
        })
        .await;
        let manifest = std::fs::read_to_string(self.directory.join("cluster.yaml")).unwrap();
        let edited = self.directory.join("edited.yaml");
        let fewer = ["instances: ", "\"instances\":", "\"instances\": "]
            .iter()
            .fold(manifest, |text, field| text.replace(&format!("{field}3"), &format!("{field}2")));
        std::fs::write(&edited, fewer).unwrap();
        let text = said(self.program(&["plan"], &["-n", NAMESPACE, "-f", edited.to_str().unwrap()]).await);
        assert!(text.contains("spec.instances: 3 -> 2") && text.contains("remove instance"), "{text}");
    }

    /// The bundle has what helps, and no value of a Secret.
    async fn reported(&self) {
        let file = self.directory.join("report.tar.gz");
        said(self.program(&["report", "cluster"], &["-l", "-f", file.to_str().unwrap()]).await);
        let mut text = String::new();
        let mut names = Vec::new();
        let mut bundle = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(&file).unwrap()));
        for entry in bundle.entries().unwrap() {
            let mut entry = entry.unwrap();
            names.push(entry.path().unwrap().display().to_string());
            entry.read_to_string(&mut text).unwrap();
        }
        let logs = names.iter().filter(|name| name.contains("/logs/")).count();
        assert!(logs >= 3 && names.iter().any(|name| name.ends_with("manifests/cluster.yaml")), "{names:?}");
        assert!(text.contains("currentPrimary") && text.contains("<redacted>"));
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mut looked = 0;
        for secret in secrets.list(&ListParams::default()).await.unwrap().items {
            for (key, value) in secret.data.unwrap_or_default() {
                let value = String::from_utf8(value.0).unwrap();
                let lines = value.lines().filter(|line| line.len() >= 24 && !line.contains("-----"));
                for needle in lines.filter(|_| key == "password" || key.ends_with(".key")) {
                    looked += 1;
                    assert!(!text.contains(needle), "{:?}/{key} is in the report", secret.metadata.name);
                }
            }
        }
        assert!(looked >= 6, "there is something to look for: {looked}");
    }
}
