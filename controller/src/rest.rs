//! Clusters in which nothing happens. Whatever matters to them wakes us; only the lease is not watched, since a thousand
//! of them are renewed every other second. So a routine look reads the lease and, while it goes on as it was, nothing else.

use crate::tls::{CertificateNames, trust_changed};
use core::time::Duration;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use pgherd_core::cluster::Observed;
use pgherd_core::election::why;
use pgherd_core::lease::{HolderState, LeaseRecord, Versioned};
use pgherd_core::plan::{Plan, Step};
use pgherd_core::time::Instant;
use pgherd_proto::cluster::{Cluster, phase};

/// Even so all of it is looked at this often: certificates grow old, and unwatched objects may have been changed.
const ALL_EVERY: Duration = Duration::from_secs(600);
/// Its Backups, schedules and drills are looked at this often, or when something of them is due.
const BESIDE_EVERY: Duration = Duration::from_secs(120);
/// In seconds: for so long after a change of an authority the certificates are in motion.
const IN_MOTION: i64 = 2 * 3600;

/// What is known of a cluster at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    cluster: String,
    lease: Versioned<LeaseRecord>,
    since: Instant,
    /// When the lease was first seen in its version.
    renewed: Instant,
    /// When what is beside it was looked at, and when the next of it is due.
    beside: Option<(Instant, Option<Instant>)>,
}

/// What is to be done beside a cluster at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing, until this time has passed, if anything is due at all.
    Nothing(Option<Duration>),
    /// Look at its Backups, schedules and drills.
    Look,
}

impl Rest {
    /// After a whole look: whether the cluster is well, nothing was to be done, and nothing is under way that only time
    /// carries on. `instances` is the Secret of the managers' certificates.
    #[must_use]
    pub fn after(
        cluster: &Cluster,
        observed: &Observed,
        plan: &Plan,
        instances: Option<&Secret>,
        wall: Timestamp,
        now: Instant,
    ) -> Option<Self> {
        let lease = observed.lease.clone()?;
        let healthy = cluster.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(phase::HEALTHY);
        // What is only said is planned again each time.
        let said = |step: &Step| matches!(step, Step::Event { .. });
        let idle = plan.steps.iter().all(said) && plan.again.is_none() && why(observed).is_none();
        let held = lease.value.state == HolderState::Open && lease.value.held_by().is_some();
        let trusted = observed.unusable_certificates.is_empty()
            && instances.is_some_and(|secret| {
                trust_changed(secret).is_none_or(|at| wall.as_second().saturating_sub(at.as_second()) > IN_MOTION)
            });
        // What the user brings is not watched: his catalogs and certificates.
        let namespace = cluster.namespace().unwrap_or_default();
        let names = CertificateNames::of(&cluster.name_any(), &namespace, &cluster.spec);
        let watched = names.brought.is_empty() && cluster.spec.image_catalog_ref.is_none();
        let version = cluster.metadata.resource_version.clone()?;
        (healthy && idle && held && trusted && watched).then_some(Self {
            cluster: version,
            lease,
            since: now,
            renewed: now,
            beside: None,
        })
    }

    /// Whether it may go on: with the cluster in this version, and not for ever.
    #[must_use]
    pub fn may_go_on(&self, version: &str, now: Instant) -> bool {
        version == self.cluster && now.since(self.since) < ALL_EVERY
    }

    /// Its Backups, schedules and drills were looked at now, and the next of them is due after `again`.
    pub fn looked_beside(&mut self, again: Option<Duration>, now: Instant) {
        self.beside = Some((now, again.map(|again| now.plus(again))));
    }

    /// Whether they are to be looked at now; else how long it is until the next of them is due, if any is.
    #[must_use]
    pub fn beside(&self, now: Instant) -> Beside {
        match self.beside {
            Some((at, due)) if now.since(at) < BESIDE_EVERY && due.is_none_or(|due| due > now) => {
                Beside::Nothing(due.map(|due| due.since(now)))
            }
            _ => Beside::Look,
        }
    }

    /// Whether it does, going by the lease that was read now: it was renewed, or is not near its end, and nothing else.
    pub fn goes_on(&mut self, lease: Option<&Versioned<LeaseRecord>>, now: Instant) -> bool {
        let Some(lease) = lease.filter(|lease| lease.value == self.lease.value) else { return false };
        if lease.version != self.lease.version {
            self.lease.version.clone_from(&lease.version);
            self.renewed = now;
        }
        now.since(self.renewed) <= lease.value.lease_duration / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use pgherd_core::lease::{Holder, Term};
    use pgherd_proto::cluster::{ClusterSpec, ClusterStatus};
    use pgherd_proto::secrets::TRUST_CHANGED;

    fn cluster() -> Cluster {
        let mut cluster = Cluster::new("c", ClusterSpec::default());
        cluster.metadata.resource_version = Some("7".into());
        cluster.status = Some(ClusterStatus { phase: Some(phase::HEALTHY.into()), ..ClusterStatus::default() });
        cluster
    }

    fn lease(version: &str, term: u64) -> Versioned<LeaseRecord> {
        let holder = Holder { name: "c-1".into(), pod_uid: "u".into(), nonce: "n".into(), address: String::new() };
        let record = LeaseRecord {
            holder: Some(holder),
            term: Term(term),
            state: HolderState::Open,
            lease_duration: Duration::from_secs(8),
            ..LeaseRecord::default()
        };
        Versioned { version: version.into(), value: record }
    }

    fn observed() -> Observed {
        Observed { lease: Some(lease("1", 3)), ..Observed::default() }
    }

    fn after(cluster: &Cluster, observed: &Observed, plan: &Plan, changed: Option<&str>) -> Option<Rest> {
        let data = changed.map(|at| (TRUST_CHANGED.to_owned(), ByteString(at.as_bytes().to_vec())));
        let secret = Secret { data: Some(data.into_iter().collect()), ..Secret::default() };
        let wall = "2026-03-01T12:00:00Z".parse().unwrap();
        Rest::after(cluster, observed, plan, Some(&secret), wall, Instant(0))
    }

    #[test]
    fn a_cluster_that_is_well_rests_while_its_lease_is_renewed_and_nothing_else_of_it_changes() {
        let mut rest = after(&cluster(), &observed(), &Plan::default(), None).unwrap();
        assert!(rest.may_go_on("7", Instant(0)));
        let at = |seconds: u64| Instant(seconds * 1_000_000_000);
        assert!(rest.goes_on(Some(&lease("2", 3)), at(30)) && rest.goes_on(Some(&lease("3", 3)), at(60)));
        assert!(rest.goes_on(Some(&lease("3", 3)), at(64)), "it is not near its end");
        assert!(!rest.goes_on(Some(&lease("3", 3)), at(65)), "it was not renewed");
        assert!(!rest.goes_on(Some(&lease("4", 4)), at(66)), "somebody took it");
        let mut fenced = lease("5", 3);
        fenced.value.state = HolderState::Recovering;
        assert!(!rest.goes_on(Some(&fenced), at(67)) && !rest.goes_on(None, at(67)));
    }

    #[test]
    fn it_does_not_rest_for_ever_nor_once_it_has_changed() {
        let rest = after(&cluster(), &observed(), &Plan::default(), None).unwrap();
        assert!(!rest.may_go_on("7", Instant(601_000_000_000)));
        assert!(!rest.may_go_on("8", Instant(0)));
    }

    #[test]
    fn what_is_beside_it_is_looked_at_when_it_is_due_and_now_and_then() {
        let mut rest = after(&cluster(), &observed(), &Plan::default(), None).unwrap();
        let at = |seconds: u64| Instant(seconds * 1_000_000_000);
        assert_eq!(rest.beside(at(0)), Beside::Look, "it was not looked at yet");
        rest.looked_beside(Some(Duration::from_secs(40)), at(0));
        assert_eq!(rest.beside(at(30)), Beside::Nothing(Some(Duration::from_secs(10))));
        assert_eq!(rest.beside(at(40)), Beside::Look);
        rest.looked_beside(Some(Duration::from_secs(86_400)), at(40));
        assert!(matches!(rest.beside(at(159)), Beside::Nothing(Some(_))));
        assert_eq!(rest.beside(at(160)), Beside::Look);
        rest.looked_beside(None, at(160));
        assert_eq!(rest.beside(at(161)), Beside::Nothing(None));
        assert_eq!(rest.beside(at(280)), Beside::Look);
    }

    #[test]
    fn whatever_is_under_way_or_not_watched_keeps_it_from_resting() {
        let all = |cluster: &Cluster, observed: &Observed, plan: &Plan| after(cluster, observed, plan, None).is_some();
        assert!(all(&cluster(), &observed(), &Plan::default()));
        let busy = Plan { steps: vec![Step::PrepareAuthority], ..Plan::default() };
        assert!(!all(&cluster(), &observed(), &busy), "something is to be done");
        let soon = Plan { again: Some(Duration::from_secs(3)), ..Plan::default() };
        assert!(!all(&cluster(), &observed(), &soon), "something is due");
        let mut ill = cluster();
        ill.status = None;
        assert!(!all(&ill, &observed(), &Plan::default()), "it is not well");
        let mut released = observed();
        released.lease.as_mut().unwrap().value.state = HolderState::Released;
        assert!(!all(&cluster(), &released, &Plan::default()), "nobody holds the lease");
        let unusable = Observed { unusable_certificates: vec!["one".into()], ..observed() };
        assert!(!all(&cluster(), &unusable, &Plan::default()), "a certificate cannot be used");
        let mut catalog = cluster();
        catalog.spec.image_catalog_ref = Some(Box::default());
        assert!(!all(&catalog, &observed(), &Plan::default()), "catalogs are not watched");
        let mut brought = cluster();
        brought.spec.certificates =
            Some(Box::new(serde_json::from_value(serde_json::json!({"serverTLSSecret": "mine"})).unwrap()));
        assert!(!all(&brought, &observed(), &Plan::default()), "nor are the user's Secrets");
    }

    #[test]
    fn certificates_in_motion_are_followed_until_they_rest() {
        let at = |changed| after(&cluster(), &observed(), &Plan::default(), Some(changed)).is_some();
        assert!(!at("2026-03-01T11:30:00Z"));
        assert!(at("2026-02-01T00:00:00Z"));
    }
}
