//! Services beside the three (`spec.managed.services.additional`): made, brought up to date, and taken away again.
//!
//! Each says in an annotation what it was made of, since the API server adds to what it stores.

use super::{ApplyError, Target, failed, gone_is_fine};
use crate::caches::Key;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use pgherd_core::cluster::ServiceKind;
use pgherd_proto::cluster::{ManagedService, ServiceSelector, ServiceUpdateStrategy};
use pgherd_proto::{labels, names};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is to be done about one of them.
#[derive(Debug)]
enum Change {
    Create(Box<Service>),
    Patch(Box<Service>),
    /// Taken away now, and made anew at the next look.
    Delete(String, Option<String>),
}

/// Makes them what the manifest says.
pub(super) async fn bring(target: &Target<'_>) -> Result<(), ApplyError> {
    let asked = target.spec.managed.as_ref().and_then(|managed| managed.services.as_ref());
    let asked = asked.map(|services| services.additional.as_slice()).unwrap_or_default();
    let key = Key { namespace: target.desired.namespace.clone(), name: target.desired.name.clone() };
    let stored = target.caches.services.of(&key);
    let stored: Vec<&Service> = stored.iter().map(AsRef::as_ref).collect();
    let wanted: Vec<(Service, ServiceUpdateStrategy)> =
        asked.iter().filter_map(|one| Some((build(target, one)?, one.update_strategy))).collect();
    let owner = target.desired.uid.0.as_str();
    let mut first = Ok(());
    for change in changes(&wanted, &stored, owner) {
        first = first.and(carry_out(target, change).await);
    }
    first
}

async fn carry_out(target: &Target<'_>, change: Change) -> Result<(), ApplyError> {
    let api = target.api::<Service>();
    match change {
        Change::Create(service) => {
            let name = service.name_any();
            target.create(api, &service, &format!("service {name}")).await
        }
        Change::Patch(service) => {
            let name = service.name_any();
            let patch = json!({ "spec": service.spec,
                "metadata": { "labels": service.metadata.labels, "annotations": service.metadata.annotations } });
            let params = PatchParams {
                field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let patched = api.patch(&name, &params, &Patch::Merge(patch)).await;
            patched.map_err(failed(format!("bring service {name} up to date"))).map(drop)
        }
        Change::Delete(name, uid) => {
            let preconditions = Some(Preconditions { uid, resource_version: None });
            let params = DeleteParams { preconditions, ..DeleteParams::default() };
            gone_is_fine(api.delete(&name, &params).await, format!("delete service {name}"))
        }
    }
}

/// Only those are touched that were made for this cluster out of `additional`.
fn changes(wanted: &[(Service, ServiceUpdateStrategy)], stored: &[&Service], owner: &str) -> Vec<Change> {
    let ours = |service: &&&Service| {
        service.annotations().contains_key(labels::MADE_OF)
            && service.owner_references().iter().any(|reference| reference.uid == owner)
    };
    let stored: Vec<&&Service> = stored.iter().filter(ours).collect();
    let delete = |service: &Service| Change::Delete(service.name_any(), service.uid());
    let mut all: Vec<Change> = stored
        .iter()
        .filter(|known| !wanted.iter().any(|(service, _)| service.name_any() == known.name_any()))
        .map(|known| delete(known))
        .collect();
    for (service, strategy) in wanted {
        let Some(known) = stored.iter().find(|known| known.name_any() == service.name_any()) else {
            all.push(Change::Create(Box::new(service.clone())));
            continue;
        };
        if known.annotations().get(labels::MADE_OF) != service.annotations().get(labels::MADE_OF) {
            all.push(match strategy {
                ServiceUpdateStrategy::Patch => Change::Patch(Box::new(service.clone())),
                ServiceUpdateStrategy::Replace => delete(known),
            });
        }
    }
    all
}

/// The template, with our selector and, where it says none, our port.
fn build(target: &Target<'_>, asked: &ManagedService) -> Option<Service> {
    let template = &asked.service_template;
    let name = template.metadata.name.clone()?;
    let kind = match asked.selector_type {
        ServiceSelector::Rw => ServiceKind::Rw,
        ServiceSelector::Ro => ServiceKind::Ro,
        ServiceSelector::R => ServiceKind::R,
    };
    let plain = super::services::build(target, kind, name.clone());
    let mut spec: ServiceSpec = template.spec.clone().unwrap_or_default();
    spec.selector = plain.spec.as_ref().and_then(|spec| spec.selector.clone());
    spec.type_.get_or_insert_with(|| "ClusterIP".to_owned());
    let ports = spec.ports.get_or_insert_default();
    let port = i32::from(names::POSTGRES_PORT);
    if !ports.iter().any(|known| known.port == port || known.name.as_deref() == Some(names::SERVICE_PORT_NAME)) {
        ports.push(ServicePort {
            name: Some(names::SERVICE_PORT_NAME.to_owned()),
            port,
            protocol: Some("TCP".to_owned()),
            target_port: Some(IntOrString::Int(port)),
            ..ServicePort::default()
        });
    }
    let mut metadata = target.meta(name);
    let with = |ours: &mut Option<BTreeMap<String, String>>, theirs: &BTreeMap<String, String>| {
        let ours = ours.get_or_insert_default();
        for (key, value) in theirs {
            ours.entry(key.clone()).or_insert_with(|| value.clone());
        }
    };
    with(&mut metadata.labels, &template.metadata.labels);
    with(&mut metadata.annotations, &template.metadata.annotations);
    metadata.labels.get_or_insert_default().insert(labels::IS_MANAGED.to_owned(), "true".to_owned());
    let made_of: Value = json!({ "labels": template.metadata.labels, "annotations": template.metadata.annotations,
        "spec": spec });
    metadata.annotations.get_or_insert_default().insert(labels::MADE_OF.to_owned(), made_of.to_string());
    Some(Service { metadata, spec: Some(spec), status: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::tests::{cluster, with_target};

    fn asked(text: Value) -> ManagedService {
        serde_json::from_value(text).unwrap()
    }

    fn built(kind: &str, spec: &Value) -> Service {
        let asked = asked(json!({ "selectorType": kind,
            "serviceTemplate": { "metadata": { "name": "db", "labels": { "team": "x", "cnpg.io/cluster": "evil" } },
                "spec": spec } }));
        with_target(&cluster(), |target| build(target, &asked).unwrap())
    }

    #[tokio::test]
    async fn the_template_gets_our_selector_and_our_port_and_cannot_take_our_labels() {
        let service = json!(built("ro", &json!({ "type": "LoadBalancer" })));
        assert_eq!(service["spec"]["selector"], json!({ "cnpg.io/cluster": "c", "cnpg.io/instanceRole": "replica" }));
        assert_eq!(
            (&service["spec"]["type"], &service["spec"]["ports"][0]["port"]),
            (&json!("LoadBalancer"), &json!(5432))
        );
        let labels = &service["metadata"]["labels"];
        assert_eq!((&labels["team"], &labels["cnpg.io/cluster"]), (&json!("x"), &json!("c")));
        let own = built("rw", &json!({ "ports": [{ "name": "pg", "port": 5432, "nodePort": 30000 }] }));
        assert_eq!(own.spec.unwrap().ports.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_differs_is_patched_or_replaced_what_is_gone_deleted_and_what_is_not_ours_left_alone() {
        let (old, new) = (built("rw", &json!({ "type": "NodePort" })), built("rw", &json!({ "type": "LoadBalancer" })));
        let mut stranger = old.clone();
        stranger.metadata.owner_references = None;
        let mut plain = old.clone();
        plain.annotations_mut().remove(labels::MADE_OF);
        let of = |wanted: &[(Service, ServiceUpdateStrategy)], stored: &[&Service]| {
            let said = changes(wanted, stored, "cu");
            said.iter().map(|change| format!("{change:?}").split('(').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let patch = (new.clone(), ServiceUpdateStrategy::Patch);
        let replace = (new.clone(), ServiceUpdateStrategy::Replace);
        assert_eq!(of(std::slice::from_ref(&patch), &[]), ["Create"]);
        assert_eq!(of(std::slice::from_ref(&patch), &[&new]), Vec::<String>::new());
        assert_eq!(of(&[patch], &[&old]), ["Patch"]);
        assert_eq!(of(&[replace], &[&old]), ["Delete"]);
        assert_eq!(of(&[], &[&old]), ["Delete"]);
        assert_eq!(of(&[], &[&stranger, &plain]), Vec::<String>::new());
    }
}
