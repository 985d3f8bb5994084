//! What of a sample the machine needs: how a standby hangs on its leader.

use crate::context::Context;
use crate::effects;
use crate::http::Sampled;
use pgherd_core::instance::{Event, Link};
use pgherd_core::lease::WalPosition;
use pgherd_core::timeline::Lineage;
use pgherd_postgres::sample::{Role, Sample};
use pgherd_telemetry::chain;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// Tells the machine how its link is, sample by sample; and clears away what a clone has replaced once it streams.
pub async fn report(context: Arc<Context>, mut samples: watch::Receiver<Option<Arc<Sampled>>>) {
    let (mut cleared, mut overridden) = (false, 0);
    let mut lineage: Option<Lineage> = None;
    while samples.changed().await.is_ok() {
        let Some(sampled) = samples.borrow_and_update().clone() else { continue };
        context.full.send_replace(sampled.rooms.full());
        let Ok(look) = &sampled.postgres else { continue };
        context.pending_restart.store(!look.sample.pending_restart.is_empty(), Ordering::Relaxed);
        context.pending_decrease.store(look.sample.pending_decrease, Ordering::Relaxed);
        if look.sample.is_primary() && !primary(&context, &look.sample, &mut overridden).await {
            return;
        }
        let Some(link) = link_of(&context, &look.sample) else { continue };
        // Another clone may have replaced another directory since.
        cleared &= link.streaming;
        if link.streaming && !cleared {
            cleared = true;
            let volume = context.volume.clone();
            // Invariant I7: the old directory stays until the new one streams.
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || volume.remove_replaced()).await {
                tracing::warn!(error = %chain(&error), "the replaced data directory was not removed");
            }
        }
        if link.streaming && context.raised.load(Ordering::Relaxed) {
            effects::lower(&context).await;
        }
        let timeline = link.position.timeline;
        if lineage.as_ref().is_none_or(|known| known.timeline != timeline) {
            lineage = effects::lineage(&context, timeline).await;
        }
        // Told each time: the machine forgets it with the directory that it was read from.
        if let Some(lineage) = lineage.clone()
            && context.events.send(Event::LineageRead(lineage)).await.is_err()
        {
            return;
        }
        if context.events.send(Event::LinkSampled(link)).await.is_err() {
            return;
        }
    }
}

/// Tells the machine that postgres writes, and who streams; and puts `synchronous_standby_names` right when it is found changed by others.
async fn primary(context: &Arc<Context>, sample: &Sample, overridden: &mut u32) -> bool {
    let streaming = sample.replication.iter().filter(|replica| replica.state == "streaming");
    let names = streaming.map(|replica| replica.application_name.clone()).collect();
    // Twice in a row: between the file and the reload it differs for a moment.
    *overridden = if crate::effects::names(context) == sample.synchronous_standby_names { 0 } else { *overridden + 1 };
    if *overridden >= 2 {
        *overridden = 0;
        tracing::error!(found = sample.synchronous_standby_names, "synchronous_standby_names is not what it should be");
        crate::effects::reconfigure(context).await;
        crate::effects::reload(context);
    }
    context.events.send(Event::FoundWriting).await.is_ok()
        && context.events.send(Event::StandbysSampled(names)).await.is_ok()
}

fn link_of(context: &Context, sample: &Sample) -> Option<Link> {
    let Role::Standby { receiver, received, replayed, .. } = &sample.role else { return None };
    let streaming = receiver.as_ref().is_some_and(|r| r.status == "streaming");
    if let Some(receiver) = receiver.as_ref().filter(|r| r.status == "streaming") {
        context.timeline.send_replace(receiver.timeline);
    }
    let lsn = (*received).max(*replayed)?;
    Some(Link { streaming, position: WalPosition { timeline: *context.timeline.borrow(), lsn } })
}
