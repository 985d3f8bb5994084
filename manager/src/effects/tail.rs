//! The tail handover, from the candidate's side: having the WAL, saying so, and proofs of death.

use super::Effect;
use super::start::{SQL_DEADLINE, at_hand};
use super::volume::off_runtime;
use crate::cluster_api::deaths;
use crate::config::STATUS_PORT;
use crate::context::Context;
use crate::holder_tail::Held;
use core::time::Duration;
use pgherd_core::cluster::TailFact;
use pgherd_core::identity::Nonce;
use pgherd_core::instance::Outcome;
use pgherd_core::lease::{Term, WalPosition};
use pgherd_dial::Call;
use pgherd_postgres::sample::standby_position;
use pgherd_postgres::sql::Session;
use pgherd_postgres::waltail::timeline_at;
use pgherd_proto::control::{TailConfirmed, TailRequest};
use pgherd_telemetry::chain;
use std::sync::Arc;

/// Between two looks at the position, over a session that is kept.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// For all of the WAL to arrive.
const ARRIVE_WITHIN: Duration = Duration::from_secs(9);
/// For the holder's release, which is one PUT.
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// This standby's position: what it has flushed or replayed, whichever is more, and on which timeline.
///
/// # Errors
/// When postgres does not answer, or `pg_wal` cannot be read.
pub async fn position(cx: &Context) -> Result<WalPosition, String> {
    let session = at_hand(cx).await.map_err(|e| chain(&e))?;
    let position = position_by(cx, &session).await?;
    cx.spare.leave(session);
    Ok(position)
}

/// An election is near: its questions follow each other within milliseconds, and each would cost a session of its own. One
/// is opened before the first of them is asked, and left to it.
pub async fn prepare(cx: &Context) -> Effect {
    if cx.running().is_some()
        && let Err(why) = position(cx).await
    {
        tracing::debug!(%why, "no session is at hand for the election");
    }
    Effect::Quiet
}

/// [`position`] over a session that there is.
///
/// # Errors
/// As [`position`].
pub async fn position_by(cx: &Context, session: &Session) -> Result<WalPosition, String> {
    let WalPosition { timeline: known, lsn } = position_in(cx, session).await?;
    // Samples are taken now and then: the receiver may have gone over to another timeline and ended since the last.
    let pg_wal = cx.config.pgdata.join("pg_wal");
    let timeline = off_runtime(move || timeline_at(&pg_wal, lsn, known).map_err(|e| chain(&e))).await?;
    Ok(WalPosition { timeline, lsn })
}

/// For whoever fetches: where our own WAL ends at the time of asking, if postgres answers.
pub fn held(cx: &Arc<Context>) -> Held {
    // It is kept by what the context keeps.
    let cx = Arc::downgrade(cx);
    Arc::new(move || {
        let cx = cx.upgrade();
        Box::pin(async move { position(&*cx?).await.ok() })
    })
}

async fn position_in(cx: &Context, session: &Session) -> Result<WalPosition, String> {
    let lsn = standby_position(session, SQL_DEADLINE).await.map_err(|e| chain(&e))?.unwrap_or_default();
    Ok(WalPosition { timeline: *cx.timeline.borrow(), lsn })
}

/// The same without a look into `pg_wal`: this is asked many times on the way to a promotion.
async fn position_again(cx: &Context) -> Result<WalPosition, String> {
    let session = at_hand(cx).await.map_err(|e| chain(&e))?;
    let position = position_in(cx, &session).await?;
    cx.spare.leave(session);
    Ok(position)
}

/// Waits until everything up to `to` is on this disk.
pub async fn arrived(cx: &Context, to: WalPosition) -> Outcome {
    let waiting = async {
        loop {
            match position_again(cx).await {
                Ok(at) if at.lsn >= to.lsn => return Outcome::Done,
                Ok(at) => tracing::debug!(%at, %to, "waiting for WAL"),
                Err(why) => tracing::debug!(%why, "waiting for WAL"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    match tokio::time::timeout(ARRIVE_WITHIN, waiting).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Failed(format!("the WAL up to {to} did not arrive within {ARRIVE_WITHIN:?}")),
    }
}

/// Tells the crashed holder that its tail is here, and gets the version of the released lease.
pub async fn confirm(cx: &Context, source: &TailFact, term: Term) -> Outcome {
    let at = match position(cx).await {
        // What is on this disk, not what was asked for; the arrival was judged by its LSN as well.
        Ok(at) => WalPosition { timeline: source.end.timeline, lsn: at.lsn },
        Err(why) => return Outcome::Failed(why),
    };
    let request = TailRequest {
        term,
        position: at,
        winner: cx.config.me.name.clone(),
        winner_pod_uid: cx.config.me.pod_uid.clone(),
    };
    let Some(tls) = cx.certificates.client() else { return Outcome::Failed("no certificate yet".to_owned()) };
    let body = serde_json::to_vec(&request).unwrap_or_default();
    let call = Call::post("/pg/tail/confirm", body, RELEASE_WITHIN);
    match pgherd_dial::ask_json::<TailConfirmed>(tls, &source.address, STATUS_PORT, call).await {
        Ok(confirmed) => Outcome::Released(confirmed.lease_version),
        Err(error) => {
            tracing::info!(error = %chain(&error), "the holder has not released yet");
            Outcome::Failed(chain(&error))
        }
    }
}

/// Whether a terminated container of `pod` left the nonce as its last words.
pub async fn look_for_proof(cx: &Context, pod: &str, nonce: &Nonce) -> Outcome {
    match tokio::time::timeout(Duration::from_secs(2), cx.api.pods.get_opt(pod)).await {
        Ok(Ok(found)) => {
            let left: Vec<_> = found.map(Arc::new).into_iter().collect();
            if deaths(&left).contains(nonce) { Outcome::Done } else { Outcome::NotFound }
        }
        Ok(Err(error)) => Outcome::Failed(chain(&error)),
        Err(_) => Outcome::Failed("the API server did not answer".to_owned()),
    }
}
