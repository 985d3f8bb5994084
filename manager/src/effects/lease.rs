//! The lease on the wire, and the proof that WAL can be written.

use super::Effect;
use super::start::local;
use crate::clock;
use crate::context::Context;
use core::time::Duration;
use futures::future::join_all;
use pgherd_core::instance::Outcome;
use pgherd_core::lease::{LeaseRecord, Term, stand_still};
use pgherd_postgres::sample::prove_write_path;
use pgherd_postgres::standstill::client_sessions;
use pgherd_telemetry::chain;
use std::sync::Arc;

/// A write that takes longer proves nothing.
const WRITE_WITHIN: Duration = Duration::from_secs(2);

/// One PUT, one answer.
pub async fn put(cx: &Context, over: &str, record: &LeaseRecord) -> Outcome {
    let outcome = cx.lease.put(over, record, released_seconds(cx)).await;
    match &outcome {
        Outcome::Unknown { why, .. } => tracing::warn!(%why, term = record.term.0, "the lease was not answered for"),
        Outcome::Conflicted(stored) => tracing::warn!(term = stored.value.term.0, "the lease had moved on"),
        _ => tracing::debug!(term = record.term.0, state = ?record.state, "lease stored"),
    }
    outcome
}

/// `spec.primaryLease.releasedLeaseDurationSeconds`.
fn released_seconds(cx: &Context) -> i32 {
    let timings = cx.cluster_now().and_then(|cluster| cluster.spec.primary_lease.clone()).unwrap_or_default();
    timings.released_lease_duration_seconds
}

/// The same where there is no lease any more.
pub async fn create(cx: &Context, record: &LeaseRecord) -> Outcome {
    let outcome = cx.lease.create(record, released_seconds(cx)).await;
    tracing::warn!(?outcome, term = record.term.0, "the lease was made again");
    outcome
}

/// Keeps a term on the volume (rule L9). Without it nothing is refused that would be safe, so an error is only logged.
pub async fn remember(cx: &Arc<Context>, term: Term) -> Effect {
    let keeping = Arc::clone(cx);
    match tokio::task::spawn_blocking(move || keeping.volume.raise_max_term(term)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(error = %chain(&error), "the lease's term was not kept on the volume"),
        Err(error) => tracing::error!(%error, "the lease's term was not kept on the volume"),
    }
    Effect::Quiet
}

/// fsync on the volume of WAL, and on that of the data where that is another one; while open, also that postgres flushes
/// what it is given (hole 26).
pub async fn prove(cx: &Context, sql: bool) -> Outcome {
    let began = clock::now();
    let postgres = async { if sql { flushes(cx).await } else { Ok(()) } };
    match tokio::join!(syncs(cx), postgres) {
        (Err(why), _) => {
            tracing::warn!(%why, "a volume cannot be written");
            Outcome::Failed(why)
        }
        (_, Err(why)) => {
            tracing::warn!(%why, "postgres cannot write WAL");
            Outcome::Failed(why)
        }
        (Ok(()), Ok(())) => Outcome::Proven(began),
    }
}

/// From a thread for each volume, for the manager's life: a disk that hangs holds that thread and nobody else.
async fn syncs(cx: &Context) -> Result<(), String> {
    let probes = cx.disk_probes().map_err(|e| chain(&e))?;
    let all = join_all(probes.iter().map(|probe| probe.probe(WRITE_WITHIN))).await;
    all.into_iter().try_for_each(|synced| synced.map(drop)).map_err(|e| chain(&e))
}

/// A new session each time: the postmaster has to answer as well. What that shows is nothing to those who are
/// connected already, if every one of them is stopped.
async fn flushes(cx: &Context) -> Result<(), String> {
    let proof = async {
        let session = local(cx, "postgres").await?;
        prove_write_path(&session, WRITE_WITHIN).await?;
        client_sessions(&session, WRITE_WITHIN).await
    };
    match tokio::time::timeout(WRITE_WITHIN, proof).await {
        Ok(Ok(clients)) if stand_still(&clients) => {
            Err(format!("all {} sessions of clients are stopped", clients.len()))
        }
        Ok(proven) => proven.map(drop).map_err(|e| chain(&e)),
        Err(_) => Err(format!("no answer within {WRITE_WITHIN:?}")),
    }
}
