//! Services `-rw`, `-ro`, `-r` (CNPG's selectors).

use super::{ApplyError, Target};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use pgherd_core::cluster::ServiceKind;
use pgherd_proto::{labels, names};
use std::collections::BTreeMap;

pub(super) async fn create(target: &Target<'_>, kind: ServiceKind) -> Result<(), ApplyError> {
    let name = kind.name(&target.desired.name);
    let service = build(target, kind, name.clone());
    target.create(target.api::<Service>(), &service, &format!("service {name}")).await
}

pub(super) fn build(target: &Target<'_>, kind: ServiceKind, name: String) -> Service {
    let (key, value) = match kind {
        ServiceKind::Rw => (labels::INSTANCE_ROLE, labels::ROLE_PRIMARY),
        ServiceKind::Ro => (labels::INSTANCE_ROLE, labels::ROLE_REPLICA),
        ServiceKind::R => (labels::POD_ROLE, labels::POD_ROLE_INSTANCE),
    };
    let selector = [(labels::CLUSTER.to_owned(), target.desired.name.clone()), (key.to_owned(), value.to_owned())];
    let port = i32::from(names::POSTGRES_PORT);
    Service {
        metadata: target.meta(name),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(BTreeMap::from(selector)),
            ports: Some(vec![ServicePort {
                name: Some(names::SERVICE_PORT_NAME.to_owned()),
                port,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::Int(port)),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
