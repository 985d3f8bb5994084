//! Bringing a directory onto the leader's history: read both, ask `core` what to do, do it.

use super::bootstrap::incarnation;
use super::start::SQL_DEADLINE;
use super::volume::{LocalFacts, local_facts, off_runtime};
use crate::config::POSTGRES_PORT;
use crate::configuration::upstream;
use crate::context::Context;
use core::time::Duration;
use pgherd_core::identity::SystemId;
use pgherd_core::instance::{Leader, Outcome};
use pgherd_core::timeline::{History, LocalCopy, Rejoin, TimelineId, rejoin as decide};
use pgherd_postgres::files::write_durable;
use pgherd_postgres::process::Postgres;
use pgherd_postgres::rewind::rewind;
use pgherd_postgres::sql::{Remote, Session};
use pgherd_telemetry::chain;
use std::path::Path;

/// For the archiving of what is left, at one attempt.
const ARCHIVE_WITHIN: Duration = Duration::from_secs(10);
/// For the new primary's first checkpoint, which it makes at once.
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(60);
const REWIND_WITHIN: Duration = Duration::from_secs(3600);

/// Takes this directory onto the history of `leader`.
pub async fn rejoin(cx: &Context, leader: &Leader) -> Outcome {
    match attempt(cx, leader).await {
        Ok(outcome) => outcome,
        Err(why) => {
            tracing::warn!(%why, leader = leader.name, "the rejoin failed");
            Outcome::Failed(why)
        }
    }
}

async fn attempt(cx: &Context, leader: &Leader) -> Result<Outcome, String> {
    cx.certificates.ready().await;
    let facts = local_facts(cx).await.map_err(|e| chain(&e))?;
    let session = leader_session(cx, leader).await?;
    let history = leader_history(&session, leader.timeline).await?;
    let theirs = pgherd_core::timeline::Leader { system_id: leader_system(&session).await?, history };
    let plan = decide(&local_copy(&facts), &theirs);
    tracing::info!(?plan, leader = leader.name, "rejoin");
    match plan {
        Rejoin::AlreadyFollowing | Rejoin::FastForward => {
            let signal = cx.config.pgdata.clone();
            off_runtime(move || as_standby(&signal)).await?;
            Ok(Outcome::Done)
        }
        Rejoin::Rewind { .. } => {
            keep_wal(cx).await?;
            checkpointed(&session, leader.timeline).await?;
            Ok(run_rewind(cx, leader).await)
        }
        Rejoin::Reclone { reason } => {
            keep_wal(cx).await?;
            Ok(Outcome::CloneDue(chain(&reason)))
        }
        Rejoin::Refuse { reason } => Err(chain(&reason)),
    }
}

fn local_copy(facts: &LocalFacts) -> LocalCopy {
    LocalCopy {
        system_id: facts.control.system_id,
        history: facts.history.clone(),
        end_of_wal: facts.end.map(|end| end.lsn),
        checkpoint: pgherd_core::lease::WalPosition { timeline: facts.control.timeline, lsn: facts.control.checkpoint },
        min_recovery: facts
            .control
            .minimum_recovery_end
            .map(|(timeline, lsn)| pgherd_core::lease::WalPosition { timeline, lsn }),
        rewindable: facts.control.may_be_rewound(),
    }
}

/// A WAL file that is not archived yet is never thrown away (I7): it is archived first, or put aside until it can be.
pub async fn keep_wal(cx: &Context) -> Result<(), String> {
    let known = cx.archiving.is_out_of_reach().then(|| "the archive is out of reach".to_owned());
    let why = match known {
        Some(why) => why,
        None => match cx.archiving.archive_all_ready(ARCHIVE_WITHIN).await {
            Ok(()) => return Ok(()),
            Err(why) => why,
        },
    };
    let files = cx.archiving.put_aside().await?;
    tracing::warn!(%why, files, "WAL is not archived yet: it was put aside, and is archived when that is possible");
    Ok(())
}

fn as_standby(pgdata: &Path) -> Result<(), String> {
    write_durable(&pgdata.join("standby.signal"), b"", 0o600).map_err(|e| chain(&e))
}

async fn run_rewind(cx: &Context, leader: &Leader) -> Outcome {
    let postgres = match Postgres::locate(cx.major, &cx.config.pgdata, &cx.config.socket_dir(), POSTGRES_PORT) {
        Ok(postgres) => postgres,
        Err(error) => return Outcome::Failed(chain(&error)),
    };
    let volume = cx.volume.clone();
    if let Err(why) = off_runtime(move || volume.mark_rewinding().map_err(|e| chain(&e))).await {
        return Outcome::Failed(why);
    }
    let source = upstream(cx, &leader.address).conninfo();
    if let Err(error) = rewind(&cx.reaper, &postgres, &source, REWIND_WITHIN).await {
        // Half a rewind is fit for nothing: the mark stays, and a clone replaces it.
        return Outcome::CloneDue(chain(&error));
    }
    let volume = cx.volume.clone();
    let finished = off_runtime(move || {
        volume.set_incarnation(&incarnation()).map_err(|e| chain(&e))?;
        as_standby(volume.pgdata())?;
        volume.clear_rewinding().map_err(|e| chain(&e))
    });
    match finished.await {
        Ok(()) => Outcome::Done,
        Err(why) => Outcome::Failed(why),
    }
}

pub(super) async fn leader_session(cx: &Context, leader: &Leader) -> Result<Session, String> {
    let tls = cx.certificates.postgres_client().ok_or("no certificate yet")?;
    let to = Remote {
        host: &leader.address,
        port: POSTGRES_PORT,
        user: "streaming_replica",
        database: "postgres",
        application_name: &cx.config.me.name,
    };
    Session::remote(to, tls, SQL_DEADLINE).await.map_err(|e| chain(&e))
}

async fn leader_history(session: &Session, timeline: TimelineId) -> Result<History, String> {
    if timeline == TimelineId::FIRST {
        return Ok(History::of_first(timeline));
    }
    let sql = format!("SELECT convert_from(pg_read_binary_file('pg_wal/{:08X}.history'), 'UTF8')", timeline.0);
    let text: String = session.scalar("read the leader's history", &sql, SQL_DEADLINE).await.map_err(|e| chain(&e))?;
    History::parse(timeline, &text).map_err(|e| chain(&e))
}

async fn leader_system(session: &Session) -> Result<SystemId, String> {
    let sql = "SELECT system_identifier::text FROM pg_control_system()";
    let text: String =
        session.scalar("read the leader's system identifier", sql, SQL_DEADLINE).await.map_err(|e| chain(&e))?;
    text.parse().map(SystemId).map_err(|_| format!("the leader's system identifier is {text:?}"))
}

/// pg_rewind reads the source's control file, which knows its new timeline only after the first checkpoint there.
async fn checkpointed(session: &Session, timeline: TimelineId) -> Result<(), String> {
    let waiting = async {
        loop {
            let sql = "SELECT timeline_id::int FROM pg_control_checkpoint()";
            let at: i32 =
                session.scalar("read the leader's checkpoint", sql, SQL_DEADLINE).await.map_err(|e| chain(&e))?;
            if u32::try_from(at).unwrap_or(0) >= timeline.0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(CHECKPOINT_WITHIN, waiting)
        .await
        .map_err(|_| format!("the leader made no checkpoint on timeline {timeline} within {CHECKPOINT_WITHIN:?}"))?
}
