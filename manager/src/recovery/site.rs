//! A recovery on one volume, whoever asked for it: begun or gone on with, up to a directory that is proven to be at its
//! target, and then made the data directory.

use super::bring::bring;
use super::notes;
use super::replay::{Course, Place, replay};
use super::said;
use super::source::Source;
use super::verify::{Verdict, can_go_on, verify};
use super::whole::Short;
use crate::effects::{incarnation, off_runtime};
use futures::future::BoxFuture;
use pgherd_core::backup::Covered;
use pgherd_core::identity::{Nonce, SystemId};
use pgherd_core::timeline::TimelineId;
use pgherd_postgres::dir::Volume;
use pgherd_telemetry::chain;
use serde::{Deserialize, Serialize};

/// Where it is made.
pub struct Site<'a> {
    /// The volume.
    pub volume: &'a Volume,
    /// Of this process.
    pub nonce: &'a Nonce,
    /// Where it replays, and with what.
    pub place: Place<'a>,
}

/// What is to be made.
pub struct Order<'a> {
    /// From where, and up to where.
    pub source: &'a Source,
    /// Changes with whatever makes another recovery of it.
    pub fingerprint: String,
    /// Whose it has to be, where that is known.
    pub system: Option<SystemId>,
    /// The highest timeline that is taken outside of the source; asked when one is begun.
    pub taken: BoxFuture<'a, Result<TimelineId, String>>,
}

/// What `pgdata.recovering` is on its way to, kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Purpose {
    /// Cluster, archive and target that it was made for.
    pub asked: String,
    /// The backup that it began with.
    pub backup: String,
    /// `recovery_target_timeline`.
    pub along: TimelineId,
    /// The last id that is taken in some archive.
    pub taken: TimelineId,
    /// The WAL that there was.
    #[serde(default)]
    pub covered: Option<Covered>,
}

/// Recovers, or goes on recovering. What is at its target then waits to be [adopted](adopt).
///
/// # Errors
/// For people: why it is not done yet. What it leaves is gone on with, or removed, by the next call.
pub async fn recover_on(site: &Site<'_>, order: Order<'_>) -> Result<(), String> {
    let source = order.source;
    let purpose = match resumed(site, &order.fingerprint).await? {
        Some(purpose) => {
            tracing::info!(backup = purpose.backup, "going on with a recovery that was cut off");
            purpose
        }
        None => bring(site, order).await?,
    };
    let Purpose { along, taken, covered, .. } = purpose;
    let (place, pgdata) = (&site.place, site.volume.recovering());
    let course = Course { store: &source.store, target: &source.target, along, taken, covered };
    let replayed = replay(place, &pgdata, &course).await;
    replayed.map_err(|why| format!("{} from backup {}: {why}", said(&source.target), purpose.backup))?;
    match verify(place, &pgdata, &course).await? {
        Verdict::Reached => Ok(()),
        Verdict::BeforeItsTimeline(ancestor) => {
            // Postgres writes the history of such a recovery as if it had been on the later timeline.
            tracing::info!(timeline = %ancestor, "the target lies before its timeline began: recovered along its ancestor");
            notes::again_along(site.volume, &purpose.asked, ancestor).await
        }
        Verdict::Short(short) => ended_short(site.volume, source, &purpose.asked, &short).await,
    }
}

/// Notes the segment that a replay did not get through, if it is there.
async fn ended_short(volume: &Volume, source: &Source, asked: &str, short: &Short) -> Result<(), String> {
    let survey = source.catalog.survey().await.ok();
    let object = survey.as_ref().and_then(|survey| survey.segment(short.segment));
    let keys: Vec<String> = object.map(|object| source.catalog.wal_key(object)).into_iter().collect();
    notes::damaged(volume, &source.catalog, asked, &keys, &short.to_string()).await
}

/// Makes what was recovered the data directory.
///
/// # Errors
/// For people.
pub async fn adopt(site: &Site<'_>) -> Result<(), String> {
    let (volume, nonce) = (site.volume.clone(), site.nonce.clone());
    off_runtime(move || {
        let recovered = volume.recovering();
        volume.adopt(&recovered, &incarnation(), &nonce).map_err(|e| chain(&e)).map(drop)
    })
    .await
}

/// The directory of an earlier try, if it was made for the same.
async fn resumed(site: &Site<'_>, fingerprint: &str) -> Result<Option<Purpose>, String> {
    let volume = site.volume.clone();
    let noted = off_runtime(move || volume.recovery().map_err(|e| chain(&e))).await?;
    let purpose = noted.and_then(|text| serde_json::from_str::<Purpose>(&text).ok());
    let Some(purpose) = purpose.filter(|purpose| purpose.asked == fingerprint) else { return Ok(None) };
    let fit = can_go_on(&site.place, &site.volume.recovering(), purpose.along).await;
    if !fit {
        tracing::warn!("the recovery was cut off as it ended: it is begun anew");
    }
    Ok(fit.then_some(purpose))
}
