//! Reading the volume: what kind of directory, whose, and how far its WAL goes.

use super::Effect;
use super::bootstrap::incarnation;
use crate::context::Context;
use crate::http::ControlError;
use core::time::Duration;
use pgherd_core::identity::Incarnation;
use pgherd_core::instance::{Damage, Data, DataRole, Outcome, Volume};
use pgherd_core::lease::WalPosition;
use pgherd_core::timeline::{History, Lineage, TimelineId};
use pgherd_postgres::control_data::{ControlData, ControlDataError};
use pgherd_postgres::dir::DataDirectory;
use pgherd_postgres::waltail::{LocalWal, history_of};
use pgherd_telemetry::chain;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const CONTROL_DATA_WITHIN: Duration = Duration::from_secs(20);

/// What a stopped data directory says of itself.
pub struct LocalFacts {
    /// The control file.
    pub control: ControlData,
    /// Which timelines its WAL went through.
    pub history: History,
    /// Where its valid WAL ends; nothing where there is none to read.
    pub end: Option<WalPosition>,
}

/// Why a data directory says nothing of itself.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The control file.
    #[error(transparent)]
    Control(#[from] ControlDataError),
    /// Anything else, for people.
    #[error("{0}")]
    Other(String),
}

/// Reads control file, history and end of WAL. Postgres has to be down.
///
/// # Errors
/// Which of them, and why.
pub async fn local_facts(cx: &Context) -> Result<LocalFacts, Unreadable> {
    let bin_dir = cx.major.bin_dir().map_err(|e| Unreadable::Other(chain(&e)))?;
    let control = ControlData::read(&cx.reaper, &bin_dir, &cx.config.pgdata, CONTROL_DATA_WITHIN).await?;
    cx.sensitive.send_replace(control.sensitive.clone());
    let (pgdata, major) = (cx.config.pgdata.clone(), cx.major);
    let reading = tokio::task::spawn_blocking(move || {
        let wal = LocalWal::open(&pgdata, major, &control).map_err(|e| chain(&e))?;
        let end = match wal.end(control.redo) {
            Ok(tail) => Some(tail.position),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the end of local WAL is not known");
                None
            }
        };
        Ok(LocalFacts { history: wal.history, control, end })
    });
    reading.await.map_err(|e| chain(&e)).flatten().map_err(Unreadable::Other)
}

/// Takes a raised parameter back once the standby has replayed that its primary has less: then a restart is all that is
/// left to do, and the sampler will tell.
pub async fn lower(cx: &Arc<Context>) {
    let read = async {
        let bin_dir = cx.major.bin_dir().map_err(|e| chain(&e))?;
        ControlData::read(&cx.reaper, &bin_dir, &cx.config.pgdata, CONTROL_DATA_WITHIN).await.map_err(|e| chain(&e))
    };
    match read.await {
        Ok(control) => {
            if cx.sensitive.send_replace(control.sensitive.clone()) != control.sensitive {
                super::reconfigure(cx).await;
            }
        }
        Err(error) => tracing::warn!(error, "what the primary has is not known, and stays as it was"),
    }
}

/// What is on the volume.
pub async fn inspect(cx: &Context) -> Outcome {
    match look(cx).await {
        Ok(volume) => {
            if let Volume::Data(data) = &volume {
                cx.timeline.send_replace(data.end.timeline);
            }
            Outcome::Inspected(volume)
        }
        Err(why) => {
            tracing::error!(%why, "the volume cannot be read");
            Outcome::Failed(why)
        }
    }
}

async fn look(cx: &Context) -> Result<Volume, String> {
    let volume = cx.volume.clone();
    let content =
        tokio::task::spawn_blocking(move || volume.inspect()).await.map_err(|e| chain(&e))?.map_err(|e| chain(&e))?;
    if let Some(unfinished) = content.unfinished.first() {
        return Ok(Volume::Partial(unfinished.path.display().to_string()));
    }
    match content.data {
        DataDirectory::Absent => Ok(Volume::Empty),
        DataDirectory::Foreign => Err(format!(
            "{} holds files that are no data directory: move them away, or delete the volume",
            cx.config.pgdata.display()
        )),
        DataDirectory::Damaged(why) => damaged(cx, why),
        DataDirectory::Present { standby_signal, rewinding, incarnation, .. } => {
            let facts = match local_facts(cx).await {
                Ok(facts) => facts,
                Err(Unreadable::Control(error @ ControlDataError::Damaged)) => return damaged(cx, chain(&error)),
                Err(error) => return Err(chain(&error)),
            };
            let floor = WalPosition { timeline: facts.control.timeline, lsn: facts.control.checkpoint };
            Ok(Volume::Data(Data {
                system_id: facts.control.system_id,
                incarnation: match incarnation {
                    Some(known) => known,
                    None => adopted(cx).await?,
                },
                role: if standby_signal { DataRole::Standby } else { DataRole::Primary },
                end: facts.end.unwrap_or(floor),
                lineage: known(&facts.history),
                torn: rewinding,
                fence: cx.volume.fence().map_err(|e| chain(&e))?,
                max_term: cx.volume.max_term().map_err(|e| chain(&e))?,
            }))
        }
    }
}

/// What is left of a directory that cannot say what it is.
fn damaged(cx: &Context, why: String) -> Result<Volume, String> {
    tracing::error!(%why, "the data directory is damaged: it is kept until a clone of the primary streams in its place");
    let fence = cx.volume.fence().map_err(|e| chain(&e))?;
    Ok(Volume::Damaged(Damage { why, fence, max_term: cx.volume.max_term().map_err(|e| chain(&e))? }))
}

/// Another operator's data directory, or one whose mark was lost, is somebody of its own from now on: two that had no mark
/// must never be counted as one.
async fn adopted(cx: &Context) -> Result<Incarnation, String> {
    let (volume, anew) = (cx.volume.clone(), incarnation());
    let given = off_runtime(move || volume.set_incarnation(&anew).map(|()| anew).map_err(|e| chain(&e))).await?;
    tracing::info!(incarnation = %given.0, "the data directory had no identity, and was given one");
    Ok(given)
}

/// A timeline after the first has ancestors: without its file they are not known.
fn known(history: &History) -> Option<Lineage> {
    let told = history.timeline() == TimelineId::FIRST || !history.ancestors().is_empty();
    told.then(|| Lineage::of(history))
}

/// The history of a timeline that this directory is on, as its `pg_wal` has it.
pub async fn lineage(cx: &Context, timeline: TimelineId) -> Option<Lineage> {
    let pg_wal = cx.config.pgdata.join("pg_wal");
    match tokio::task::spawn_blocking(move || history_of(&pg_wal, timeline)).await {
        Ok(Ok(history)) => history.as_ref().map(Lineage::of),
        Ok(Err(error)) => {
            tracing::warn!(%timeline, error = %chain(&error), "a timeline's history cannot be read");
            None
        }
        Err(error) => {
            tracing::warn!(%timeline, %error, "a timeline's history cannot be read");
            None
        }
    }
}

/// Work on files: however long the disk takes, it holds up nothing else.
pub async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| chain(&error))?
}

/// Removes half-made directories.
pub async fn discard(cx: &Context) -> Outcome {
    let volume = cx.volume.clone();
    match tokio::task::spawn_blocking(move || volume.remove_unfinished()).await {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(error)) => Outcome::Failed(chain(&error)),
        Err(error) => Outcome::Failed(chain(&error)),
    }
}

/// The text of pg_controldata, for whoever asks over HTTP.
pub fn control_data(
    cx: &Arc<Context>,
    reply: oneshot::Sender<Result<String, ControlError>>,
    tasks: &mut JoinSet<Effect>,
) {
    let cx = Arc::clone(cx);
    tasks.spawn(async move {
        let read = async {
            let bin_dir = cx.major.bin_dir().map_err(|e| chain(&e))?;
            ControlData::read(&cx.reaper, &bin_dir, &cx.config.pgdata, CONTROL_DATA_WITHIN).await.map_err(|e| chain(&e))
        };
        let answer = read.await.map(|control| control.raw).map_err(ControlError::Unavailable);
        // Whoever asked may be gone.
        drop(reply.send(answer));
        Effect::Quiet
    });
}
