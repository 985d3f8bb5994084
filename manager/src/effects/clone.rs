//! Cloning the leader, or a standby of it: beside what is there, which stays until the clone streams (I7).

use super::bootstrap::incarnation;
use super::rejoin::{keep_wal, leader_session};
use super::source;
use super::volume::off_runtime;
use crate::config::POSTGRES_PORT;
use crate::configuration::upstream;
use crate::context::Context;
use core::time::Duration;
use pgherd_core::instance::{Leader, Outcome, Source, Sources};
use pgherd_core::pgconf::Upstream;
use pgherd_postgres::basebackup::{CopyInto, basebackup};
use pgherd_postgres::dir::PartialKind;
use pgherd_postgres::files::write_durable;
use pgherd_postgres::process::Postgres;
use pgherd_postgres::tablespaces;
use pgherd_telemetry::chain;
use std::path::PathBuf;

/// For the question of what tablespaces there are.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// The longest that a base backup may take.
const CLONE_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Clones `leader`, or a standby of it, and puts the clone in place.
pub async fn clone(cx: &Context, leader: &Leader, sources: Sources) -> Outcome {
    match copy(cx, leader, sources).await {
        Ok(()) => Outcome::Done,
        Err(why) => {
            tracing::warn!(%why, leader = leader.name, "the clone failed");
            Outcome::Failed(why)
        }
    }
}

async fn copy(cx: &Context, leader: &Leader, sources: Sources) -> Result<(), String> {
    cx.certificates.ready().await;
    let sweeping = cx.volume.clone();
    off_runtime(move || sweeping.remove_unfinished().map_err(|e| chain(&e))).await?;
    if cx.config.pgdata.join("pg_wal").exists() {
        keep_wal(cx).await?;
    }
    let nonce = &cx.config.me.nonce;
    let into = cx.volume.partial_path(PartialKind::Join, nonce);
    let postgres =
        Postgres::locate(cx.major, &cx.config.pgdata, &cx.config.socket_dir(), POSTGRES_PORT).map_err(|e| chain(&e))?;
    let chosen = source::choose(cx, leader, sources).await;
    let (whom, address) = match &chosen {
        Source::Leader(why) => {
            tracing::info!(leader = leader.name, %why, "cloning the leader");
            (&leader.name, &leader.address)
        }
        Source::Standby { name, address } => {
            tracing::info!(standby = name, leader = leader.name, "cloning a standby, to spare the leader");
            (name, address)
        }
    };
    // Not by this pod's name: what pg_basebackup streams is not on disk when it says so, and must acknowledge nothing.
    let from = Upstream { application_name: "pgherd-clone".to_owned(), ..upstream(cx, address) }.conninfo();
    let mut told = 0;
    let progress = |now: pgherd_postgres::basebackup::CopyProgress| {
        let tenth = now.done_kib.saturating_mul(10).checked_div(now.total_kib).unwrap_or(0);
        if tenth > told {
            told = tenth;
            tracing::info!(done_kib = now.done_kib, total_kib = now.total_kib, "cloning");
        }
    };
    let (spaces, wal) = (spaces(cx, leader).await, cx.volume.free_wal(nonce));
    let place = CopyInto { pgdata: into.clone(), wal, spaces };
    let copying = basebackup(&cx.reaper, &postgres, &from, &place, CLONE_WITHIN, progress);
    let lost = async {
        match &chosen {
            Source::Standby { address, .. } => source::lost(cx, address).await,
            // Its lease ends if it is not well, and with that what is copied from it.
            Source::Leader(_) => core::future::pending().await,
        }
    };
    tokio::select! {
        copied = copying => copied.map_err(|e| format!("{whom}: {}", chain(&e)))?,
        why = lost => return Err(format!("{whom}: {why}")),
    }
    cx.archiving.forget();
    let (volume, nonce) = (cx.volume.clone(), nonce.clone());
    off_runtime(move || {
        write_durable(&into.join("standby.signal"), b"", 0o600).map_err(|e| chain(&e))?;
        volume.adopt(&into, &incarnation(), &nonce).map_err(|e| chain(&e)).map(drop)
    })
    .await
}

/// Where each tablespace goes: what an earlier copy has where the leader's lies stays. If the leader does not say, the
/// copy is tried as if there were none, which most databases have.
async fn spaces(cx: &Context, leader: &Leader) -> Vec<(String, PathBuf)> {
    let asked = async {
        let session = leader_session(cx, leader).await?;
        tablespaces::locations(&session, ASK_WITHIN).await.map_err(|e| chain(&e))
    };
    let found = asked.await.unwrap_or_else(|why| {
        tracing::warn!(%why, leader = leader.name, "whether there are tablespaces is not known");
        Vec::new()
    });
    let to = |oid| cx.volume.free_tablespace(oid, &cx.config.me.nonce);
    found.into_iter().map(|(oid, from)| (from, to(oid))).collect()
}
