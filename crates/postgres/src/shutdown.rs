//! Stopping a postmaster phase by phase: smart, fast, immediate, each within its bound.

use crate::process::{PostmasterHandle, StopMode};
use pgherd_core::instance::{Stop, StopPhase};
use tokio::time::Instant;

/// Ends the postmaster by the phases of `how`, a stop that began at `began`. Answers with the mode that ended it, or
/// nothing if it is still there after all of them. Nothing is promised about its children.
pub async fn shut_down(postmaster: &PostmasterHandle, how: Stop, began: Instant) -> Option<StopMode> {
    let phases = [
        (StopPhase::Smart, StopMode::Smart),
        (StopPhase::Fast, StopMode::Fast),
        (StopPhase::Immediate, StopMode::Immediate),
    ];
    for (phase, mode) in phases {
        let Some(bound) = how.bound(phase, began.elapsed()) else { continue };
        tracing::info!(?mode, ?bound, "postgres is told to stop");
        if let Err(error) = postmaster.stop(mode) {
            // It may have ended by itself; if it has not, the next phase tries again.
            tracing::debug!(%error, "the postmaster was not signalled");
        }
        if tokio::time::timeout(bound, postmaster.wait()).await.is_ok() {
            return Some(mode);
        }
    }
    None
}
