//! Whom a clone is taken from: a standby that streams from the leader spares it the work, where one will do.

use super::view::Leader;
use crate::lsn::Lsn;
use crate::timeline::TimelineId;
use core::fmt;

/// Whose data directory may be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sources {
    /// The leader's, or that of a standby of it.
    Any,
    /// The leader's: copies of standbys have failed.
    LeaderAlone,
}

/// What the leader says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderWord {
    /// The standbys that stream from it, by pod.
    pub streaming: Vec<String>,
    /// A slot of this instance's keeps the WAL that comes after the copy; or none is to. A copy of the leader itself is
    /// followed at once, that of a standby as far behind as that is.
    pub keeps_wal: bool,
}

/// What a standby says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its pod.
    pub name: String,
    /// Its pod's IP.
    pub address: String,
    /// The timeline that it replays.
    pub timeline: TimelineId,
    /// Its walreceiver works, and it has not been promoted.
    pub follows: bool,
    /// What it has flushed.
    pub flushed: Option<Lsn>,
}

/// Whose data directory is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The leader's.
    Leader(WhyLeader),
    /// This standby's.
    Standby {
        /// Its pod.
        name: String,
        /// Its pod's IP.
        address: String,
    },
}

/// Why the leader is not spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyLeader {
    /// Copies of standbys have failed.
    OthersFailed,
    /// It does not say whether it keeps the WAL that comes after the copy.
    Silent,
    /// It does not keep that WAL.
    KeepsNoWal,
    /// No standby streams on its timeline.
    NobodyElse,
}

impl fmt::Display for WhyLeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WhyLeader::OthersFailed => "copies of standbys have failed",
            WhyLeader::Silent => "the leader does not say who streams from it",
            WhyLeader::KeepsNoWal => "no slot on the leader keeps the WAL that comes after a copy of a standby yet",
            WhyLeader::NobodyElse => "no standby streams from the leader on its timeline",
        })
    }
}

/// Of the standbys that stream from `leader` on its timeline, by its word and by their own, the one with least to catch
/// up; the leader where there is none.
#[must_use]
pub fn choose_source(leader: &Leader, sources: Sources, word: Option<&LeaderWord>, offers: &[Offer]) -> Source {
    if sources == Sources::LeaderAlone {
        return Source::Leader(WhyLeader::OthersFailed);
    }
    let Some(word) = word else { return Source::Leader(WhyLeader::Silent) };
    let fit = |offer: &&Offer| {
        let streams = offer.follows && word.streaming.contains(&offer.name) && offer.name != leader.name;
        streams && offer.timeline == leader.timeline && offer.flushed.is_some() && !offer.address.is_empty()
    };
    let best = offers.iter().filter(fit).max_by_key(|offer| (offer.flushed, core::cmp::Reverse(&offer.name)));
    match best {
        None => Source::Leader(WhyLeader::NobodyElse),
        Some(_) if !word.keeps_wal => Source::Leader(WhyLeader::KeepsNoWal),
        Some(offer) => Source::Standby { name: offer.name.clone(), address: offer.address.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Term;

    fn leader() -> Leader {
        Leader {
            name: "c-1".into(),
            pod_uid: "u1".into(),
            address: "10.0.0.1".into(),
            term: Term(4),
            timeline: TimelineId(2),
            counts_me: true,
        }
    }

    fn word() -> LeaderWord {
        LeaderWord { streaming: vec!["c-2".into(), "c-3".into()], keeps_wal: true }
    }

    fn offer(name: &str, flushed: u64) -> Offer {
        let (name, address) = (name.to_owned(), format!("ip-{name}"));
        Offer { name, address, timeline: TimelineId(2), follows: true, flushed: Some(Lsn(flushed)) }
    }

    fn chosen(offers: &[Offer]) -> Source {
        choose_source(&leader(), Sources::Any, Some(&word()), offers)
    }

    fn standby(name: &str) -> Source {
        Source::Standby { name: name.to_owned(), address: format!("ip-{name}") }
    }

    #[test]
    fn the_standby_with_least_to_catch_up_spares_the_leader() {
        assert_eq!(chosen(&[offer("c-2", 100), offer("c-3", 200)]), standby("c-3"));
        assert_eq!(chosen(&[offer("c-3", 200), offer("c-2", 200)]), standby("c-2"), "of equals always the same");
    }

    #[test]
    fn a_standby_on_another_timeline_or_that_does_not_stream_from_the_leader_is_not_copied() {
        let nobody = Source::Leader(WhyLeader::NobodyElse);
        assert_eq!(chosen(&[]), nobody);
        assert_eq!(chosen(&[Offer { timeline: TimelineId(1), ..offer("c-2", 100) }]), nobody);
        assert_eq!(chosen(&[Offer { timeline: TimelineId(3), ..offer("c-2", 100) }]), nobody);
        assert_eq!(chosen(&[Offer { follows: false, ..offer("c-2", 100) }]), nobody);
        assert_eq!(chosen(&[Offer { flushed: None, ..offer("c-2", 100) }]), nobody);
        assert_eq!(chosen(&[offer("c-4", 100)]), nobody, "the leader does not know of it");
        let stale = Offer { timeline: TimelineId(1), ..offer("c-3", 900) };
        assert_eq!(chosen(&[stale, offer("c-2", 100)]), standby("c-2"));
    }

    #[test]
    fn the_leader_is_not_spared_where_it_would_not_keep_the_wal_that_follows_or_does_not_say() {
        let offers = [offer("c-2", 100)];
        let of = |word: Option<&LeaderWord>| choose_source(&leader(), Sources::Any, word, &offers);
        assert_eq!(of(Some(&LeaderWord { keeps_wal: false, ..word() })), Source::Leader(WhyLeader::KeepsNoWal));
        assert_eq!(of(None), Source::Leader(WhyLeader::Silent));
    }

    #[test]
    fn after_copies_of_standbys_have_failed_the_leader_is_copied() {
        let source = choose_source(&leader(), Sources::LeaderAlone, Some(&word()), &[offer("c-2", 100)]);
        assert_eq!(source, Source::Leader(WhyLeader::OthersFailed));
    }
}
