//! The lease on the wire, and the proof that WAL can be written.

use super::start::local;
use crate::clock;
use crate::context::Context;
use core::time::Duration;
use pgherd_core::instance::Outcome;
use pgherd_core::lease::LeaseRecord;
use pgherd_postgres::fsync_probe::FsyncProbe;
use pgherd_postgres::sample::prove_write_path;
use pgherd_telemetry::chain;

/// A write that takes longer proves nothing.
const WRITE_WITHIN: Duration = Duration::from_secs(2);

/// One PUT, one answer.
pub async fn put(cx: &Context, over: &str, record: &LeaseRecord) -> Outcome {
    let outcome = cx.lease.put(over, record, cx.timings).await;
    match &outcome {
        Outcome::Unknown { why, .. } => tracing::warn!(%why, term = record.term.0, "the lease was not answered for"),
        Outcome::Conflicted(stored) => tracing::warn!(term = stored.value.term.0, "the lease had moved on"),
        _ => tracing::debug!(term = record.term.0, state = ?record.state, "lease stored"),
    }
    outcome
}

/// fsync on the volume of WAL; while open, also a commit of postgres' own (hole 26): a message that is not
/// transactional waits for no standby.
pub async fn prove(cx: &Context, sql: bool) -> Outcome {
    let began = clock::now();
    let directory = cx.config.pgdata.join("pg_wal");
    let synced = async {
        let probe = FsyncProbe::new(&directory).map_err(|e| chain(&e))?;
        probe.probe(WRITE_WITHIN).await.map_err(|e| chain(&e))
    };
    if let Err(why) = synced.await {
        tracing::warn!(%why, "the WAL volume cannot be written");
        return Outcome::Failed(why);
    }
    if sql {
        let commit = async {
            let session = local(cx, "postgres").await?;
            prove_write_path(&session, WRITE_WITHIN).await
        };
        if let Err(error) = commit.await {
            tracing::warn!(error = %chain(&error), "postgres cannot write WAL");
            return Outcome::Failed(chain(&error));
        }
    }
    Outcome::Proven(began)
}
