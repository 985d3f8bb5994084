//! Promotion, and what a new primary tells the world.

use super::start::{at_hand, checkpoint, rewrite};
use super::synchronous::before_promotion;
use super::volume::off_runtime;
use super::{Effect, lineage, tail};
use crate::configuration::As;
use crate::context::Context;
use core::time::Duration;
use pgherd_core::instance::Outcome;
use pgherd_core::timeline::TimelineId;
use pgherd_postgres::histories;
use pgherd_postgres::process::PostmasterHandle;
use pgherd_postgres::promote::promote as run_promotion;
use pgherd_telemetry::chain;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const PROMOTE_WITHIN: Duration = Duration::from_secs(60);
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(600);
/// Clients come back first: until then the disk is theirs.
const CHECKPOINT_AFTER: Duration = Duration::from_millis(300);
/// Between two tries to be heard.
const ANNOUNCE_AGAIN: Duration = Duration::from_millis(500);

/// Promotes postgres; the timeline that it chose. Nothing is promoted without a watchdog (hole 20).
pub async fn promote(cx: &Arc<Context>, reserved: TimelineId) -> Outcome {
    if !super::stop::guarded(cx) {
        return Outcome::Failed("there is no watchdog".to_owned());
    }
    let Some(handle) = cx.running() else { return Outcome::Failed("postgres is not running".to_owned()) };
    // One session for all of it: another would cost a process and its caches, while clients wait.
    let session = match at_hand(cx).await {
        Ok(session) => session,
        Err(error) => return Outcome::Failed(chain(&error)),
    };
    if let Err(why) = before_promotion(cx, &session).await {
        tracing::error!(%why, "nothing is promoted before its configuration is in force");
        return Outcome::Failed(why);
    }
    // Where it is now, not where it was last sampled: of the timeline that is left, a stand-in must never be served.
    let from = match tail::position_by(cx, &session).await {
        Ok(position) => position.timeline,
        Err(why) => return Outcome::Failed(why),
    };
    cx.archiving.promoting(Some((from, reserved)));
    let promoted = run_promotion(&handle, &session, PROMOTE_WITHIN).await;
    cx.archiving.promoting(None);
    match promoted {
        Ok(timeline) => {
            // Whoever follows asks for them as soon as this one is known to be open, and nothing is archived before.
            if let Err(why) = mend_history(cx, timeline).await {
                return Outcome::Failed(why);
            }
            fill_gaps(cx, timeline).await;
            cx.timeline.send_replace(timeline);
            Outcome::Promoted(timeline, lineage(cx, timeline).await)
        }
        Err(error) => Outcome::Failed(chain(&error)),
    }
}

/// Says that this instance is the primary; then the checkpoint that returning members wait for.
pub async fn announce(cx: &Arc<Context>, timeline: TimelineId) -> Effect {
    let Some(handle) = cx.running() else { return Effect::Quiet };
    cx.timeline.send_replace(timeline);
    cx.nudge.notify_one();
    cx.slots_due.notify_one();
    let ((), said, ()) = tokio::join!(take_role(cx, &handle), say(cx, &handle, timeline), async {
        complete_histories(cx, timeline).await;
        rewrite(cx, As::Primary).await;
        tokio::time::sleep(CHECKPOINT_AFTER).await;
        checkpoint(cx, CHECKPOINT_WITHIN, "after the promotion").await;
    });
    if !said {
        tracing::warn!("the Cluster's status does not name this primary: it is not the primary any more");
    }
    Effect::Quiet
}

/// Postgres may have taken its target for its parent, though it never was there.
async fn mend_history(cx: &Context, timeline: TimelineId) -> Result<(), String> {
    let pg_wal = cx.config.pgdata.join("pg_wal");
    if off_runtime(move || histories::mend_one(&pg_wal, timeline).map_err(|e| chain(&e))).await? {
        tracing::warn!(%timeline, "the promotion was short of the timeline that was to be followed: its history is mended");
    }
    Ok(())
}

/// Without them standbys cannot follow, and are cloned: worse than slow, but nothing to break a promotion off for.
async fn fill_gaps(cx: &Context, timeline: TimelineId) {
    let pg_wal = cx.config.pgdata.join("pg_wal");
    match off_runtime(move || histories::fill_gaps(&pg_wal, timeline).map_err(|e| chain(&e))).await {
        Ok(filled) if filled.is_empty() => {}
        Ok(filled) => tracing::info!(?filled, "timelines that were given up have histories that stand in for theirs"),
        Err(why) => tracing::error!(%why, "standbys may not be able to follow: histories are missing"),
    }
}

/// Once more, since a promotion may have been cut off before it was done; then the archive is to have them.
async fn complete_histories(cx: &Context, timeline: TimelineId) {
    fill_gaps(cx, timeline).await;
    if cx.cluster_now().is_none_or(|cluster| cluster.spec.object_store().is_none()) {
        return;
    }
    let pg_wal = cx.config.pgdata.join("pg_wal");
    let offered = off_runtime(move || histories::offer_to_archive(&pg_wal, timeline).map_err(|e| chain(&e))).await;
    if let Err(why) = offered {
        tracing::error!(%why, "a restore may not find the way to this timeline: histories are not archived");
    }
}

/// Clients wait for the label, so it does not queue behind reports. The controller, which takes it away from the former
/// primary, comes to it only after all else that a failover asks of it: while another one has it, it is left to that.
async fn take_role(cx: &Context, handle: &PostmasterHandle) {
    while handle.ended().is_none() && !cx.another_labelled.load(Ordering::Relaxed) {
        match cx.announcer.take_role().await {
            Ok(()) => return,
            Err(error) => tracing::warn!(error = %chain(&error), "the pod is not labelled as the primary yet"),
        }
        tokio::time::sleep(ANNOUNCE_AGAIN).await;
    }
}

/// Whether it could be said while this postmaster ran: with it ends the reign.
async fn say(cx: &Context, handle: &PostmasterHandle, timeline: TimelineId) -> bool {
    while handle.ended().is_none() {
        let said = async {
            cx.announcer.announce_primary().await?;
            cx.announcer.report_state(true, timeline.0).await
        };
        match said.await {
            Ok(()) => return true,
            Err(error) => tracing::warn!(error = %chain(&error), "the primary is not announced yet"),
        }
        tokio::time::sleep(ANNOUNCE_AGAIN).await;
    }
    false
}
