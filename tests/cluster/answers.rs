//! A store that refuses, has lost its bucket, breaks off in the middle, or whose name does not resolve any more: postgres
//! writes on, whoever looks is told what it is and what to do, and in the end nothing is missing. A password is changed.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_localkube::s3::S3Fault;
use serde_json::{Value, json};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::bed::{Bed, CLUSTER, NAMESPACE};

/// More than [`S3Fault::Reset`] lets through here, however well it is compressed.
const RANDOM: &str = "SELECT pg_logical_emit_message(false, 'test', string_agg(md5(random()::text), '')), \
                      pg_switch_wal() FROM generate_series(1, 60000)";

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_is_gone_or_breaks_off_is_named_and_nothing_is_missing_afterwards() {
    let bed = Bed::start("answers", |cluster| {
        // By a name, which can die.
        cluster["spec"]["backup"]["barmanObjectStore"]["endpointURL"] = json!("http://s3.local:9000");
    })
    .await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    let run = bed.started(&primary).await;
    bed.archive_now(&primary, 60).await;

    for (what, said, advice, reason) in [
        (S3Fault::Status(403), "403 AccessDenied", "s3Credentials", "forbidden"),
        (S3Fault::Status(404), "404 NoSuchBucket", "the bucket exists", "misconfigured"),
        (S3Fault::Reset(100_000), "failed to reach the object store", "", "outage"),
    ] {
        bed.say(&format!("S3: {what:?}"));
        bed.fault(FaultRequest::S3 { what }).await;
        bed.ask(&primary, RANDOM).await.unwrap();
        bed.archiving_fails(&primary, &[said, advice], reason).await;
        bed.written(&load, 30).await;
        bed.fault(FaultRequest::S3 { what: S3Fault::None }).await;
        bed.archive_now(&primary, 90).await;
        bed.archiving_works().await;
    }
    assert_eq!(bed.started(&primary).await, run, "the same postgres wrote all the time");

    let mut pods = bed.standbys().await;
    pods.push(primary.clone());
    for pod in &pods {
        bed.fault(FaultRequest::NoNames { pod: bed.full(pod) }).await;
    }
    // Who is connected needs no name: nobody is.
    for what in [S3Fault::Off, S3Fault::None] {
        bed.fault(FaultRequest::S3 { what }).await;
    }
    bed.hurt(&load, "kill -9 of the primary's postmaster while no name resolves", async || {
        bed.kill(Target::Postmaster, &primary).await;
        bed.another_primary(&primary, 60).await;
    })
    .await;
    let next = bed.healthy(120).await;
    bed.ask(&next, RANDOM).await.unwrap();
    bed.archiving_fails(&next, &["failed to reach the object store", "name"], "outage").await;
    bed.fault(FaultRequest::Heal).await;
    let last = bed.archive_now(&next, 90).await;
    bed.archiving_works().await;

    bed.archive_is_whole(&last, 60).await;
    bed.settle(load).await;
    bed.password_changed(&next).await;
    bed.down().await;
}

impl Bed {
    /// Waits until condition, metrics and `pgherd status` say that nothing is archived, and why.
    pub async fn archiving_fails(&self, primary: &str, words: &[&str], reason: &str) {
        let what = format!("the condition to say {words:?}");
        let said = self.until(&what, 60, async || {
            let condition = self.archiving().await?;
            let message = condition["message"].as_str().unwrap_or_default().to_owned();
            let fits = condition["status"] == "False" && words.iter().all(|word| message.contains(word));
            if fits { Ok(message) } else { Err(condition.to_string()) }
        });
        let said = said.await;
        self.say(&said);
        let wanted = format!("pgherd_archive_failing_reason{{reason=\"{reason}\"}} 1");
        self.until(&wanted, 30, async || {
            let page = self.metrics(primary).await.map_err(|error| format!("{error:#}"))?;
            let failing: Vec<&str> = page.lines().filter(|line| line.starts_with("pgherd_archive_failing")).collect();
            if failing.contains(&wanted.as_str()) { Ok(()) } else { Err(failing.join(", ")) }
        })
        .await;
        let status = self.program(&["status"], &[]).await;
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        let word = words.first().copied().unwrap_or_default();
        assert!(status.contains(word), "{word:?} is not in\n{status}");
    }

    /// Waits until the condition says that it works.
    pub async fn archiving_works(&self) {
        self.until("the condition to say that it works", 30, async || {
            let condition = self.archiving().await?;
            if condition["status"] == "True" { Ok(()) } else { Err(condition.to_string()) }
        })
        .await;
    }

    async fn archiving(&self) -> Result<Value, String> {
        let cluster = self.cluster().await?;
        let all = cluster.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        let found = all.into_iter().find(|condition| condition["type"] == "ContinuousArchiving");
        found.ok_or_else(|| "no such condition".to_owned())
    }

    /// In SQL: the new one is asked for from then on. In the Secret: that one is set. Whoever is connected stays so.
    async fn password_changed(&self, primary: &str) {
        let old = self.application(&self.place.service()).await.unwrap();
        let mut new = old.clone();
        new.password("another");
        let refused = async |config: &tokio_postgres::Config| {
            let error = config.connect(NoTls).await.err().expect("a wrong password is refused");
            assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD), "{error}");
        };
        refused(&new).await;
        self.ask(primary, "ALTER ROLE app PASSWORD 'another'").await.unwrap();
        drop(new.connect(NoTls).await.expect("the new password"));
        refused(&old).await;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let patch = Patch::Merge(json!({"stringData": {"password": "a third"}}));
        secrets.patch(&format!("{CLUSTER}-app"), &PatchParams::default(), &patch).await.unwrap();
        let third = self.application(&self.place.service()).await.unwrap();
        self.until("the Secret's new password", 60, async || match third.connect(NoTls).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        })
        .await;
        refused(&new).await;
    }
}
