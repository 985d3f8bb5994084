//! `failoverDelay`: a failover that is due waits for it, says so, and then takes place.

use std::time::Duration;

use pgherd_localkube::fault::{FaultRequest, Target};
use serde_json::Value;

use crate::bed::Bed;
use crate::cluster::text;

/// Longer than anything else that a failover waits for.
const DELAY: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_waits_for_its_delay_says_so_and_then_takes_place() {
    let bed = Bed::start("delay", |cluster| cluster["spec"]["failoverDelay"] = DELAY.into()).await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;

    bed.hurt(&load, "the primary frozen, with a failoverDelay", async || {
        bed.fault(FaultRequest::Freeze { target: Target::Pod, pod: bed.full(&primary) }).await;
        let said = bed.until("the election that waits", 60, async || bed.election_waits().await).await;
        bed.say(&said);
        assert!(said.contains(&format!("waits for spec.failoverDelay of {DELAY} s")), "{said}");
        let due = std::time::Instant::now();
        bed.another_primary(&primary, 90).await;
        // The condition was read a little after it became due.
        let waited = due.elapsed() + Duration::from_secs(2);
        assert!(waited >= Duration::from_secs(DELAY), "it took place after {waited:?}");
    })
    .await;
    bed.fault(FaultRequest::Heal).await;
    let next = bed.healthy(120).await;
    bed.lost_only_apart(&load).await;

    bed.hurt(&load, "the primary frozen, and let go on within the delay", async || {
        bed.fault(FaultRequest::Freeze { target: Target::Pod, pod: bed.full(&next) }).await;
        bed.until("the election that waits", 60, async || bed.election_waits().await).await;
        bed.fault(FaultRequest::Heal).await;
    })
    .await;
    assert_eq!(bed.healthy(120).await, next, "it took its own lease back before anybody was elected");
    bed.lost_only_apart(&load).await;
    load.stop().await;
    bed.down().await;
}

impl Bed {
    /// One of the Cluster's conditions; null where it has none of that type.
    pub async fn condition(&self, of: &str) -> Result<Value, String> {
        let cluster = self.cluster().await?;
        let conditions = cluster.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(conditions.into_iter().find(|condition| text(condition, "/type") == of).unwrap_or_default())
    }

    /// What condition `PrimaryElected` says while an election waits.
    async fn election_waits(&self) -> Result<String, String> {
        let found = self.condition("PrimaryElected").await?;
        match text(&found, "/reason").as_str() {
            "ElectionWaits" => Ok(text(&found, "/message")),
            other => Err(format!("{other}: {}", text(&found, "/message"))),
        }
    }
}
