//! What one try of a recovery leaves for the next: that its target is on another timeline, or that the archive is
//! damaged, so that nothing is fetched in vain while it is.

use super::Short;
use crate::effects::off_runtime;
use pgherd_backup::Survey;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::WalName;
use pgherd_postgres::dir::Volume;
use pgherd_postgres::files::write_durable;
use pgherd_telemetry::chain;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// An object that a replay did not get through.
#[derive(Debug, Serialize, Deserialize)]
struct Damaged {
    /// The recovery's fingerprint.
    asked: String,
    segment: String,
    /// The object as it was then: another one is worth another try.
    size: u64,
    stored: Option<i64>,
    why: String,
}

fn file(volume: &Volume, name: &str) -> PathBuf {
    volume.root().join("pgherd").join(name)
}

/// Notes that the next try is along another timeline, and lets it begin.
pub(super) async fn again_along(volume: &Volume, asked: &str, along: TimelineId) -> Result<(), String> {
    anew(volume, Some(("recovery-along", format!("{asked} {along}")))).await?;
    Err(format!("the target lies on timeline {along}: recovering along that one"))
}

/// The timeline that an earlier try found its target on.
pub(super) async fn noted_along(volume: &Volume, fingerprint: &str) -> Option<TimelineId> {
    let text = tokio::fs::read_to_string(file(volume, "recovery-along")).await.ok()?;
    let (asked, id) = text.trim().split_once(' ')?;
    (asked == fingerprint).then(|| id.parse().ok().map(TimelineId)).flatten()
}

/// Notes what a replay did not get through; what it came to is no use.
pub(super) async fn ended_short(
    volume: &Volume,
    asked: &str,
    short: &Short,
    survey: Option<&Survey>,
) -> Result<(), String> {
    let object = survey.and_then(|survey| seen(survey, &short.segment.to_string()));
    let note = object.and_then(|(size, stored)| {
        let (segment, why) = (short.segment.to_string(), short.to_string());
        serde_json::to_string(&Damaged { asked: asked.to_owned(), segment, size, stored, why }).ok()
    });
    anew(volume, note.map(|note| ("recovery-damaged", note))).await?;
    Err(short.to_string())
}

/// Why another try would end as an earlier one did: the object that it did not get through is still the same.
pub(super) async fn still_damaged(volume: &Volume, fingerprint: &str, survey: &Survey) -> Option<String> {
    let text = tokio::fs::read_to_string(file(volume, "recovery-damaged")).await.ok()?;
    let noted: Damaged = serde_json::from_str(&text).ok()?;
    let same = noted.asked == fingerprint && seen(survey, &noted.segment) == Some((noted.size, noted.stored));
    same.then(|| format!("{}. It is tried again once that object is another", noted.why))
}

fn seen(survey: &Survey, segment: &str) -> Option<(u64, Option<i64>)> {
    let is_it = |name: WalName| matches!(name, WalName::Segment(found) if found.to_string() == segment);
    let object = survey.wal.iter().find(|object| is_it(object.name))?;
    Some((object.size, object.stored.map(|time| time.micros())))
}

/// What was recovered is given up, and the note is there before.
async fn anew(volume: &Volume, note: Option<(&'static str, String)>) -> Result<(), String> {
    let at = volume.clone();
    let note = note.map(|(name, text)| (file(volume, name), text));
    off_runtime(move || {
        if let Some((path, text)) = note {
            write_durable(&path, text.as_bytes(), 0o600).map_err(|e| chain(&e))?;
        }
        at.discard_recovery().map_err(|e| chain(&e))
    })
    .await
}
