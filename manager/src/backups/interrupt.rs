//! What takes this instance away from its backup: postgres is to stop, or another primary takes over.

use crate::context::Context;
use crate::effects::position;
use core::time::Duration;
use pgherd_core::backup::CutOff;
use pgherd_core::timeline::TimelineId;
use std::sync::atomic::Ordering;

/// Between two looks at whether postgres is to stop: a session of ours must not be what it waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Returns once it cannot go on, for reasons of this instance.
pub(super) async fn interrupted(cx: &Context) -> CutOff {
    let leader = cx.following.borrow().clone().map(|leader| leader.pod_uid);
    // Where it is, not where it was last sampled: right after a failover that is the timeline of before.
    let begun = position(cx).await.ok().map(|at| at.timeline);
    loop {
        if cx.leaving.load(Ordering::Relaxed) || cx.running().is_none() {
            return CutOff::Stopped;
        }
        let present = cx.following.borrow().clone();
        if let Some(present) =
            present.filter(|present| leader.as_ref().is_some_and(|leader| *leader != present.pod_uid))
        {
            return CutOff::Promoted(present.name);
        }
        let noted = *cx.timeline.borrow();
        if let Some(from) = left(begun, noted) {
            return CutOff::NewTimeline { from, to: noted };
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The timeline that a backup began on, if it was left since. What is noted is a sample, which may be of before that.
fn left(begun: Option<TimelineId>, noted: TimelineId) -> Option<TimelineId> {
    begun.filter(|begun| noted > *begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_before_the_backup_overtakes_nobody() {
        assert_eq!(left(None, TimelineId(2)), None, "what it began on is not known: its own label tells in the end");
        assert_eq!(left(Some(TimelineId(2)), TimelineId(1)), None, "it began on a later one than was noted");
        assert_eq!(left(Some(TimelineId(2)), TimelineId(2)), None);
        assert_eq!(left(Some(TimelineId(2)), TimelineId(3)), Some(TimelineId(2)));
    }
}
