//! A piece of work on a bed that goes down whatever happens.

use super::Bed;
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};

/// Does `work`, until it ends or this process is told to stop; then the bed goes down. The logs of what failed are kept
/// below `directory`. Answers what went wrong.
pub async fn to_the_end(
    bed: Bed,
    directory: &Path,
    work: impl AsyncFnOnce(&Bed) -> anyhow::Result<()>,
) -> Option<String> {
    let done = until_told(work(&bed)).await;
    if done.is_err() {
        bed.keep_logs(&directory.join("logs"));
    }
    let down = bed.down().await;
    done.and(down).err().map(|error| format!("{error:#}"))
}

async fn until_told(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        done = work => done,
        _ = interrupted.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminated.recv() => Err(anyhow::anyhow!("terminated")),
    }
}
