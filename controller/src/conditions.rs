//! Conditions of the objects that are ours to explain: which fields do nothing, and how conditions are kept and written.

use crate::clock;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use pgherd_proto::cluster::{condition, reason};
use pgherd_proto::{labels, unsupported};
use serde_json::{Value, json};

/// Type, whether it is true, reason, message.
pub type Wanted = (&'static str, bool, &'static str, String);

/// What of an object's spec and annotations is accepted and does nothing, by path.
#[must_use]
pub fn ignored(kind: &str, object: &Value) -> Vec<String> {
    let used = unsupported::used(kind, object).into_iter().filter(|finding| !finding.is_error());
    used.map(|finding| finding.path).collect()
}

/// The condition that names them; it is on every object of ours, so that silence is never taken for consent.
#[must_use]
pub fn unsupported_fields(ignored: &[String]) -> Wanted {
    if ignored.is_empty() {
        let message = "Every field of the spec is in force".to_owned();
        return (condition::UNSUPPORTED_FIELDS, false, reason::ALL_FIELDS_SUPPORTED, message);
    }
    let message = format!("accepted, but without effect in this version: {}", ignored.join(", "));
    (condition::UNSUPPORTED_FIELDS, true, reason::FIELDS_IGNORED, message)
}

/// Sets our conditions among those of others; the time of a transition stays while the status does.
#[must_use]
pub fn merge(mut all: Vec<Condition>, wanted: Vec<Wanted>, generation: Option<i64>) -> Vec<Condition> {
    for (kind, truth, reason, message) in wanted {
        let status = if truth { "True" } else { "False" };
        let position = all.iter().position(|condition| condition.type_ == kind);
        let known = position.and_then(|at| all.get(at));
        let same = known.is_some_and(|known| known.status == status);
        let since = known.filter(|_| same).map(|known| known.last_transition_time.clone());
        let unchanged = known.is_some_and(|known| same && known.reason == reason && known.message == message);
        let condition = Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: since.unwrap_or_else(clock::stamp),
            observed_generation: generation,
        };
        match position.and_then(|at| all.get_mut(at)) {
            Some(_) if unchanged => {}
            Some(slot) => *slot = condition,
            None => all.push(condition),
        }
    }
    all
}

/// Writes a status over the version of the object that it was made from; whoever wrote in between wakes us again.
/// Whether it was written.
pub async fn write_status<K>(client: &Client, object: &K, status: Value) -> bool
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + serde::de::DeserializeOwned
        + core::fmt::Debug,
{
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let body = json!({ "metadata": { "resourceVersion": object.resource_version() }, "status": status });
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let objects = Api::<K>::namespaced(client.clone(), &namespace);
    match objects.patch_status(&name, &params, &Patch::Merge(body)).await {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(kind = %K::kind(&()), %name, %namespace, %error, "the status was not written");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_nothing_is_named() {
        let schedule = json!({ "spec": { "schedule": "0 0 * * *", "cluster": { "name": "c" }, "later": true } });
        let (_, truth, reason, message) = unsupported_fields(&ignored("ScheduledBackup", &schedule));
        assert_eq!((truth, reason), (true, reason::FIELDS_IGNORED));
        assert!(message.ends_with(": spec.later"), "{message}");
        assert!(!unsupported_fields(&[]).1);
    }

    #[test]
    fn a_condition_keeps_the_time_of_its_transition_and_others_are_left_alone() {
        let foreign = Condition {
            type_: "ContinuousArchiving".into(),
            status: "True".into(),
            reason: "x".into(),
            message: String::new(),
            last_transition_time: clock::stamp(),
            observed_generation: None,
        };
        let first = merge(vec![foreign.clone()], vec![("Ready", false, "r", "a".into())], Some(1));
        let second = merge(first.clone(), vec![("Ready", false, "r", "b".into())], Some(2));
        assert_eq!(second[0], foreign);
        assert_eq!(second[1].last_transition_time, first[1].last_transition_time);
        assert_eq!(merge(second.clone(), vec![("Ready", false, "r", "b".into())], Some(3)), second);
    }
}
