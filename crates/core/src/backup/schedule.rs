//! What a ScheduledBackup is to do now.

use super::Timestamp;
use crate::rules::cron::Schedule;

/// A ScheduledBackup, as far as its decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleView {
    /// When it comes.
    pub schedule: Schedule,
    /// `immediate`: one at its creation.
    pub immediate: bool,
    /// `suspend`: none while it is true; slots that pass meanwhile are not made up for.
    pub suspended: bool,
    /// Its creation.
    pub created: Timestamp,
    /// `status.lastCheckTime`: slots up to there are settled.
    pub checked: Option<Timestamp>,
    /// A Backup of it is not done yet. The slot waits for that, and those that come meanwhile are one with it.
    pub busy: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleStep {
    /// Make a Backup for this slot, then note that all until now is settled. The name comes from the slot: doing it
    /// again makes no second one.
    Take {
        /// The slot; for an immediate one, the creation.
        slot: Timestamp,
        /// It is the one at the creation.
        immediate: bool,
    },
    /// Note that all until now is settled.
    Settle,
    /// Nothing, until then.
    Wait {
        /// The next slot, if it can be told.
        until: Option<Timestamp>,
    },
}

/// Decides.
#[must_use]
pub fn plan_schedule(view: &ScheduleView, now: Timestamp) -> ScheduleStep {
    let since = view.checked.unwrap_or(view.created);
    let next = || view.schedule.next_after(since);
    if view.suspended {
        let passed = view.checked.is_some() && next().is_some_and(|slot| slot <= now);
        return if passed { ScheduleStep::Settle } else { ScheduleStep::Wait { until: None } };
    }
    if view.busy {
        return ScheduleStep::Wait { until: next() };
    }
    if view.immediate && view.checked.is_none() {
        return ScheduleStep::Take { slot: view.created, immediate: true };
    }
    match view.schedule.last_due(since, now) {
        Some(slot) => ScheduleStep::Take { slot, immediate: false },
        None if view.checked.is_none() => ScheduleStep::Settle,
        None => ScheduleStep::Wait { until: next() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Every day at two, checked yesterday.
    fn daily() -> ScheduleView {
        ScheduleView {
            schedule: "0 2 * * *".parse().unwrap(),
            immediate: false,
            suspended: false,
            created: at("2026-11-20 12:00:00"),
            checked: Some(at("2026-11-27 02:00:03")),
            busy: false,
        }
    }

    #[test]
    fn a_slot_is_taken_when_it_comes_and_missed_ones_are_one() {
        let view = daily();
        let wait = ScheduleStep::Wait { until: Some(at("2026-11-28 02:00:00")) };
        assert_eq!(plan_schedule(&view, at("2026-11-28 01:59:59")), wait);
        let take = |slot: &str| ScheduleStep::Take { slot: at(slot), immediate: false };
        assert_eq!(plan_schedule(&view, at("2026-11-28 02:00:01")), take("2026-11-28 02:00:00"));
        assert_eq!(plan_schedule(&view, at("2026-12-05 12:00:00")), take("2026-12-05 02:00:00"));
    }

    #[test]
    fn a_backup_that_is_not_done_holds_the_next_one_up_and_no_longer() {
        let (view, now) = (ScheduleView { busy: true, ..daily() }, at("2026-11-29 12:00:00"));
        assert!(matches!(plan_schedule(&view, now), ScheduleStep::Wait { .. }));
        assert!(matches!(plan_schedule(&ScheduleView { busy: false, ..view }, now), ScheduleStep::Take { .. }));
    }

    #[test]
    fn the_first_look_takes_an_immediate_one_and_else_only_what_came_since_the_creation() {
        let new = ScheduleView { checked: None, ..daily() };
        let now = at("2026-11-20 12:00:01");
        assert_eq!(plan_schedule(&new, now), ScheduleStep::Settle);
        let immediate = ScheduleView { immediate: true, ..new };
        assert_eq!(plan_schedule(&immediate, now), ScheduleStep::Take { slot: new.created, immediate: true });
        let late = plan_schedule(&new, at("2026-11-21 12:00:00"));
        assert_eq!(late, ScheduleStep::Take { slot: at("2026-11-21 02:00:00"), immediate: false });
    }

    #[test]
    fn slots_that_pass_while_it_is_suspended_are_not_made_up_for() {
        let view = ScheduleView { suspended: true, ..daily() };
        assert_eq!(plan_schedule(&view, at("2026-11-27 12:00:00")), ScheduleStep::Wait { until: None });
        assert_eq!(plan_schedule(&view, at("2026-11-28 12:00:00")), ScheduleStep::Settle);
        let resumed = ScheduleView { suspended: false, checked: Some(at("2026-11-28 12:00:00")), ..view };
        assert!(matches!(plan_schedule(&resumed, at("2026-11-28 12:00:01")), ScheduleStep::Wait { .. }));
        let never = ScheduleView { suspended: true, immediate: true, checked: None, ..daily() };
        assert_eq!(plan_schedule(&never, at("2026-11-28 12:00:00")), ScheduleStep::Wait { until: None });
    }
}
