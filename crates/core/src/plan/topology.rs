//! Whether commits can wait for standbys that do not fail together with the primary: CNPG's condition
//! `SyncReplicationTopologySatisfied`. The choice itself is the primary's, see [`crate::sync::choose`].

use crate::cluster::{Desired, MemberPhase, Observed, PodView};
use serde::{Deserialize, Serialize};

/// How it is with the failure domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Domains {
    /// As many standbys as a commit waits for are in others than the primary's.
    Satisfied,
    /// They are fewer, so that standbys of the primary's own are waited for as well.
    TooFewElsewhere,
    /// It is not known which the primary's is.
    Unknown,
}

/// What the condition says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopologyNote {
    /// How it is.
    pub domains: Domains,
    /// For people.
    pub message: String,
}

/// Nothing, where nobody asked for failure domains to be told apart, or no commit waits.
pub(super) fn of(desired: &Desired, observed: &Observed) -> Option<TopologyNote> {
    if desired.domain_keys.is_empty() || desired.sync_number == 0 {
        return None;
    }
    let named = || observed.status.current_primary.as_deref().and_then(|name| observed.pod(name));
    let primary = observed.holder_pod().or_else(named);
    let keys = desired.domain_keys.keys.join(", ");
    let Some(primary) = primary.filter(|primary| !primary.place.is_empty()) else {
        let who = primary.map_or_else(|| "the primary".to_owned(), |primary| primary.name.clone());
        let of = if desired.domain_keys.of_nodes { "its node" } else { "its pod" };
        let message = format!("the failure domain of {who} is not known: {of} shows no label {keys}");
        return Some(TopologyNote { domains: Domains::Unknown, message });
    };
    let elsewhere: Vec<&str> = observed
        .pods
        .iter()
        .filter(|pod| pod.uid != primary.uid && follows(pod) && is_apart(desired, primary, pod))
        .map(|pod| pod.name.as_str())
        .collect();
    let there = u32::try_from(elsewhere.len()).unwrap_or(u32::MAX);
    let who = if elsewhere.is_empty() { "none".to_owned() } else { elsewhere.join(", ") };
    let (domains, consequence) = if there >= desired.sync_number {
        (Domains::Satisfied, "commits wait for no others")
    } else {
        (Domains::TooFewElsewhere, "standbys of its own are waited for as well")
    };
    let message = format!(
        "commits wait for {}; standbys in another failure domain ({keys}) than {}: {who}; {consequence}",
        desired.sync_number, primary.name
    );
    Some(TopologyNote { domains, message })
}

/// As far as can be told from outside the primary.
fn follows(pod: &PodView) -> bool {
    let standby = pod.report.as_ref().is_some_and(|report| report.phase == MemberPhase::Standby);
    pod.is_alive() && pod.ready && standby
}

/// A place that is not known may be the primary's.
fn is_apart(desired: &Desired, primary: &PodView, pod: &PodView) -> bool {
    let values = |pod: &PodView| -> Vec<String> {
        desired.domain_keys.keys.iter().map(|key| pod.place.get(key).cloned().unwrap_or_default()).collect()
    };
    !pod.place.is_empty() && values(pod) != values(primary)
}

#[cfg(test)]
mod tests {
    use super::super::tests::healthy;
    use super::*;
    use crate::cluster::DomainKeys;

    const ZONE: &str = "topology.kubernetes.io/zone";

    /// c-1, the primary, and c-2 in zone a, c-3 in zone b.
    fn two_zones(number: u32) -> (Desired, Observed) {
        let (mut desired, mut observed) = healthy();
        desired.domain_keys = DomainKeys { keys: vec![ZONE.into()], of_nodes: true };
        desired.sync_number = number;
        for (pod, zone) in observed.pods.iter_mut().zip(["a", "a", "b"]) {
            pod.place = [(ZONE.to_owned(), zone.to_owned())].into();
        }
        (desired, observed)
    }

    fn domains((desired, observed): &(Desired, Observed)) -> Option<Domains> {
        of(desired, observed).map(|note| note.domains)
    }

    #[test]
    fn it_is_satisfied_while_as_many_standbys_as_commits_wait_for_are_elsewhere() {
        let mut cluster = two_zones(1);
        let note = of(&cluster.0, &cluster.1).unwrap();
        assert_eq!(note.domains, Domains::Satisfied);
        assert!(note.message.contains("than c-1: c-3;"), "{}", note.message);
        assert_eq!(domains(&two_zones(2)), Some(Domains::TooFewElsewhere));
        cluster.1.pods[2].ready = false;
        let note = of(&cluster.0, &cluster.1).unwrap();
        assert_eq!(note.domains, Domains::TooFewElsewhere, "it is away");
        assert!(note.message.contains("than c-1: none; standbys of its own"), "{}", note.message);
    }

    #[test]
    fn a_place_that_is_not_known_counts_as_the_primarys_and_the_primarys_own_must_be_known() {
        let mut cluster = two_zones(1);
        cluster.1.pods[2].place.clear();
        assert_eq!(domains(&cluster), Some(Domains::TooFewElsewhere));
        let mut cluster = two_zones(1);
        cluster.1.pods[0].place.clear();
        assert_eq!(domains(&cluster), Some(Domains::Unknown));
        cluster.1.lease = None;
        cluster.1.status.current_primary = None;
        assert_eq!(domains(&cluster), Some(Domains::Unknown));
    }

    #[test]
    fn nothing_is_said_where_nobody_asked() {
        assert_eq!(domains(&two_zones(0)), None);
        let (mut desired, observed) = two_zones(1);
        desired.domain_keys = DomainKeys::default();
        assert_eq!(domains(&(desired, observed)), None);
    }
}
