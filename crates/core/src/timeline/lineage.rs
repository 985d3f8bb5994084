//! A history on its way between programs: the ids and the switch points, without the reasons.

use super::{History, HistoryError, Switch, TimelineId};
use crate::lease::WalPosition;
use serde::{Deserialize, Serialize};

/// A timeline and where its ancestors were left, oldest first. Not checked until it is read with
/// [`Lineage::history`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lineage {
    /// The timeline.
    pub timeline: TimelineId,
    /// Each ancestor, and the first byte that is not its own but its child's.
    pub ancestors: Vec<WalPosition>,
}

impl Lineage {
    /// What of a history is sent.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let ancestors = history.ancestors().iter();
        Self {
            timeline: history.timeline(),
            ancestors: ancestors.map(|a| WalPosition { timeline: a.timeline, lsn: a.lsn }).collect(),
        }
    }

    /// Where its timeline begins, on the one that was left for it; nothing of the first, or where no promotions could have
    /// led to it.
    #[must_use]
    pub fn begins(&self) -> Option<WalPosition> {
        self.history().ok()?;
        self.ancestors.last().copied()
    }

    /// The history, checked.
    ///
    /// # Errors
    /// [`HistoryError`] if no promotions could have led to it.
    pub fn history(&self) -> Result<History, HistoryError> {
        let switch = |left: &WalPosition| Switch { timeline: left.timeline, lsn: left.lsn, reason: String::new() };
        History::new(self.timeline, self.ancestors.iter().map(switch).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsn::Lsn;

    #[test]
    fn a_history_survives_its_way_but_for_the_reasons() {
        let history = History::parse(TimelineId(3), "1\t0/10\tno recovery target\n2\t0/20\t\n").unwrap();
        let text = serde_json::to_string(&Lineage::of(&history)).unwrap();
        let again: Lineage = serde_json::from_str(&text).unwrap();
        assert_eq!(again.history().unwrap().fork(&history).map(|fork| fork.timeline), Some(TimelineId(3)));
    }

    #[test]
    fn what_no_promotion_could_have_led_to_is_not_read() {
        let left = |timeline, lsn| WalPosition { timeline: TimelineId(timeline), lsn: Lsn(lsn) };
        let read = |timeline, ancestors| Lineage { timeline: TimelineId(timeline), ancestors }.history().is_ok();
        assert!(read(3, vec![left(1, 0x10), left(2, 0x20)]));
        for broken in [vec![left(2, 0x10), left(1, 0x20)], vec![left(1, 0x20), left(2, 0x10)], vec![left(3, 0x10)]] {
            assert!(!read(3, broken));
        }
    }
}
