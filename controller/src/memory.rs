//! What is remembered of a cluster between two looks: when something began, and what was computed a moment ago. Losing it
//! restarts the timers.

use crate::catalog::Chosen;
use crate::observe::certificates::Seen as CertificatesSeen;
use crate::rest::Rest;
use crate::rights::Rights;
use crate::tls::{CertificateNames, Sources};
use crate::validity::Verdict;
use core::time::Duration;
use pgherd_core::cluster::{Memory, ObjectKind, Observed};
use pgherd_core::election::why;
use pgherd_core::identity::{Nonce, PodUid};
use pgherd_core::lease::{HolderState, Term};
use pgherd_core::plan::{Stranding, strandings};
use pgherd_core::time::Instant;
use pgherd_proto::cluster::{Cluster, EmbeddedObjectMetadata, ImageCatalogRef};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// How long an object that was seen is taken to be there still; those that are watched are not remembered.
const SEEN_FOR: Duration = Duration::from_secs(600);

/// How old what was read of the user's certificates and catalogs may be.
const BROUGHT_FOR: Duration = Duration::from_secs(5);

/// How old what was computed of certificates may be: it depends on the time as well, by minutes.
const COMPUTED_FOR: Duration = Duration::from_secs(10);

/// Names, and the versions of the Secrets.
pub type CertificatesKey = (CertificateNames, Vec<Option<String>>);

/// Of what was wanted: it is compared, and nothing else.
type Mark = u64;

type LeaseKey = (Option<Nonce>, Term, HolderState);

/// One cluster's timers.
#[derive(Debug, Default)]
pub struct Remembered {
    lease: Option<(LeaseKey, Instant)>,
    version: Option<(String, Instant)>,
    election: Option<(String, Instant)>,
    unhealthy: Option<Instant>,
    lease_lost: Option<Instant>,
    asked: Option<(String, Instant)>,
    stranded: BTreeMap<PodUid, (Stranding, Instant)>,
    /// `minAvailable` of the replicas' budget, as it was last read or written.
    pub replica_budget: Option<u32>,
    /// Whether there is a FailoverQuorum was asked a while ago.
    pub looked_for_quorum: bool,
    rights: Option<Mark>,
    account: Option<Mark>,
    monitor: Option<Mark>,
    brought: Option<(Vec<String>, Sources, Instant)>,
    image: Option<(ImageCatalogRef, Chosen, Instant)>,
    judged: Option<(String, Box<Verdict>)>,
    certificates: Option<(CertificatesKey, CertificatesSeen, Instant)>,
    /// Nothing happens to it.
    pub rest: Option<Box<Rest>>,
    seen: BTreeSet<ObjectKind>,
    seen_since: Option<Instant>,
    /// What was told last by an Event, and when.
    pub told: Vec<(String, Instant)>,
}

impl Remembered {
    /// Takes note of a look, and answers with what is known about the time before it.
    pub fn note(&mut self, observed: &Observed, election_text: &str, now: Instant) -> Memory {
        let key = observed.lease.as_ref().map(|lease| {
            (lease.value.holder.as_ref().map(|holder| holder.nonce.clone()), lease.value.term, lease.value.state)
        });
        if self.lease.as_ref().map(|(known, _)| known) != key.as_ref() {
            self.lease = key.map(|key| (key, now));
        }
        let version = observed.lease.as_ref().map(|lease| &lease.version);
        if self.version.as_ref().map(|(known, _)| known) != version {
            self.version = version.map(|version| (version.clone(), now));
        }
        if self.election.as_ref().is_none_or(|(known, _)| known != election_text) {
            self.election = Some((election_text.to_owned(), now));
        }
        let lost = observed.lease.is_none() && observed.status.system_id.is_some();
        self.lease_lost = lost.then(|| self.lease_lost.unwrap_or(now));
        let target = asked_for(observed);
        if self.asked.as_ref().map(|(known, _)| known) != target {
            self.asked = target.cloned().map(|target| (target, now));
        }
        self.unhealthy = why(observed).and(self.unhealthy.or(Some(now)));
        let since = |pod: &PodUid, why: Stranding| match self.stranded.get(pod) {
            Some((known, since)) if *known == why => *since,
            _ => now,
        };
        self.stranded = strandings(observed).map(|(pod, why)| (pod.clone(), (why, since(&pod, why)))).collect();
        Memory {
            lease_since: self.lease.as_ref().map(|(_, since)| *since).unwrap_or_default(),
            election_since: self.election.as_ref().map(|(_, since)| *since).unwrap_or_default(),
            unhealthy_since: self.unhealthy,
            asked_since: self.asked.as_ref().map(|(_, since)| *since),
            lease_lost_since: self.lease_lost,
            version_since: self.version.as_ref().map(|(_, since)| *since),
            stranded_since: self.stranded.iter().map(|(pod, (_, since))| (pod.clone(), *since)).collect(),
        }
    }

    /// It rests from now on. What is computed anew in a moment is let go of: most of a thousand clusters rest.
    pub fn rests(&mut self, rest: Rest) {
        self.rest = Some(Box::new(rest));
        (self.judged, self.certificates, self.brought) = (None, None, None);
    }

    /// The lease is in this version, and as it was in all else.
    pub fn seen_renewed(&mut self, version: String, now: Instant) {
        if self.version.as_ref().is_none_or(|(known, _)| *known != version) {
            self.version = Some((version, now));
        }
    }

    /// The user's certificates as they were read a moment ago: few looks wait for them to be read again.
    #[must_use]
    pub fn brought(&self, names: &[String], now: Instant) -> Option<Sources> {
        let (known, sources, since) = self.brought.as_ref()?;
        (known == names && now.since(*since) < BROUGHT_FOR).then(|| sources.clone())
    }

    /// They were read now.
    pub fn remember_brought(&mut self, names: &[String], sources: Sources, now: Instant) {
        self.brought = Some((names.to_vec(), sources, now));
    }

    /// What was judged of this very version of the Cluster.
    #[must_use]
    pub fn judged(&self, cluster: &Cluster) -> Option<Verdict> {
        let (version, verdict) = self.judged.as_ref()?;
        (cluster.metadata.resource_version.as_ref() == Some(version)).then(|| Verdict::clone(verdict))
    }

    /// It was judged now.
    pub fn remember_judged(&mut self, cluster: &Cluster, verdict: &Verdict) {
        let version = cluster.metadata.resource_version.clone();
        self.judged = version.map(|version| (version, Box::new(verdict.clone())));
    }

    /// What was seen of these certificates a moment ago.
    #[must_use]
    pub(crate) fn certificates(&self, key: &CertificatesKey, now: Instant) -> Option<CertificatesSeen> {
        let (known, seen, since) = self.certificates.as_ref()?;
        (known == key && now.since(*since) < COMPUTED_FOR).then(|| seen.clone())
    }

    /// It was seen now.
    pub(crate) fn remember_certificates(&mut self, key: CertificatesKey, seen: CertificatesSeen, now: Instant) {
        self.certificates = Some((key, seen, now));
    }

    /// What a catalog said a moment ago.
    #[must_use]
    pub fn image(&self, reference: &ImageCatalogRef, now: Instant) -> Option<Chosen> {
        let (known, chosen, since) = self.image.as_ref()?;
        (known == reference && now.since(*since) < BROUGHT_FOR).then(|| chosen.clone())
    }

    /// What it said last, however long ago.
    #[must_use]
    pub fn image_of_before(&self, reference: &ImageCatalogRef) -> Option<Chosen> {
        self.image.as_ref().filter(|(known, ..)| known == reference).map(|(_, chosen, _)| chosen.clone())
    }

    /// It was read now.
    pub fn remember_image(&mut self, reference: &ImageCatalogRef, chosen: Chosen, now: Instant) {
        self.image = Some((reference.clone(), chosen, now));
    }

    /// Once other rights are wanted than before, what is stored of them is looked at again.
    pub fn rights_are_news(&mut self, wanted: &Rights, now: Instant) {
        let wanted = mark(wanted);
        if self.rights.replace(wanted) != Some(wanted) {
            let seen = self.seen(now);
            seen.remove(&ObjectKind::Role);
            seen.remove(&ObjectKind::RoleBinding);
        }
    }

    /// The same of what the managers' account shall have.
    pub fn account_is_news(&mut self, wanted: &EmbeddedObjectMetadata, now: Instant) {
        let wanted = mark(wanted);
        if self.account.replace(wanted) != Some(wanted) {
            self.seen(now).remove(&ObjectKind::ServiceAccount);
        }
    }

    /// The same of what the PodMonitor is to say.
    pub fn monitor_is_news(&mut self, wanted: &Value, now: Instant) {
        let wanted = mark(wanted);
        if self.monitor.replace(wanted) != Some(wanted) {
            self.seen(now).remove(&ObjectKind::PodMonitor);
        }
    }

    /// The unwatched objects that were there a while ago.
    pub fn seen(&mut self, now: Instant) -> &mut BTreeSet<ObjectKind> {
        if self.seen_since.is_none_or(|since| now.since(since) > SEEN_FOR) {
            self.seen.clear();
            self.looked_for_quorum = false;
            self.seen_since = Some(now);
        }
        &mut self.seen
    }

    /// Whether this is to be told again: the same words are not repeated for ten minutes.
    pub fn is_news(&mut self, words: &str, now: Instant) -> bool {
        self.told.retain(|(_, at)| now.since(*at) < SEEN_FOR);
        let known = self.told.iter().any(|(told, _)| told == words);
        if !known {
            self.told.push((words.to_owned(), now));
        }
        !known
    }
}

/// The same in one process for what is the same.
fn mark(wanted: &impl Serialize) -> Mark {
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(wanted).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

/// Who shall be the primary in place of one that is open.
fn asked_for(observed: &Observed) -> Option<&String> {
    let open = observed.lease.as_ref().filter(|lease| lease.value.state == HolderState::Open)?;
    let holder = open.value.held_by()?;
    observed.status.target_primary.as_ref().filter(|target| **target != holder.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_core::cluster::{ClaimPhase, PodView, VolumeView};
    use pgherd_core::lease::{Holder, LeaseRecord, Versioned};

    #[test]
    fn a_renewal_does_not_restart_the_timers_and_a_release_does() {
        let mut memory = Remembered::default();
        let holder = Holder { name: "c-1".into(), pod_uid: "u".into(), nonce: "n".into(), address: String::new() };
        let record =
            LeaseRecord { holder: Some(holder), term: Term(1), state: HolderState::Open, ..LeaseRecord::default() };
        let mut observed =
            Observed { lease: Some(Versioned { version: "1".into(), value: record }), ..Observed::default() };
        assert_eq!(memory.note(&observed, "", Instant(5)).lease_since, Instant(5));
        observed.lease.as_mut().unwrap().version = "2".into();
        assert_eq!(memory.note(&observed, "", Instant(6)).lease_since, Instant(5));
        observed.lease.as_mut().unwrap().value.state = HolderState::Released;
        let released = memory.note(&observed, "e", Instant(7));
        assert_eq!((released.lease_since, released.unhealthy_since), (Instant(7), Some(Instant(7))));
        assert_eq!(memory.note(&observed, "e", Instant(8)).unhealthy_since, Some(Instant(7)));
        assert_eq!(memory.note(&observed, "e", Instant(8)).election_since, Instant(7));
    }

    #[test]
    fn a_request_has_its_time_from_when_it_was_made_and_another_one_its_own() {
        let mut memory = Remembered::default();
        let holder = Holder { name: "c-1".into(), pod_uid: "u".into(), nonce: "n".into(), address: String::new() };
        let record = LeaseRecord { holder: Some(holder), state: HolderState::Open, ..LeaseRecord::default() };
        let mut observed =
            Observed { lease: Some(Versioned { version: "1".into(), value: record }), ..Observed::default() };
        let mut since = |target: Option<&str>, state, at| {
            observed.status.target_primary = target.map(str::to_owned);
            observed.lease.as_mut().unwrap().value.state = state;
            memory.note(&observed, "", Instant(at)).asked_since
        };
        assert_eq!(since(None, HolderState::Open, 1), None);
        assert_eq!(since(Some("c-1"), HolderState::Open, 2), None);
        assert_eq!(since(Some("c-2"), HolderState::Open, 3), Some(Instant(3)));
        assert_eq!(since(Some("c-2"), HolderState::Open, 9), Some(Instant(3)));
        assert_eq!(since(Some("c-3"), HolderState::Open, 10), Some(Instant(10)));
        assert_eq!(since(Some("c-3"), HolderState::Recovering, 11), None, "that is a failover");
    }

    #[test]
    fn a_stranded_pod_has_its_time_from_when_it_was_first_seen_so_and_anew_for_another_cause_or_pod() {
        let mut memory = Remembered::default();
        let mut since = |uid: &str, phase, message: Option<&str>, at| {
            let pod =
                PodView { serial: 2, uid: uid.into(), unschedulable: message.map(str::to_owned), ..PodView::default() };
            let volume = VolumeView { serial: 2, phase: Some(phase), ..VolumeView::default() };
            let observed = Observed { pods: vec![pod], volumes: vec![volume], ..Observed::default() };
            memory.note(&observed, "", Instant(at)).stranded_since.get(&uid.into()).copied()
        };
        let away = Some("0/1 nodes are available: 1 node(s) had volume node affinity conflict.");
        let more = Some("0/2 nodes are available: 2 node(s) had volume node affinity conflict.");
        assert_eq!(since("u", ClaimPhase::Bound, away, 1), Some(Instant(1)));
        assert_eq!(since("u", ClaimPhase::Bound, more, 2), Some(Instant(1)), "one node more is the same cause");
        assert_eq!(since("u", ClaimPhase::Bound, None, 3), None, "it has found a node");
        assert_eq!(since("u", ClaimPhase::Bound, more, 4), Some(Instant(4)));
        assert_eq!(since("u", ClaimPhase::Pending, more, 5), Some(Instant(5)));
        assert_eq!(since("v", ClaimPhase::Pending, more, 6), Some(Instant(6)));
    }

    #[test]
    fn the_same_words_are_told_once() {
        let mut memory = Remembered::default();
        assert!(memory.is_news("a", Instant(0)));
        assert!(!memory.is_news("a", Instant(1)));
        assert!(memory.is_news("a", Instant(601_000_000_000)));
    }
}
