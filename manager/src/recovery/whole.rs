//! Whether a recovery to the end of an archive has replayed all WAL that the archive had when it began. Postgres takes
//! a record that it cannot read, and a segment that is gone, for the end, and would leave out all that came after it.

use super::replay::Course;
use core::time::Duration;
use pgherd_backup::WalGetError;
use pgherd_core::archive::Backoff;
use pgherd_core::backup::Target;
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::History;
use pgherd_core::wal::{SegmentName, WalName, record};
use pgherd_objectstore::Then;
use pgherd_telemetry::chain;
use std::fmt;
use std::time::Instant;

const PAUSES: Backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(5) };
/// An outage now is no verdict; after this it is left to the next try.
const WITHIN: Duration = Duration::from_secs(60);

/// The replay ended before the archive does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// The segment that it did not get through.
    pub segment: SegmentName,
    why: String,
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// What a replay that left `along` at `reached` did not get through, if there is anything.
///
/// # Errors
/// For people: the archive does not say.
pub(super) async fn short(course: &Course<'_>, along: &History, reached: Lsn) -> Result<Option<Short>, String> {
    let (Target::Latest, Some(covered)) = (&course.target.target, course.covered) else { return Ok(None) };
    let (mut at, mut rest) = (reached, None);
    while at < covered.until {
        let segment = covered.segment_at(along, at);
        let ended = |how: &str| {
            let until = covered.until;
            let why = format!("replay ended at {reached}, though the archive has WAL up to {until}: {segment} {how}");
            Ok(Some(Short { segment, why }))
        };
        let content = match fetched(course, segment).await {
            Ok(Some(content)) => content,
            Ok(None) => return ended("was there when the recovery began, and is not now"),
            Err(error @ (WalGetError::Damaged { .. } | WalGetError::Size { .. })) => return ended(&chain(&error)),
            Err(error) => return Err(chain(&error)),
        };
        let offset = usize::try_from(covered.segment.offset_of(at)).map_err(|e| chain(&e))?;
        rest = match rest {
            None => record::begins(&content, offset),
            Some(left) => record::goes_on(&content, left),
        };
        if rest.is_none() {
            return ended("is damaged there, or not from the same history. A target before that can be recovered");
        }
        // All of the segment that can be replayed was: its last record ends in one that the archive does not have.
        at = covered.segment.start_of(covered.segment.segment_of(at).next());
    }
    Ok(None)
}

async fn fetched(course: &Course<'_>, segment: SegmentName) -> Result<Option<bytes::Bytes>, WalGetError> {
    let began = Instant::now();
    let mut tries = 0_u32;
    loop {
        match course.store.archive.get(WalName::Segment(segment)).await {
            Err(WalGetError::Store { source, .. }) if source.then() == Then::RetryLater && began.elapsed() < WITHIN => {
                tries = tries.saturating_add(1);
                tokio::time::sleep(PAUSES.pause(tries, rand::random())).await;
            }
            answer => return answer,
        }
    }
}
