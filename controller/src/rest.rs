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
/// In seconds: for so long after a change of an authority the certificates are in motion.
const IN_MOTION: i64 = 2 * 3600;

/// What is known of a cluster at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    cluster: String,
    lease: Versioned<LeaseRecord>,
    since: Instant,
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
        (healthy && idle && held && trusted && watched).then_some(Self { cluster: version, lease, since: now })
    }

    /// Whether it may go on: of this cluster, and not for ever.
    #[must_use]
    pub fn may_go_on(&self, cluster: &Cluster, now: Instant) -> bool {
        cluster.metadata.resource_version.as_ref() == Some(&self.cluster) && now.since(self.since) < ALL_EVERY
    }

    /// Whether it does, going by the lease that was read now: it was renewed, and nothing else.
    pub fn goes_on(&mut self, lease: Option<&Versioned<LeaseRecord>>) -> bool {
        let goes_on = lease.is_some_and(|now| now.value == self.lease.value && now.version != self.lease.version);
        if let Some(lease) = lease.filter(|_| goes_on) {
            self.lease.version.clone_from(&lease.version);
        }
        goes_on
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
        let record =
            LeaseRecord { holder: Some(holder), term: Term(term), state: HolderState::Open, ..LeaseRecord::default() };
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
        assert!(rest.may_go_on(&cluster(), Instant(0)));
        assert!(rest.goes_on(Some(&lease("2", 3))) && rest.goes_on(Some(&lease("3", 3))));
        assert!(!rest.goes_on(Some(&lease("3", 3))), "it was not renewed");
        assert!(!rest.goes_on(Some(&lease("4", 4))), "somebody took it");
        let mut fenced = lease("5", 3);
        fenced.value.state = HolderState::Recovering;
        assert!(!rest.goes_on(Some(&fenced)) && !rest.goes_on(None));
    }

    #[test]
    fn it_does_not_rest_for_ever_nor_once_it_has_changed() {
        let rest = after(&cluster(), &observed(), &Plan::default(), None).unwrap();
        assert!(!rest.may_go_on(&cluster(), Instant(601_000_000_000)));
        let mut other = cluster();
        other.metadata.resource_version = Some("8".into());
        assert!(!rest.may_go_on(&other, Instant(0)));
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
