//! Keeping the physical replication slots in step, on a primary and on a standby.

use crate::config::POSTGRES_PORT;
use crate::context::Context;
use crate::effects::local;
use core::time::Duration;
use pgherd_core::instance::Leader;
use pgherd_core::slots::{Policy, SlotStep, on_primary, on_standby};
use pgherd_postgres::slots::{apply, physical_slots};
use pgherd_postgres::sql::{Remote, Session};
use pgherd_proto::cluster::ReplicationSlots;
use pgherd_telemetry::chain;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// For one statement.
const STATEMENT_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks when there is no news: what a failed step left undone is done then.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// After a standby was told to follow somebody, before it copies that one's slots.
const AFTER_A_CHANGE: Duration = Duration::from_secs(1);
/// What is to be done about slots, and with what the standbys ask for theirs.
#[must_use]
pub fn policy(slots: &ReplicationSlots) -> Policy {
    Policy {
        enabled: slots.high_availability.enabled,
        prefix: slots.high_availability.slot_prefix.clone(),
        copy_users: slots.synchronize_replicas.enabled,
    }
}

/// Works until it is dropped: at once when instances come or go or this one is promoted, and every
/// `updateInterval` on a standby.
pub async fn keep(cx: Arc<Context>) {
    let (mut cluster, mut peers) = (cx.cluster.clone(), cx.peers.subscribe());
    let mut following = cx.following.subscribe();
    let mut copied: Option<Instant> = None;
    loop {
        let wanted = wanted(&cx);
        if let Some((slots, instances)) = &wanted
            && let Err(why) = look(&cx, slots, instances, &mut copied).await
        {
            tracing::debug!(%why, "the replication slots are not in step yet");
        }
        let again = tokio::time::sleep(LOOK_AGAIN);
        tokio::pin!(again);
        // Both change with every word that somebody says in an election, and a look costs postgres a process.
        while wanted == self::wanted(&cx) {
            tokio::select! {
                () = cx.slots_due.notified() => break,
                _ = cluster.changed() => {}
                _ = peers.changed() => {}
                _ = following.changed() => {
                    // It follows first: what it copies is of use to a failover that is to come.
                    tokio::time::sleep(AFTER_A_CHANGE).await;
                    copied = None;
                    break;
                }
                () = &mut again => break,
            }
        }
    }
}

/// What slots there are to be, and for whom.
fn wanted(cx: &Context) -> Option<(ReplicationSlots, BTreeSet<String>)> {
    let cluster = cx.cluster_now()?;
    let named = cluster.status.as_ref().map(|status| status.instance_names.clone());
    let mut instances: BTreeSet<String> = named.unwrap_or_default().into_iter().collect();
    instances.extend(cx.peers.borrow().iter().map(|peer| peer.name.clone()));
    Some((cluster.spec.replication_slots(), instances))
}

async fn look(
    cx: &Context,
    slots: &ReplicationSlots,
    instances: &BTreeSet<String>,
    copied: &mut Option<Instant>,
) -> Result<(), String> {
    if cx.running().is_none() || cx.leaving.load(Ordering::Relaxed) {
        return Ok(());
    }
    // Postgres removes it before it takes the first write.
    if !cx.config.pgdata.join("standby.signal").exists() {
        *copied = None;
        let session = local(cx, "postgres").await.map_err(|e| chain(&e))?;
        let instances: Vec<String> = instances.iter().cloned().collect();
        return serve_all(cx, &session, slots, &instances).await;
    }
    let leader = cx.following.borrow().clone();
    let due = copied.is_none_or(|at| at.elapsed() >= slots.update_interval());
    if let Some(leader) = leader.filter(|_| due) {
        let session = local(cx, "postgres").await.map_err(|e| chain(&e))?;
        copy(cx, &session, &leader, slots).await?;
        *copied = Some(Instant::now());
    }
    Ok(())
}

/// The primary's half.
async fn serve_all(
    cx: &Context,
    session: &Session,
    slots: &ReplicationSlots,
    instances: &[String],
) -> Result<(), String> {
    let have = physical_slots(session, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    run(session, on_primary(&policy(slots), &cx.config.me.name, instances, &have)).await
}

/// The standby's half.
async fn copy(cx: &Context, session: &Session, leader: &Leader, slots: &ReplicationSlots) -> Result<(), String> {
    let tls = cx.certificates.postgres_client().ok_or("no certificate yet")?;
    let to = Remote {
        host: &leader.address,
        port: POSTGRES_PORT,
        user: "streaming_replica",
        database: "postgres",
        application_name: "pgherd-slots",
    };
    let primary = Session::remote(to, tls, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    let theirs = physical_slots(&primary, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    let have = physical_slots(session, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    let excluded = |name: &str| slots.synchronize_replicas.excludes(name);
    run(session, on_standby(&policy(slots), &cx.config.me.name, &theirs, &have, excluded)).await
}

/// All of them, whatever becomes of one.
async fn run(session: &Session, steps: Vec<SlotStep>) -> Result<(), String> {
    let mut failed = Ok(());
    for step in steps {
        match apply(session, &step, STATEMENT_WITHIN).await {
            Ok(()) => tracing::debug!(?step, "replication slot"),
            Err(error) => {
                let why = chain(&error);
                tracing::warn!(?step, %why, "a replication slot is not as it should be");
                failed = Err(why);
            }
        }
    }
    failed
}
