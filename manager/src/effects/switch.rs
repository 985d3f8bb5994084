//! Completing a WAL segment for a backup that a standby took: it needs all of it, and only a primary can.

use super::Effect;
use super::start::{SQL_DEADLINE, local};
use crate::context::Context;
use crate::http::ControlError;
use pgherd_core::lsn::Lsn;
use pgherd_postgres::online_backup::{switch_wal as switch, written};
use pgherd_postgres::wal_room::has_room;
use pgherd_proto::control::{SwitchWalRequest, WalSwitched};
use pgherd_telemetry::chain;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Does it, for whoever asks over HTTP.
pub fn switch_wal(
    cx: &Arc<Context>,
    request: &SwitchWalRequest,
    reply: oneshot::Sender<Result<WalSwitched, ControlError>>,
    tasks: &mut JoinSet<Effect>,
) {
    let (cx, end) = (Arc::clone(cx), request.lsn);
    tasks.spawn(async move {
        // Whoever asked may be gone.
        drop(reply.send(complete(&cx, end).await.map(|lsn| WalSwitched { lsn })));
        Effect::Quiet
    });
}

async fn complete(cx: &Context, end: Lsn) -> Result<Lsn, ControlError> {
    let unavailable = |error: pgherd_postgres::sql::SqlError| ControlError::Unavailable(chain(&error));
    let session = local(cx, "postgres").await.map_err(unavailable)?;
    match written(&session, SQL_DEADLINE).await.map_err(unavailable)? {
        None => Err(ControlError::Refused("this is a standby, which writes no WAL".to_owned())),
        Some((at, size)) if size.segment_of(at) > size.segment_ending_at(end) => Ok(at),
        Some((_, size)) => {
            // A backup that another instance takes is no reason for this one to end.
            has_room(&cx.config.pgdata, 1, size).map_err(|e| ControlError::Unavailable(chain(&e)))?;
            switch(&session, SQL_DEADLINE).await.map_err(unavailable)
        }
    }
}
