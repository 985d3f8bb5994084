//! WAL that a former primary had not archived when it became a standby.
//!
//! Postgres archives nothing in recovery, and its restartpoints remove segments whether they are `.ready` or not
//! (`XLogArchiveCheckDone` with `archive_mode = on`); nobody else has marked them. So the manager archives them beside the
//! running standby, and until that is done `wal_keep_size` (see `configuration`) keeps restartpoints away from them.
//! What a rewind or a clone would have taken away was put aside before, and is archived from there.

use crate::context::Context;
use crate::effects;
use core::time::Duration;
use std::sync::Arc;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// For one attempt; what is left is tried again.
const WITHIN: Duration = Duration::from_secs(30);

/// Archives what waits whenever this instance is a standby, until dropped.
pub async fn archive(context: Arc<Context>) {
    // Whether restartpoints may be kept away from WAL.
    let mut kept = true;
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        put_aside_before(&context).await;
        if !is_standby(&context) {
            kept = true;
        } else if waiting(&context).await {
            kept = true;
            match context.archiving.archive_leftovers(WITHIN).await {
                Ok(archived) => tracing::info!(archived, "archived what was left of the time as primary"),
                Err(why) => tracing::warn!(%why, "WAL of the time as primary is not archived yet, and is kept"),
            }
        } else if kept {
            let _quiet = effects::reconfigure(&context).await;
            kept = false;
        }
    }
}

/// Whatever the role is now: these files are no part of its data directory any more.
async fn put_aside_before(context: &Context) {
    let archiving = context.archiving.clone();
    let some = tokio::task::spawn_blocking(move || archiving.has_aside()).await.unwrap_or(false);
    if some {
        match context.archiving.archive_aside(WITHIN).await {
            Ok(archived) => tracing::info!(archived, "archived what had been put aside"),
            Err(why) => tracing::warn!(%why, "WAL that was put aside is not archived yet, and is kept"),
        }
    }
}

fn is_standby(context: &Context) -> bool {
    context.running().is_some() && context.config.pgdata.join("standby.signal").exists()
}

async fn waiting(context: &Context) -> bool {
    let archiving = context.archiving.clone();
    // A folder that cannot be read may hold anything; the attempt says what is wrong with it.
    tokio::task::spawn_blocking(move || archiving.waiting()).await.unwrap_or(true)
}
