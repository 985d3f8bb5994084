//! Stopping in order, killing without asking, and the watchdog that kills when the manager cannot.

use super::start::{checkpoint, reload};
use crate::configuration;
use crate::context::Context;
use crate::watchdog::Watchdog;
use pgherd_core::instance::{Outcome, Stop, StopPhase};
use pgherd_postgres::shutdown::shut_down;
use pgherd_telemetry::chain;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// Stops postgres by the phases of `how`. When this is done the postmaster is gone, or in a handover waits to be killed;
/// nothing is promised about its children.
pub async fn stop(cx: &Arc<Context>, how: Stop) -> Outcome {
    let Some(handle) = cx.running() else { return Outcome::Done };
    let began = Instant::now();
    if let Some(bound) = how.bound(StopPhase::Checkpoint, began.elapsed()) {
        // The shutdown checkpoint that follows is a short one then.
        checkpoint(cx, bound, "before the shutdown").await;
    }
    if let Some(running) = cx.postmaster().as_ref() {
        running.stopping.store(true, Ordering::Relaxed);
    }
    cx.leaving.store(true, Ordering::Relaxed);
    cx.nudge.notify_one();
    if !how.is_handover() {
        silence_archiver(cx).await;
    }
    match shut_down(&handle, how, began).await {
        Some(_) => Outcome::Done,
        None => Outcome::Failed("postgres did not stop".to_owned()),
    }
}

async fn silence_archiver(cx: &Arc<Context>) {
    let silencing = Arc::clone(cx);
    match tokio::task::spawn_blocking(move || configuration::silence_archiver(&silencing)).await {
        Ok(Ok(())) => reload(cx),
        Ok(Err(error)) => tracing::warn!(error = %chain(&error), "postgres' archiver will hold its shutdown up"),
        Err(error) => tracing::warn!(%error, "postgres' archiver will hold its shutdown up"),
    }
}

/// SIGKILL to everything, until nothing runs any more.
pub async fn kill(cx: &Context) -> Outcome {
    if let Some(running) = cx.postmaster().as_ref() {
        running.stopping.store(true, Ordering::Relaxed);
    }
    let report = |p: pgherd_postgres::kill::KillProgress| {
        tracing::warn!(rounds = p.rounds, elapsed = ?p.elapsed, "processes survive SIGKILL: the kernel holds them");
    };
    let killed = cx.reaper.kill_everything(report).await;
    // It spares nobody but PID 1: the watchdog is gone too.
    *cx.watchdog() = None;
    *cx.postmaster() = None;
    match killed {
        Ok(p) => {
            let (rounds, elapsed_ms, dying) = (p.rounds, p.elapsed.as_secs_f64() * 1e3, p.dying);
            tracing::info!(rounds, elapsed_ms, dying, "no process of postgres runs any more");
            Outcome::Done
        }
        Err(error) => Outcome::Failed(chain(&error)),
    }
}

/// Arms the watchdog, starting it first where there is none.
pub fn arm(cx: &Context, deadline: pgherd_core::time::Instant) {
    let mut watchdog = cx.watchdog();
    if watchdog.as_ref().is_none_or(|w| !w.alive()) {
        match Watchdog::spawn(&cx.reaper) {
            Ok(fresh) => *watchdog = Some(fresh),
            Err(error) => {
                // Without it a frozen manager would be a second writer: postgres is not started then.
                tracing::error!(error = %chain(&error), "the watchdog could not be started");
                return;
            }
        }
    }
    if let Some(watchdog) = watchdog.as_ref() {
        watchdog.arm(deadline);
    }
}

/// Nothing is left that the watchdog would have to kill.
pub fn disarm(cx: &Context) {
    if let Some(watchdog) = cx.watchdog().as_ref() {
        watchdog.disarm();
    }
}

/// What a primary needs before it may run.
pub fn guarded(cx: &Context) -> bool {
    cx.watchdog().as_ref().is_some_and(Watchdog::alive)
}
