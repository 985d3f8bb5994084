//! Pure: how a restore request is answered, by what was found and how long it took.

use super::control::RestoreMode;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::WalName;
use std::time::Duration;

/// How long an outage is put up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// On a standby: for all sources together.
    pub short: Duration,
    /// At promotion: for all sources together, since clients wait.
    pub promotion: Duration,
    /// In a recovery: until it is aborted.
    pub recovery: Duration,
    /// In a recovery: one try.
    pub attempt: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            short: Duration::from_secs(2),
            promotion: Duration::from_millis(250),
            recovery: Duration::from_secs(300),
            attempt: Duration::from_secs(60),
        }
    }
}

/// Damage is read once more, in case it was on the way; a damaged object is not mended by waiting.
const DAMAGE_FOR: Duration = Duration::from_secs(2);

/// What asking all sources came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// The content.
    Content(T),
    /// Every source said that there is no such file.
    ProvenMissing,
    /// At least one source could not say, and none had it.
    Unknown(String),
    /// It is there, and cannot be used.
    Damaged(String),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision<T> {
    /// Give it this.
    Serve(T),
    /// A history file that has to exist: its timeline was reserved once, and must not be used again.
    ServeStub,
    /// Say that it is not there; the reason is for the log, empty if it was proven.
    NotThere(String),
    /// Ask again.
    Wait,
    /// Stop the recovery.
    Abort(String),
}

/// The answer that needs no asking. At promotion, the timelines from the reserved one on are free and those between are
/// taken (invariant I2), and postgres has the history of its own in `pg_wal` (`here`), where it looks next; a standby
/// knows of none above its leader's. A recovery looks above its own timeline only for an id that is free.
pub(super) fn known<T>(mode: RestoreMode, name: WalName, here: bool) -> Option<Decision<T>> {
    let missing = || Some(Decision::NotThere(String::new()));
    match (mode, name) {
        // The first has none (PostgreSQL, "Timelines"), and no archive is asked for it.
        (_, WalName::History(TimelineId(1))) => missing(),
        (RestoreMode::Promoting { reserved, .. }, WalName::History(t)) if t >= reserved => missing(),
        // Before any stub: the stand-in of a history that there is would be written into the one of the new timeline.
        (RestoreMode::Promoting { .. }, WalName::History(_)) if here => missing(),
        (RestoreMode::Promoting { from, .. }, WalName::History(t)) if t > from => Some(Decision::ServeStub),
        (RestoreMode::Recovery { along, taken }, WalName::History(t)) if t > along && t <= taken => {
            Some(Decision::ServeStub)
        }
        (RestoreMode::Standby { newest: Some(newest) }, WalName::History(t)) if t > newest => missing(),
        _ => None,
    }
}

/// What is served in place of a segment that is proven not to be there: the end of the timeline that a recovery ends on,
/// which whoever left it has archived as `.partial` (PostgreSQL, "Timelines"). A target just before a promotion is
/// reached only with the first record of that segment. Of a timeline that is gone on from, its successor has a copy.
pub(super) fn stands_for(mode: RestoreMode, name: WalName) -> Option<WalName> {
    match (mode, name) {
        (RestoreMode::Recovery { along, .. }, WalName::Segment(segment)) if segment.timeline() == along => {
            Some(WalName::Partial(segment))
        }
        _ => None,
    }
}

/// Whether an outage is put up with: there are other ways, or there will be another time.
pub(super) fn is_patient(mode: RestoreMode) -> bool {
    matches!(mode, RestoreMode::Recovery { .. })
}

/// How long one round of asking may take.
pub(super) fn bound(mode: RestoreMode, bounds: Bounds) -> Duration {
    match mode {
        RestoreMode::Standby { .. } => bounds.short,
        RestoreMode::Promoting { .. } => bounds.promotion,
        RestoreMode::Recovery { .. } => bounds.attempt,
    }
}

/// What follows from a round of asking, `waited` after the request came in.
pub(super) fn decide<T>(mode: RestoreMode, found: Found<T>, waited: Duration, bounds: Bounds) -> Decision<T> {
    match found {
        Found::Content(content) => Decision::Serve(content),
        Found::ProvenMissing => Decision::NotThere(String::new()),
        Found::Unknown(why) => unusable(mode, why, waited < bounds.recovery),
        Found::Damaged(why) => unusable(mode, why, waited < bounds.recovery.min(DAMAGE_FOR)),
    }
}

/// A standby has other ways, or there will be another time; a recovery waits while that may help.
fn unusable<T>(mode: RestoreMode, why: String, may_help: bool) -> Decision<T> {
    match mode {
        RestoreMode::Standby { .. } | RestoreMode::Promoting { .. } => Decision::NotThere(why),
        RestoreMode::Recovery { .. } if may_help => Decision::Wait,
        RestoreMode::Recovery { .. } => Decision::Abort(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMOTING: RestoreMode = RestoreMode::Promoting { from: TimelineId(3), reserved: TimelineId(6) };
    const RECOVERY: RestoreMode = RestoreMode::Recovery { along: TimelineId(3), taken: TimelineId(5) };
    const SHORT: Duration = Duration::from_secs(1);
    const LONG: Duration = Duration::from_secs(301);

    fn outage() -> Found<()> {
        Found::Unknown("down".to_owned())
    }

    fn answer(mode: RestoreMode, name: &str, found: Found<()>, waited: Duration) -> Decision<()> {
        let name = name.parse().expect("a name");
        known(mode, name, false).unwrap_or_else(|| decide(mode, found, waited, Bounds::default()))
    }

    #[test]
    fn an_outage_is_not_there_on_a_standby_and_never_the_end_of_a_recovery() {
        let segment = "000000030000000000000001";
        let down = || Decision::NotThere("down".to_owned());
        assert_eq!(answer(RestoreMode::default(), segment, outage(), SHORT), down());
        assert_eq!(answer(PROMOTING, segment, outage(), SHORT), down());
        assert_eq!(answer(RECOVERY, segment, outage(), SHORT), Decision::Wait);
        assert_eq!(answer(RECOVERY, segment, outage(), LONG), Decision::Abort("down".to_owned()));
        assert_eq!(answer(RECOVERY, segment, Found::ProvenMissing, SHORT), Decision::NotThere(String::new()));
    }

    #[test]
    fn only_a_recovery_is_given_the_end_of_its_own_timeline_in_place_of_a_segment() {
        let stands = |mode, name: &str| stands_for(mode, name.parse().expect("a name")).map(|name| name.to_string());
        let own = "000000030000000000000001";
        assert_eq!(stands(RECOVERY, own), Some(format!("{own}.partial")));
        assert_eq!(stands(RECOVERY, "000000020000000000000001"), None, "its successor has a copy");
        assert_eq!(stands(RECOVERY, "00000003.history"), None);
        assert_eq!(stands(PROMOTING, own), None);
        assert_eq!(stands(RestoreMode::default(), own), None, "a standby waits for the rest of it");
    }

    #[test]
    fn damage_is_not_waited_for_as_an_outage_is() {
        let damaged = || Found::Damaged("bad".to_owned());
        let segment = "000000030000000000000001";
        assert_eq!(answer(RECOVERY, segment, damaged(), SHORT), Decision::Wait, "it is read once more");
        let later = Duration::from_secs(3);
        assert_eq!(answer(RECOVERY, segment, damaged(), later), Decision::Abort("bad".to_owned()));
        assert_eq!(answer(RECOVERY, segment, outage(), later), Decision::Wait);
        assert_eq!(answer(PROMOTING, segment, damaged(), later), Decision::NotThere("bad".to_owned()));
    }

    #[test]
    fn i2_at_promotion_postgres_finds_the_reserved_timeline_free_and_those_before_it_taken() {
        for (timeline, free) in [(4, false), (5, false), (6, true), (7, true)] {
            let name = WalName::History(TimelineId(timeline));
            let expected = if free { Decision::NotThere(String::new()) } else { Decision::ServeStub };
            assert_eq!(known::<()>(PROMOTING, name, false), Some(expected), "without asking anybody");
        }
        assert_eq!(known::<()>(RestoreMode::default(), WalName::History(TimelineId(9)), true), None);
    }

    #[test]
    fn i2_a_recovery_ends_on_a_timeline_that_no_archive_has() {
        for (timeline, expected) in
            [(3, None), (4, Some(Decision::ServeStub)), (5, Some(Decision::ServeStub)), (6, None)]
        {
            let name = WalName::History(TimelineId(timeline));
            assert_eq!(known::<()>(RECOVERY, name, false), expected, "{timeline}");
        }
    }

    #[test]
    fn the_first_timeline_has_no_history_that_anybody_could_be_asked_for() {
        for mode in [RestoreMode::default(), PROMOTING, RECOVERY] {
            let first = known::<()>(mode, WalName::History(TimelineId(1)), false);
            assert_eq!(first, Some(Decision::NotThere(String::new())));
        }
    }

    #[test]
    fn a_standby_follows_no_history_above_its_leaders() {
        let mode = RestoreMode::Standby { newest: Some(TimelineId(3)) };
        assert_eq!(known::<()>(mode, WalName::History(TimelineId(3)), true), None);
        assert_eq!(known::<()>(mode, WalName::History(TimelineId(4)), false), Some(Decision::NotThere(String::new())));
    }

    #[test]
    fn the_history_of_the_timeline_being_left_is_never_invented() {
        let missing = answer(PROMOTING, "00000003.history", Found::ProvenMissing, SHORT);
        assert_eq!(missing, Decision::NotThere(String::new()), "postgres then reads its own copy in pg_wal");
        for timeline in [3, 4, 5] {
            let here = known::<()>(PROMOTING, WalName::History(TimelineId(timeline)), true);
            assert_eq!(here, Some(missing.clone()), "where postgres has one, it reads that, and nobody is asked");
        }
    }

    #[test]
    fn what_was_found_is_served_in_every_mode() {
        for mode in [RestoreMode::default(), PROMOTING, RECOVERY] {
            let got = answer(mode, "00000003.history", Found::Content(()), LONG);
            assert_eq!(got, Decision::Serve(()));
        }
    }
}
