//! A running cluster is changed: fenced, given other parameters, other resources, restarted on request.

use kube::api::{Patch, PatchParams};
use pgherd_localkube::fault::Target;
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER};
use crate::cluster::text;
use crate::wal_volumes;

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_keeps_an_instance_down_and_neither_it_nor_a_failover_delay_lets_a_successor_in() {
    let bed = Bed::start("fenced", |_| {}).await;
    let primary = bed.healthy(180).await;
    let load = bed.load().await;

    bed.hurt(&load, "a standby fenced", async || {
        let standby = bed.standby().await;
        bed.fence(&json!([standby])).await;
        bed.down_by_fence(&standby).await;
        assert_eq!(bed.primary().await, primary);
        bed.fence(&Value::Null).await;
    })
    .await;
    assert_eq!(bed.healthy(120).await, primary);

    bed.hurt(&load, "the primary fenced", async || {
        bed.fence(&json!([primary])).await;
        bed.down_by_fence(&primary).await;
        bed.until("the status to name the fence", 60, async || {
            let cluster = bed.cluster().await?;
            let reason = text(&cluster, "/status/phaseReason");
            if reason.contains("fenced") { Ok(()) } else { Err(reason) }
        })
        .await;
        assert_eq!(bed.primary().await, primary, "nobody takes its place");
        bed.fence(&Value::Null).await;
    })
    .await;
    let primary = bed.healthy(120).await;
    bed.nothing_lost(&load).await;

    bed.change("an hour of failoverDelay", json!({"failoverDelay": 3600})).await;
    bed.until("the delay seen", 30, async || {
        let cluster = bed.cluster().await?;
        let seen = cluster.pointer("/metadata/annotations/pgherd.io~1last-valid-spec").and_then(Value::as_str);
        if seen.is_some_and(|spec| spec.contains("3600")) { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    bed.hurt(&load, "kill -9 of the primary's postmaster within the delay", async || {
        let run = bed.started(&primary).await;
        bed.kill(Target::Postmaster, &primary).await;
        bed.started_again(&primary, &run, 60).await;
    })
    .await;
    assert_eq!(bed.healthy(60).await, primary, "nobody is elected before the delay is over; it recovers in place");
    bed.settle(load).await;
    bed.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_need_a_restart_reach_every_instance_one_by_one() {
    let bed = Bed::start("changes", |_| {}).await;
    bed.healthy(180).await;
    let load = bed.load().await;

    bed.change("max_connections raised", json!({"postgresql": {"parameters": {"max_connections": "210"}}})).await;
    bed.everywhere("SHOW max_connections", "210").await;
    bed.healthy(180).await;
    bed.change("max_connections lowered", json!({"postgresql": {"parameters": {"max_connections": "80"}}})).await;
    bed.everywhere("SHOW max_connections", "80").await;
    bed.healthy(180).await;
    bed.nothing_lost(&load).await;

    let before = bed.uids().await;
    bed.change("a volume for WAL", json!({"walStorage": wal_volumes::storage()})).await;
    bed.until("every pod made anew", 240, async || {
        let now = bed.uids().await;
        let same: Vec<&String> = now.iter().filter(|uid| before.contains(uid)).collect();
        if same.is_empty() && now.len() == before.len() { Ok(()) } else { Err(format!("{same:?} of {now:?}")) }
    })
    .await;
    bed.healthy(180).await;
    bed.wal_is_apart().await;
    bed.nothing_lost(&load).await;
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    pub async fn fence(&self, names: &Value) {
        let list = if names.is_null() { Value::Null } else { Value::String(names.to_string()) };
        let patch = json!({"metadata": {"annotations": {"cnpg.io/fencedInstances": list}}});
        self.say(&format!("fence: {names}"));
        self.clusters().patch(CLUSTER, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    pub async fn change(&self, what: &str, spec: Value) {
        self.say(what);
        let patch = json!({ "spec": spec });
        self.clusters().patch(CLUSTER, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// Its pod is there and not ready, and nobody answers.
    async fn down_by_fence(&self, pod: &str) {
        self.until(&format!("{pod} down, its pod kept"), 90, async || {
            if self.ask(pod, "SELECT 1").await.is_ok() {
                return Err("postgres answers".to_owned());
            }
            let found = self.pods().get(pod).await.map_err(|error| error.to_string())?;
            let conditions = found.status.and_then(|status| status.conditions).unwrap_or_default();
            let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
            if ready { Err("it is ready".to_owned()) } else { Ok(()) }
        })
        .await;
    }

    async fn everywhere(&self, sql: &str, wanted: &str) {
        self.until(&format!("{sql} = {wanted} everywhere"), 240, async || {
            let mut pods = self.standbys().await;
            pods.push(self.primary().await);
            for pod in pods {
                let said = self.ask(&pod, sql).await?;
                if said.trim() != wanted {
                    return Err(format!("{pod} says {said}"));
                }
            }
            Ok(())
        })
        .await;
    }

    async fn uids(&self) -> Vec<String> {
        let mut names = self.standbys().await;
        names.push(self.primary().await);
        let mut uids = Vec::new();
        for name in names {
            uids.extend(self.pods().get(&name).await.ok().and_then(|pod| pod.metadata.uid));
        }
        uids
    }
}
