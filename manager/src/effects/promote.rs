//! Promotion, and what a new primary tells the world.

use super::start::{checkpoint, local, rewrite};
use super::{Effect, lineage};
use crate::configuration::As;
use crate::context::Context;
use core::time::Duration;
use pgherd_core::instance::Outcome;
use pgherd_core::timeline::TimelineId;
use pgherd_postgres::promote::promote as run_promotion;
use pgherd_telemetry::chain;
use std::sync::Arc;

const PROMOTE_WITHIN: Duration = Duration::from_secs(60);
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(600);
/// Between two tries to be heard.
const ANNOUNCE_AGAIN: Duration = Duration::from_millis(500);

/// Promotes postgres; the timeline that it chose. Nothing is promoted without a watchdog (hole 20).
pub async fn promote(cx: &Arc<Context>, reserved: TimelineId) -> Outcome {
    if !super::stop::guarded(cx) {
        return Outcome::Failed("there is no watchdog".to_owned());
    }
    let Some(handle) = cx.running() else { return Outcome::Failed("postgres is not running".to_owned()) };
    let session = match local(cx, "postgres").await {
        Ok(session) => session,
        Err(error) => return Outcome::Failed(chain(&error)),
    };
    if let Err(why) = super::synchronous::before_promotion(cx).await {
        tracing::error!(%why, "nothing is promoted before its configuration is in force");
        return Outcome::Failed(why);
    }
    let from = *cx.timeline.borrow();
    cx.archiving.promoting(Some((from, reserved)));
    let promoted = run_promotion(&handle, &session, PROMOTE_WITHIN).await;
    cx.archiving.promoting(None);
    match promoted {
        Ok(timeline) => {
            cx.timeline.send_replace(timeline);
            Outcome::Promoted(timeline, lineage(cx, timeline).await)
        }
        Err(error) => Outcome::Failed(chain(&error)),
    }
}

/// Says that this instance is the primary; then the checkpoint that returning members wait for.
pub async fn announce(cx: &Arc<Context>, timeline: TimelineId) -> Effect {
    cx.timeline.send_replace(timeline);
    cx.nudge.notify_one();
    cx.slots_due.notify_one();
    let (said, ()) = tokio::join!(say(cx, timeline), async {
        rewrite(cx, As::Primary).await;
        checkpoint(cx, CHECKPOINT_WITHIN, "after the promotion").await;
    });
    if !said {
        tracing::warn!("the Cluster's status does not name this primary: it is not the primary any more");
    }
    Effect::Quiet
}

async fn say(cx: &Context, timeline: TimelineId) -> bool {
    while cx.running().is_some() {
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
