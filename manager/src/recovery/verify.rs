//! Shows that a recovery ended at its target, by postgres' own word: the new timeline's history says why it left the old.

use super::replay::{Course, Place};
use super::said;
use super::whole::{Short, short};
use crate::effects::off_runtime;
use core::time::Duration;
use pgherd_core::backup::RecoveryTarget;
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::{History, TimelineId};
use pgherd_core::wal::WalName;
use pgherd_postgres::control_data::{ClusterState, ControlData};
use pgherd_telemetry::chain;
use std::path::Path;

const CONTROL_DATA_WITHIN: Duration = Duration::from_secs(20);

/// What a recovery came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is at its target, on a timeline of its own.
    Reached,
    /// It stopped before the timeline that it was to go along had begun, on this ancestor of it.
    BeforeItsTimeline(TimelineId),
    /// It was to go to the end of the archive, and did not.
    Short(Short),
}

/// Whether a directory that was cut off can be gone on with: it still recovers, or it had ended for good. In between,
/// its signal is gone and its control file is not written yet: then nobody can tell.
pub async fn can_go_on(place: &Place<'_>, pgdata: &Path, along: TimelineId) -> bool {
    if pgdata.join("recovery.signal").exists() {
        return true;
    }
    control(place, pgdata).await.is_ok_and(|control| control.timeline > along)
}

async fn control(place: &Place<'_>, pgdata: &Path) -> Result<ControlData, String> {
    let bin_dir = place.major.bin_dir().map_err(|e| chain(&e))?;
    ControlData::read(place.reaper, &bin_dir, pgdata, CONTROL_DATA_WITHIN).await.map_err(|e| chain(&e))
}

/// Judges what a replay in `pgdata` that ended well came to.
///
/// # Errors
/// For people: it is not where it should be.
pub async fn verify(place: &Place<'_>, pgdata: &Path, course: &Course<'_>) -> Result<Verdict, String> {
    let control = control(place, pgdata).await?;
    if control.timeline <= course.taken.max(course.along) {
        return Err(format!("postgres ended on timeline {}, which is not a new one", control.timeline));
    }
    if !matches!(control.state, ClusterState::ShutDown | ClusterState::InProduction) {
        return Err(format!("postgres did not end its recovery: its state is {:?}", control.state));
    }
    let path = pgdata.join("pg_wal").join(WalName::History(control.timeline).to_string());
    let text = off_runtime(move || {
        std::fs::read_to_string(&path).map_err(|e| format!("failed to read {}: {e}", path.display()))
    })
    .await?;
    let (along, reached) = left(control.timeline, &text)?;
    if let Some(short) = short(course, &along, reached).await? {
        return Ok(Verdict::Short(short));
    }
    let verdict = judge(course.target, control.timeline, &text)?;
    tracing::info!(timeline = %control.timeline, history = text.trim(), "recovered");
    Ok(verdict)
}

fn judge(target: &RecoveryTarget, timeline: TimelineId, text: &str) -> Result<Verdict, String> {
    let history = History::parse(timeline, text).map_err(|e| chain(&e))?;
    let (along, stopped) = left(timeline, text)?;
    if along.begin_of(along.timeline()).is_some_and(|begin| stopped < begin) {
        return Ok(Verdict::BeforeItsTimeline(along.timeline_at(stopped)));
    }
    match history.ancestors().last() {
        Some(left) if target.is_reached_by(&left.reason) => Ok(Verdict::Reached),
        Some(left) => Err(format!("{} was not reached: postgres stopped {}", said(target), left.reason)),
        None => Err("the new timeline has no parent".to_owned()),
    }
}

/// The history of the timeline that was left last, and where.
fn left(timeline: TimelineId, text: &str) -> Result<(History, Lsn), String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let unclear = || format!("the history of timeline {timeline} cannot be understood");
    let (last, before) = lines.split_last().ok_or_else(unclear)?;
    let mut words = last.split_whitespace();
    let along = words.next().and_then(|id| id.parse().ok()).map(TimelineId).ok_or_else(unclear)?;
    let stopped: Lsn = words.next().and_then(|lsn| lsn.parse().ok()).ok_or_else(unclear)?;
    let history = History::parse(along, &before.join("\n")).map_err(|e| chain(&e))?;
    Ok((history, stopped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_core::backup::Target;

    #[test]
    fn the_new_timelines_history_tells_whether_the_target_was_reached() {
        let xid = RecoveryTarget { target: Target::Xid(731), ..RecoveryTarget::default() };
        let judge = |text: &str| judge(&xid, TimelineId(3), text);
        let reached = "1\t0/5000000\tno recovery target specified\n\n2\t0/7000148\tafter transaction 731\n";
        assert_eq!(judge(reached), Ok(Verdict::Reached));
        let not = judge("2\t0/7000148\tno recovery target specified\n").unwrap_err();
        assert!(not.contains("transaction 731 was not reached"), "{not}");
        assert!(judge("").is_err());
    }

    #[test]
    fn a_target_before_its_timeline_is_seen_by_a_history_that_goes_backwards() {
        let time = RecoveryTarget { target: Target::Immediate, ..RecoveryTarget::default() };
        let text = "1\t0/5000000\t\n2\t0/9000000\t\n3\t0/7000148\treached consistency\n";
        assert_eq!(judge(&time, TimelineId(4), text), Ok(Verdict::BeforeItsTimeline(TimelineId(2))));
        let text = "1\t0/5000000\t\n2\t0/9000000\t\n3\t0/4000148\treached consistency\n";
        assert_eq!(judge(&time, TimelineId(4), text), Ok(Verdict::BeforeItsTimeline(TimelineId(1))));
    }
}
