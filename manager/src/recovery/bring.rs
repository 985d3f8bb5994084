//! A backup is chosen, brought back beside the data directory, and made ready to replay WAL.

use super::notes::{damaged, noted_along, still_damaged};
use super::said;
use super::site::{Order, Purpose, Site};
use super::source::Source;
use crate::configuration::system_user;
use crate::effects::off_runtime;
use core::time::Duration;
use pgherd_backup::{Backup, Destination, Survey};
use pgherd_core::archive::of_own_system;
use pgherd_core::backup::{Choice, TargetTimeline, choose};
use pgherd_core::pgconf;
use pgherd_core::wal::SegmentSize;
use pgherd_postgres::dir::PartialKind;
use pgherd_postgres::files::write_durable;
use pgherd_telemetry::chain;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Between two lines of progress.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// Objects of a backup that are fetched at once.
const WIDE: usize = 4;

/// Brings the backup back that leads to the target.
pub(super) async fn bring(site: &Site<'_>, order: Order<'_>) -> Result<Purpose, String> {
    let Order { source, fingerprint: asked, system, taken: elsewhere } = order;
    let survey = source.catalog.survey().await.map_err(|e| format!("{}: {}", source.place, chain(&e)))?;
    let noted = still_damaged(site.volume, &source.catalog, &asked).await;
    if let Some(why) = noted.map_err(|why| format!("{}: {why}", source.place))? {
        return Err(format!("{}: {why}", source.place));
    }
    let mut target = source.target.clone();
    if let Some(along) = noted_along(site.volume, &asked).await {
        target.timeline = TargetTimeline::Id(along);
    }
    let choice = choose(&survey.entries(), &survey.archived, &target)
        .map_err(|refusal| format!("{}: {}", source.place, chain(&refusal)))?;
    if let Some(own) = system {
        of_own_system(&choice.backup, choice.span.system, own).map_err(|other| chain(&other))?;
    }
    let major = choice.span.version / 10_000;
    if major != u32::from(site.place.major.number()) {
        return Err(format!(
            "backup {} is of PostgreSQL {major}, and this image has {}",
            choice.backup,
            site.place.major.number()
        ));
    }
    let along = choice.along.timeline();
    let highest = survey.archived.timelines().into_iter().max().unwrap_or(along);
    let taken = highest.max(elsewhere.await?);
    let covered = Some(choice.covers());
    let purpose = Purpose { asked, backup: choice.backup.to_string(), along, taken, covered };
    tracing::info!(backup = %choice.backup, timeline = %along, target = said(&target), from = source.place, "recovering");
    fetch(site, source, &survey, &choice, &purpose).await?;
    Ok(purpose)
}

async fn fetch(
    site: &Site<'_>,
    source: &Source,
    survey: &Survey,
    choice: &Choice,
    purpose: &Purpose,
) -> Result<(), String> {
    let backup = survey.backup(&choice.backup).ok_or("the chosen backup has gone")?;
    let sweeping = site.volume.clone();
    off_runtime(move || sweeping.remove_unfinished().and_then(|()| sweeping.discard_recovery()).map_err(|e| chain(&e)))
        .await?;
    let pgdata = site.volume.partial_path(PartialKind::Restore, site.nonce);
    let to = destination(backup, pgdata, &site.volume.tablespaces());
    let progress = Arc::clone(&to.progress);
    let telling = async {
        loop {
            tokio::time::sleep(SAY_EVERY).await;
            tracing::info!(bytes = progress.load(Ordering::Relaxed), "bringing the backup back");
        }
    };
    let restored = tokio::select! {
        restored = source.catalog.restore(backup, &to) => restored,
        () = telling => return Err("never".to_owned()),
    };
    let restored = match restored {
        Ok(restored) => restored,
        Err(error) => {
            let keys = error.at_fault(backup);
            return match keys.is_empty() {
                true => Err(chain(&error)),
                // None of it is of use, and it may be a long way.
                false => damaged(site.volume, &source.catalog, &purpose.asked, &keys, &chain(&error)).await,
            };
        }
    };
    tracing::info!(fetched = restored.fetched, written = restored.written, "the backup is back");
    let (volume, pgdata) = (site.volume.clone(), to.pgdata);
    let segment = choice.span.segment_size;
    let note = serde_json::to_string(purpose).map_err(|e| chain(&e))?;
    off_runtime(move || {
        make_ready(&pgdata, segment)?;
        volume.begin_recovery(&pgdata, &note).map_err(|e| chain(&e))
    })
    .await
}

/// Where a backup is brought back: its data directory, and each tablespace in a folder of its own below `spaces`.
pub fn destination(backup: &Backup, pgdata: PathBuf, spaces: &Path) -> Destination {
    let held = backup.info.iter().flat_map(|info| info.tablespaces.iter());
    Destination {
        pgdata,
        tablespaces: held.map(|space| (space.oid, spaces.join(space.oid.to_string()))).collect(),
        wide: WIDE,
        progress: Arc::default(),
    }
}

/// Configuration files for the time of the recovery, whatever was restored. Blocks.
///
/// # Errors
/// For people: which file cannot be written.
pub fn make_ready(pgdata: &Path, segment: SegmentSize) -> Result<(), String> {
    let main = pgdata.join("postgresql.conf");
    let restored = std::fs::read_to_string(&main).unwrap_or_default();
    for (name, text) in [
        ("postgresql.conf", pgconf::recovery::carried(&restored, segment)),
        ("postgresql.auto.conf", String::new()),
        ("pg_hba.conf", pgconf::hba::gated()),
        ("pg_ident.conf", pgconf::ident::render(&system_user(), &[])),
        ("recovery.signal", String::new()),
    ] {
        write_durable(&pgdata.join(name), text.as_bytes(), 0o600).map_err(|e| chain(&e))?;
    }
    Ok(())
}
