//! Rules Q3, Q4 and Q6 on the running postgres: setting whom commits wait for, proving it, and the barrier.

use super::Effect;
use super::start::{SQL_DEADLINE, address, local, names};
use crate::config::STATUS_PORT;
use crate::configuration;
use crate::context::Context;
use core::time::Duration;
use futures::future::join_all;
use pgherd_core::instance::Outcome;
use pgherd_core::lsn::Lsn;
use pgherd_core::pgconf::standbys::{Sight, nobody, sight, standby_names};
use pgherd_core::sync::{SyncMember, SyncSetting, member_name};
use pgherd_dial::Call;
use pgherd_postgres::sample::commit_probe;
use pgherd_postgres::sql::{Local, Session};
use pgherd_postgres::walsenders::{Walsender, commits_wait, end_walsender, reload, wake, walsenders};
use pgherd_proto::status::PostgresqlStatus;
use pgherd_telemetry::chain;
use std::sync::Arc;
use tokio::time::Instant;

/// For a reload to be in force everywhere. The machine asks again.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(5);
/// A walsender that has not followed by then is ended, and comes back with the new configuration.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(1);
/// For the members to have the barrier on disk. The machine asks again.
const BARRIER_WITHIN: Duration = Duration::from_secs(5);
/// For a member's manager to say which data directory it has.
const IDENTITY_WITHIN: Duration = Duration::from_secs(1);
/// For a restartpoint before a promotion, which is due only when the cluster became synchronous under a standby.
const RESTARTPOINT_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at the walsenders.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Rule Q4: `setting` in every walsender, and the end of WAL after that.
pub async fn set(cx: &Arc<Context>, setting: SyncSetting) -> Outcome {
    let _alone = cx.synchrony.change().await;
    let names = standby_names(&setting, &cx.config.cluster);
    match bring_in_force(cx, &setting, &names).await {
        Ok(flush) => {
            tracing::info!(%names, %flush, "commits wait by this list, in every walsender");
            cx.synchrony.in_force(&setting);
            cx.mirror.send_replace(Some(setting));
            Outcome::InForce { flush }
        }
        Err(why) => {
            tracing::warn!(%why, %names, "it is not in force everywhere yet whom commits wait for");
            Outcome::Failed(why)
        }
    }
}

async fn bring_in_force(cx: &Arc<Context>, setting: &SyncSetting, names: &str) -> Result<Lsn, String> {
    let socket_dir = cx.config.socket_dir();
    let to = address(&socket_dir);
    if !names.is_empty() && !cx.synchrony.commits_wait() {
        load(cx, to, &nobody(&cx.config.cluster)).await?;
        commits_wait(to, IN_FORCE_WITHIN).await.map_err(|e| chain(&e))?;
        cx.synchrony.set_commits_wait(true);
    }
    if names.is_empty() {
        cx.synchrony.set_commits_wait(false);
    }
    let older = cx.synchrony.older_than(setting);
    cx.synchrony.may_be_in_force(setting);
    cx.synchrony.ask_for(setting.clone());
    load(cx, to, names).await?;
    let session = local(cx, "postgres").await.map_err(|e| chain(&e))?;
    walsenders_follow(&session, setting, &older).await?;
    // Not by itself, which takes until the WAL writer comes around: clients wait for this.
    commit_probe(&session, SQL_DEADLINE).await.map_err(|e| chain(&e))
}

/// The list in the file, and in every new session; whoever ran before has been told.
async fn load(cx: &Arc<Context>, to: Local<'_>, names: &str) -> Result<(), String> {
    let handle = cx.running().ok_or("postgres is not running")?;
    let (writing, text) = (Arc::clone(cx), names.to_owned());
    tokio::task::spawn_blocking(move || writing.synchrony.write(&writing.config.pgdata, &text))
        .await
        .map_err(|e| chain(&e))?
        .map_err(|e| chain(&e))?;
    reload(to, &handle, names, IN_FORCE_WITHIN).await.map_err(|e| chain(&e))
}

/// Waits until no walsender can release anybody by an older setting; ends those of which it cannot be seen.
async fn walsenders_follow(session: &Session, setting: &SyncSetting, older: &[SyncSetting]) -> Result<(), String> {
    let began = Instant::now();
    // Whoever begins later has read the configuration that is in force by now.
    let mut suspects = list(session).await?;
    let mut ended: Vec<i32> = Vec::new();
    loop {
        let present = list(session).await?;
        suspects.retain(|suspect| {
            let now = present.iter().find(|w| w.pid == suspect.pid && w.started == suspect.started);
            now.is_some_and(|w| sight(w.priority, &w.name, setting, older) != Sight::Follows)
        });
        if suspects.is_empty() {
            return Ok(());
        }
        for suspect in &suspects {
            let untold = sight(suspect.priority, &suspect.name, setting, older) == Sight::Untold;
            if (untold || began.elapsed() >= FOLLOWS_WITHIN) && !ended.contains(&suspect.pid) {
                ended.push(suspect.pid);
                tracing::info!(pid = suspect.pid, standby = suspect.name, "a walsender is ended: it begins anew");
                end_walsender(session, suspect, SQL_DEADLINE).await.map_err(|e| chain(&e))?;
                wake(suspect);
            }
        }
        if began.elapsed() >= IN_FORCE_WITHIN {
            let names: Vec<String> = suspects.iter().map(|w| format!("{} (process {})", w.name, w.pid)).collect();
            return Err(format!("the walsender of {} does not follow", names.join(", ")));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn list(session: &Session) -> Result<Vec<Walsender>, String> {
    walsenders(session, SQL_DEADLINE).await.map_err(|e| chain(&e))
}

/// Rule Q3: as many members as a commit needs have everything up to `to` on disk, each with the data directory
/// that the setting names.
///
/// New WAL is written first: a walsender that outlives its standby may still show what another data directory of that
/// name had flushed, which can be `to`, and cannot be more. A member that has the same data directory before and
/// after had it all the while, since no two are alike.
pub async fn barrier(cx: &Arc<Context>, setting: &SyncSetting, to: Lsn) -> Outcome {
    match tokio::time::timeout(BARRIER_WITHIN, acknowledged(cx, setting, to)).await {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(why)) => {
            tracing::info!(%why, "the barrier is not acknowledged");
            Outcome::Failed(why)
        }
        Err(_) => Outcome::Failed(format!("too few standbys have {to} on disk within {BARRIER_WITHIN:?}")),
    }
}

async fn acknowledged(cx: &Arc<Context>, setting: &SyncSetting, to: Lsn) -> Result<(), String> {
    let needed = usize::try_from(setting.needed_of_members()).unwrap_or(usize::MAX);
    let known = identified(cx, setting.members.iter().collect()).await;
    if known.len() < needed {
        return Err(format!("{} of {needed} members have the data directories that were asked for", known.len()));
    }
    let session = local(cx, "postgres").await.map_err(|e| chain(&e))?;
    let mark = commit_probe(&session, SQL_DEADLINE).await.map_err(|e| chain(&e))?.max(to);
    loop {
        let present = list(&session).await?;
        let has = |(member, address): &&(&SyncMember, String)| {
            let mut named = present.iter().filter(|w| member_name(&w.name) == member.name);
            // Of two of one name it cannot be said which is the member's.
            let (only, another) = (named.next(), named.next());
            another.is_none() && only.is_some_and(|w| w.address.as_ref() == Some(address) && w.flushed >= Some(mark))
        };
        let there: Vec<&SyncMember> = known.iter().filter(has).map(|(member, _)| *member).collect();
        if there.len() >= needed {
            let still = identified(cx, there).await;
            return if still.len() >= needed {
                Ok(())
            } else {
                Err("a member has another data directory than before".to_owned())
            };
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Those of the members whose managers say, now, that they have the data directory; with their addresses.
async fn identified<'a>(cx: &Context, members: Vec<&'a SyncMember>) -> Vec<(&'a SyncMember, String)> {
    let peers = cx.peers.borrow().clone();
    let asked = members.into_iter().filter_map(|member| {
        let peer = peers.iter().find(|peer| peer.name == member.name && !peer.address.is_empty())?;
        let (tls, address) = (cx.certificates.client()?, peer.address.clone());
        Some(async move {
            let call = Call::get("/pg/status", IDENTITY_WITHIN);
            let status: PostgresqlStatus = pgherd_dial::ask_json(tls, &address, STATUS_PORT, call).await.ok()?;
            (status.incarnation.as_deref() == Some(member.incarnation.0.as_str())).then_some((member, address))
        })
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Closes the gate of a standby that takes the lease, beside the take: by the time of the promotion it is in force. What
/// does not come about here is done then.
pub async fn close_gate(cx: &Arc<Context>) -> Effect {
    let _alone = cx.synchrony.change().await;
    if cx.running().is_none() || !cx.synchrony.gated() {
        return Effect::Quiet; // The next start renders it.
    }
    if let Err(why) = take_in(cx, &names(cx)).await {
        tracing::info!(%why, "the gate is not closed yet");
    }
    Effect::Quiet
}

/// Opens the gate of whatever runs: for connections that come from now on.
pub async fn open_gate(cx: &Arc<Context>) -> Effect {
    // Where nothing runs, the next start renders it.
    rewrite_hba(cx).await;
    Effect::Quiet
}

/// `pg_hba.conf` as it is to be now, for connections that come from now on; false where there was nobody to tell.
pub async fn rewrite_hba(cx: &Arc<Context>) -> bool {
    if cx.running().is_none() {
        return false;
    }
    match write_hba(cx).await {
        Ok(()) => {
            super::start::reload(cx);
            true
        }
        Err(why) => {
            tracing::error!(%why, "the rules of who may connect were not changed");
            false
        }
    }
}

async fn write_hba(cx: &Arc<Context>) -> Result<(), String> {
    let writing = Arc::clone(cx);
    let written = tokio::task::spawn_blocking(move || configuration::write_hba(&writing).map(drop));
    written.await.map_err(|e| chain(&e))?.map_err(|e| chain(&e))
}

/// The gate and the list as they are to be, in force for every new session.
async fn take_in(cx: &Arc<Context>, names: &str) -> Result<(), String> {
    write_hba(cx).await?;
    let socket_dir = cx.config.socket_dir();
    load(cx, address(&socket_dir), names).await?;
    cx.synchrony.gate_in_force(names);
    Ok(())
}

/// Before a promotion: what the machine asked for is in the standby's configuration, so that not one commit goes by
/// another (Q6, hole 10); the gate is closed, and no session of a client is left to write through, on a timeline that
/// nobody has looked at yet (I2).
///
/// # Errors
/// For people; then nothing is promoted.
pub async fn before_promotion(cx: &Arc<Context>, session: &Session) -> Result<(), String> {
    let _alone = cx.synchrony.change().await;
    let wanted = names(cx);
    if !cx.synchrony.is_closed_with(&wanted) {
        take_in(cx, &wanted).await?;
    }
    let waits = cx.synchrony.commits_wait() || wanted.is_empty();
    if !waits {
        // Only the checkpointer can make commits wait. It reads its configuration before each restartpoint.
        session.batch("make a restartpoint", "CHECKPOINT", RESTARTPOINT_WITHIN).await.map_err(|e| chain(&e))?;
    }
    cx.synchrony.began(&wanted, true);
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE backend_type = 'client backend' AND (usename <> 'postgres' OR client_addr IS NOT NULL)";
    session.batch("end the clients' sessions", sql, SQL_DEADLINE).await.map_err(|e| chain(&e))
}
