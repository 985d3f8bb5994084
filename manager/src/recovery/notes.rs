//! What one try of a recovery leaves for the next: that its target is on another timeline, or that the archive is
//! damaged, so that nothing is fetched in vain while it is.

use crate::effects::off_runtime;
use pgherd_backup::Catalog;
use pgherd_core::timeline::TimelineId;
use pgherd_objectstore::ObjectInfo;
use pgherd_postgres::dir::Volume;
use pgherd_telemetry::chain;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Also what looks the same is tried again after so long: whoever mended it may have done so while it was looked at.
const TRY_AGAIN: Duration = Duration::from_secs(6 * 3600);

const DAMAGED: &str = "recovery-damaged";
const AGAIN: &str = ". It is fetched again once that object is another, or after six hours";

/// Objects that a recovery did not get through.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Damaged {
    /// The recovery's fingerprint.
    asked: String,
    /// As they were then: with another one it is worth another try.
    objects: Vec<Seen>,
    at: SystemTime,
    why: String,
}

/// What tells an object from another one at its place.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    key: String,
    size: u64,
    modified: Option<i64>,
    tag: Option<String>,
}

impl From<ObjectInfo> for Seen {
    fn from(ObjectInfo { key, size, modified, tag }: ObjectInfo) -> Self {
        Self { key, size, modified, tag }
    }
}

impl Damaged {
    fn is_due(&self, now: SystemTime) -> bool {
        // A clock that was put back does not make it wait.
        now.duration_since(self.at).map_or(true, |passed| passed >= TRY_AGAIN)
    }
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

/// Notes that these objects are damaged; what came of the try is no use. Nothing is noted if one of them has gone, or
/// cannot be looked at.
pub(super) async fn damaged(
    volume: &Volume,
    catalog: &Catalog,
    asked: &str,
    keys: &[String],
    why: &str,
) -> Result<(), String> {
    let note = seen(catalog, keys).await.ok().filter(|objects| !objects.is_empty() && objects.len() == keys.len());
    let note = note.and_then(|objects| {
        let (asked, why) = (asked.to_owned(), why.to_owned());
        serde_json::to_string(&Damaged { asked, objects, at: SystemTime::now(), why }).ok()
    });
    let again = if note.is_some() { AGAIN } else { "" };
    anew(volume, note.map(|note| (DAMAGED, note))).await?;
    Err(format!("{why}{again}"))
}

/// Why another try would end as an earlier one did: what it did not get through is still the same.
///
/// # Errors
/// For people: it cannot be looked at.
pub(super) async fn still_damaged(
    volume: &Volume,
    catalog: &Catalog,
    fingerprint: &str,
) -> Result<Option<String>, String> {
    let Ok(text) = tokio::fs::read_to_string(file(volume, DAMAGED)).await else { return Ok(None) };
    let Ok(noted) = serde_json::from_str::<Damaged>(&text) else { return Ok(None) };
    if noted.asked != fingerprint || noted.is_due(SystemTime::now()) {
        return Ok(None);
    }
    let keys: Vec<String> = noted.objects.iter().map(|object| object.key.clone()).collect();
    let same = seen(catalog, &keys).await? == noted.objects;
    Ok(same.then(|| format!("{}{AGAIN}", noted.why)))
}

/// Those that are there.
async fn seen(catalog: &Catalog, keys: &[String]) -> Result<Vec<Seen>, String> {
    let mut found = Vec::new();
    for key in keys {
        found.extend(catalog.object(key).await.map_err(|e| chain(&e))?.map(Seen::from));
    }
    Ok(found)
}

/// What was recovered is given up, and the note is there before.
async fn anew(volume: &Volume, note: Option<(&'static str, String)>) -> Result<(), String> {
    let at = volume.clone();
    off_runtime(move || {
        if let Some((name, text)) = note {
            at.write_own(name, &text).map_err(|e| chain(&e))?;
        }
        at.remove_unfinished().and_then(|()| at.discard_recovery()).map_err(|e| chain(&e))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_looks_the_same_is_tried_again_after_hours_and_when_the_clock_was_put_back() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let noted = Damaged { asked: String::new(), objects: Vec::new(), at, why: String::new() };
        assert!(!noted.is_due(at) && !noted.is_due(at + TRY_AGAIN / 2));
        assert!(noted.is_due(at + TRY_AGAIN) && noted.is_due(at - Duration::from_secs(1)));
    }

    #[test]
    fn another_tag_is_another_object_also_of_the_same_size_and_second() {
        let seen = |tag: &str| {
            let (key, tag) = ("c/wals/1".to_owned(), Some(tag.to_owned()));
            Seen::from(ObjectInfo { key, size: 7, modified: Some(1), tag })
        };
        assert_ne!(seen("a"), seen("b"));
        assert_eq!(seen("a"), seen("a"));
    }
}
