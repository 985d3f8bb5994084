//! Rules about who writes: one at a time, by the lease, and never back to an older timeline.

use crate::history::{Change, Event, Outcome, Where};
use std::collections::BTreeMap;

/// The instance and the timeline that it writes: a reign. Two reigns never overlap.
type Reign<'a> = (u32, &'a str);

fn written(events: &[Event]) -> impl Iterator<Item = (&Event, &Where)> {
    events.iter().filter(|event| event.outcome == Outcome::Acknowledged).filter_map(|event| {
        let at = event.at.as_ref().filter(|at| at.timeline > 0)?;
        Some((event, at))
    })
}

/// Acknowledged attempts that were sent when another reign of a later timeline had acknowledged already, and all of a
/// timeline that two instances wrote but the first one's: two primaries at once.
///
/// Sent after the other's answer had come: such an overlap does not hang on when an answer happened to arrive.
#[must_use]
pub fn double_writes(events: &[Event]) -> Vec<Event> {
    let mut first: BTreeMap<Reign<'_>, u64> = BTreeMap::new();
    for (event, at) in written(events) {
        let answered = first.entry((at.timeline, at.instance.as_str())).or_insert(event.ended);
        *answered = event.ended.min(*answered);
    }
    let late = |event: &Event, at: &Where| {
        first.iter().any(|((timeline, instance), answered)| {
            let later = *timeline > at.timeline && event.began > *answered;
            let own = first.get(&(at.timeline, at.instance.as_str()));
            let usurped = *timeline == at.timeline && *instance != at.instance && own.is_some_and(|own| own > answered);
            later || usurped
        })
    };
    written(events).filter(|(event, at)| late(event, at)).map(|(event, _)| event.clone()).collect()
}

/// Clients whose own attempts, one after the other on the same way, went back to an older timeline.
#[must_use]
pub fn backwards(events: &[Event]) -> Vec<Event> {
    let mut newest: BTreeMap<i32, u32> = BTreeMap::new();
    let mut found = Vec::new();
    let mut ordered: Vec<_> = written(events).collect();
    ordered.sort_by_key(|(event, _)| event.ended);
    for (event, at) in ordered {
        let seen = newest.entry(event.client).or_insert(0);
        if at.timeline < *seen {
            found.push(event.clone());
        }
        *seen = at.timeline.max(*seen);
    }
    found
}

/// Reigns that acknowledged something and that no version of the lease knows: somebody wrote without the right to.
/// Terms that rows carry must be the lease's, too.
#[must_use]
pub fn unleased(events: &[Event], lease: &[Change]) -> Vec<Where> {
    let mut found: BTreeMap<Reign<'_>, &Where> = BTreeMap::new();
    for (_, at) in written(events) {
        let known = lease.iter().any(|change| {
            change.timeline == at.timeline && change.holder == at.instance && (at.term == 0 || at.term == change.term)
        });
        if !known {
            found.entry((at.timeline, at.instance.as_str())).or_insert(at);
        }
    }
    found.into_values().cloned().collect()
}

/// Versions of the lease that go back in term or timeline, or give one term to two processes.
#[must_use]
pub fn lease_breaches(lease: &[Change]) -> Vec<Change> {
    let mut found = Vec::new();
    let mut holders: BTreeMap<u64, &str> = BTreeMap::new();
    let (mut term, mut timeline) = (0, 0);
    for change in lease {
        let holder = holders.entry(change.term).or_insert(&change.nonce);
        let usurped = !change.nonce.is_empty() && !holder.is_empty() && *holder != change.nonce;
        if change.term < term || change.timeline < timeline || usurped {
            found.push(change.clone());
        }
        if holder.is_empty() {
            *holder = &change.nonce;
        }
        (term, timeline) = (change.term.max(term), change.timeline.max(timeline));
    }
    found
}
