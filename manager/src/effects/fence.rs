//! Rule E3: promise not to follow a term any more, stop receiving, then say what is on disk.

use super::start::{SQL_DEADLINE, at_hand, rewrite};
use super::{Effect, lineage, tail};
use crate::configuration::As;
use crate::context::Context;
use core::time::Duration;
use pgherd_core::instance::Op;
use pgherd_core::lease::{Term, WalPosition};
use pgherd_core::timeline::Lineage;
use pgherd_postgres::sql::Session;
use pgherd_telemetry::chain;
use std::sync::Arc;

/// For the receiver to be gone after the reload.
const GONE_WITHIN: Duration = Duration::from_millis(800);

/// How far the WAL on disk goes, and on which history.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The end of it.
    pub position: WalPosition,
    /// The history of its timeline, where that is known.
    pub lineage: Option<Lineage>,
}

/// Fences this member for `term`.
pub async fn fence(cx: &Arc<Context>, op: Op, term: Term) -> Effect {
    Effect::Fenced(op, fenced(cx, term).await)
}

async fn fenced(cx: &Arc<Context>, term: Term) -> Result<Option<Placed>, String> {
    let promising = Arc::clone(cx);
    tokio::task::spawn_blocking(move || promising.volume.raise_fence(term))
        .await
        .map_err(|e| chain(&e))?
        .map_err(|e| chain(&e))?;
    if cx.running().is_none() {
        return Ok(None);
    }
    // Noted, lest a change of the configuration bring the old leader back (E3).
    cx.following.send_replace(None);
    rewrite(cx, As::Standby).await;
    let session = tokio::time::timeout(GONE_WITHIN, receiver_gone(cx))
        .await
        .map_err(|_| "the WAL receiver did not stop in time".to_owned())??;
    let position = tail::position_by(cx, &session).await?;
    cx.spare.leave(session);
    Ok(Some(Placed { position, lineage: lineage(cx, position.timeline).await }))
}

/// Waits until it is; the session that saw it.
async fn receiver_gone(cx: &Context) -> Result<Session, String> {
    let session = at_hand(cx).await.map_err(|e| chain(&e))?;
    loop {
        let sql = "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE pid IS NOT NULL)";
        let gone = session.scalar::<bool>("look for the receiver", sql, SQL_DEADLINE).await.map_err(|e| chain(&e))?;
        if gone {
            return Ok(session);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
