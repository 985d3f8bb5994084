//! When an asynchronous cluster may lose what it acknowledged: while the only volume that has it cannot be read.
//!
//! Synchronous replication has no such time, and the judge is not told of any.

use super::kinds::{Kind, kind};
use super::strike::Struck;

const SECOND: u64 = 1_000_000_000;
/// How long before a fault a row may have been acknowledged that it keeps from being streamed.
const BEFORE: u64 = 2 * SECOND;
/// How long after it the volume may still be out of reach.
const AFTER: u64 = 5 * SECOND;
/// How long a container waits for its restart when it was killed before.
const BACKED_OFF: u64 = 25 * SECOND;
/// How long after its last fault a standby may still be behind, or be cloned.
const CATCH_UP: u64 = 30 * SECOND;

type Span = (u64, u64);

impl Struck {
    fn known(&self) -> Option<&'static Kind> {
        kind(&self.kind)
    }

    fn is_container_killed(&self) -> bool {
        matches!(self.kind.as_str(), "kill_manager" | "kill_pod" | "kill_container")
    }

    /// A volume went with it, for ever.
    #[must_use]
    pub fn took_a_volume(&self) -> bool {
        matches!(self.kind.as_str(), "lose_volume" | "lose_primary_volume")
    }

    /// Spans in which what was acknowledged may be on volumes alone of which none could be read then: the primary's, and
    /// that of whoever took over from it, if it met the same; `members` are all pods of the cluster, as faults are told
    /// them.
    #[must_use]
    pub fn unreadable(all: &[Self], members: &[String]) -> Vec<Span> {
        let hidden: Vec<(&Self, u64)> = all
            .iter()
            .enumerate()
            .filter(|(_, one)| one.primary)
            .filter_map(|(index, one)| Some((one, one.hidden_until(all.iter().take(index))?)))
            .collect();
        let span = |(one, until): &(&Self, u64)| {
            let together = hidden.iter().filter(|(other, end)| other.from <= *until && one.from <= *end);
            let pods: Vec<&str> = together.map(|(other, _)| other.pod.as_str()).collect();
            let since = alone_since(one, &pods, all, members).unwrap_or(one.from);
            (since.min(one.from).saturating_sub(BEFORE), *until)
        };
        hidden.iter().map(span).collect()
    }

    /// Until when its pod's volume cannot be read for it, if it is of that kind.
    fn hidden_until<'a>(&self, mut earlier: impl Iterator<Item = &'a Self>) -> Option<u64> {
        if self.known().is_some_and(|kind| kind.harm.hides()) {
            return Some(self.until.saturating_add(AFTER));
        }
        // The kubelet makes it wait, and the others do not wait that long.
        let again =
            self.is_container_killed() && earlier.any(|other| other.is_container_killed() && other.pod == self.pod);
        again.then(|| self.from.saturating_add(BACKED_OFF))
    }

    /// While this standby may lack what the primary acknowledges. One whose data were taken away lacks all of before.
    fn behind(&self) -> Span {
        let from = if self.known().is_some_and(|kind| kind.ruins) { 0 } else { self.from };
        (from, self.until.saturating_add(CATCH_UP))
    }
}

/// Since when every instance may have lacked something that is not among the `hidden` ones, when `fault` hid the primary;
/// if all of them may have.
fn alone_since(fault: &Struck, hidden: &[&str], all: &[Struck], members: &[String]) -> Option<u64> {
    let lagging = |standby: &String| {
        let own = |other: &&Struck| other.pod == *standby;
        // What is put on the primary's own links and walsenders holds back all.
        let of_primary =
            |other: &&Struck| other.pod == fault.pod && other.from < fault.from && other.until > other.from;
        let spans = all.iter().filter(|other| own(other) || of_primary(other)).map(Struck::behind);
        since(spans.collect(), fault.from)
    };
    let others = members.iter().filter(|member| !hidden.contains(&member.as_str()));
    others.map(lagging).collect::<Option<Vec<u64>>>()?.into_iter().max()
}

/// The beginning of the unbroken time of these spans that `now` is in.
fn since(mut spans: Vec<Span>, now: u64) -> Option<u64> {
    spans.sort_unstable();
    let mut current: Option<Span> = None;
    for (from, until) in spans.into_iter().filter(|(from, _)| *from <= now) {
        current = match current {
            Some((begin, end)) if from <= end => Some((begin, end.max(until))),
            _ => Some((from, until)),
        };
    }
    current.filter(|(_, end)| *end >= now).map(|(begin, _)| begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(kind: &str, pod: &str, primary: bool, (from, until): (u64, u64)) -> Struck {
        let (kind, pod) = (kind.to_owned(), pod.to_owned());
        Struck { kind, pod, primary, from: from * SECOND, until: until * SECOND, done: String::new() }
    }

    fn spans(all: &[Struck]) -> Vec<(u64, u64)> {
        let members = ["a", "b", "c"].map(str::to_owned);
        Struck::unreadable(all, &members).into_iter().map(|(from, until)| (from / SECOND, until / SECOND)).collect()
    }

    #[test]
    fn a_hidden_primary_excuses_its_own_time_and_a_killed_or_a_standby_none() {
        assert_eq!(spans(&[struck("freeze_pod", "a", true, (100, 112))]), [(98, 117)]);
        assert_eq!(spans(&[struck("kill_postmaster", "a", true, (100, 100))]), []);
        assert_eq!(spans(&[struck("freeze_pod", "b", false, (100, 112))]), []);
        assert_eq!(spans(&[struck("disk_full", "a", true, (100, 112))]), [], "a full volume can be read");
    }

    #[test]
    fn a_container_that_is_killed_again_waits_for_its_restart() {
        let killed = |at| struck("kill_container", "a", true, (at, at));
        assert_eq!(spans(&[killed(100)]), []);
        assert_eq!(spans(&[killed(100), killed(120)]), [(118, 145)]);
    }

    #[test]
    fn what_a_standby_lacked_when_two_primaries_were_hidden_one_after_the_other_is_on_their_volumes_alone() {
        let late = struck("kill_postgres", "c", false, (90, 90));
        let (first, next) =
            (struck("lose_node", "b", true, (100, 115)), |at| struck("kill_manager", "a", true, (at, at)));
        assert_eq!(spans(&[next(50), late.clone(), first.clone(), next(107)]), [(88, 120), (88, 132)]);
        assert_eq!(spans(&[next(50), first.clone(), next(107)]), [(98, 120), (105, 132)], "the third has it");
        assert_eq!(
            spans(&[next(50), late, first, next(150)]),
            [(98, 120), (148, 175)],
            "the first could be read again"
        );
    }

    #[test]
    fn what_both_standbys_lacked_before_the_primary_was_hidden_is_on_its_volume_alone() {
        let hidden = || struck("freeze_pod", "a", true, (100, 112));
        let (b, c) = (struck("cut_from_all", "b", false, (80, 95)), struck("freeze_pod", "c", false, (90, 99)));
        assert_eq!(spans(&[b.clone(), c, hidden()]), [(88, 117)], "since the second of them");
        assert_eq!(spans(&[b.clone(), hidden()]), [(98, 117)], "the other one has it");
        let long_ago = struck("freeze_pod", "c", false, (10, 20));
        assert_eq!(spans(&[long_ago, b.clone(), hidden()]), [(98, 117)], "it has caught up");
        let lost = struck("lose_volume", "c", false, (97, 97));
        assert_eq!(spans(&[b, lost, hidden()]), [(78, 117)], "what only the lost volume had beside the primary's");
    }
}
