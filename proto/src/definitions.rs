//! The definitions of our kinds as an API server takes them.

use crate::backup::Backup;
use crate::cel;
use crate::cluster::Cluster;
use crate::database::Database;
use crate::database_role::DatabaseRole;
use crate::failover_quorum::FailoverQuorum;
use crate::image_catalog::{ClusterImageCatalog, ImageCatalog};
use crate::pooler::Pooler;
use crate::publication::Publication;
use crate::scheduled_backup::ScheduledBackup;
use crate::subscription::Subscription;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

/// Every kind of CNPG's.
pub const KINDS: [&str; 11] = [
    "Cluster",
    "Backup",
    "ScheduledBackup",
    "FailoverQuorum",
    "Pooler",
    "Database",
    "DatabaseRole",
    "Publication",
    "Subscription",
    "ImageCatalog",
    "ClusterImageCatalog",
];

/// The definition of a kind, with the rules that an API server can check by itself.
#[must_use]
pub fn definition(kind: &str) -> Option<CustomResourceDefinition> {
    let definition = match kind {
        "Cluster" => Cluster::crd(),
        "Backup" => Backup::crd(),
        "ScheduledBackup" => ScheduledBackup::crd(),
        "FailoverQuorum" => FailoverQuorum::crd(),
        "Pooler" => Pooler::crd(),
        "Database" => Database::crd(),
        "DatabaseRole" => DatabaseRole::crd(),
        "Publication" => Publication::crd(),
        "Subscription" => Subscription::crd(),
        "ImageCatalog" => ImageCatalog::crd(),
        "ClusterImageCatalog" => ClusterImageCatalog::crd(),
        _ => return None,
    };
    Some(acceptable(definition))
}

/// All of them.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    KINDS.into_iter().filter_map(definition).collect()
}

fn acceptable(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            without_empty_defaults(schema);
            cel::write(&definition.spec.names.kind, schema);
        }
    }
    definition
}

/// A text that is absent is read as the empty one. As a default it says nothing, it contradicts a `minLength`, and an
/// API server refuses a definition whose defaults are not valid.
fn without_empty_defaults(schema: &mut JSONSchemaProps) {
    schema.default = schema.default.take().filter(|default| default.0 != "");
    schema.properties.iter_mut().flatten().for_each(|(_, inner)| without_empty_defaults(inner));
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(inner)) => without_empty_defaults(inner),
        Some(JSONSchemaPropsOrArray::Schemas(all)) => all.iter_mut().for_each(without_empty_defaults),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(inner)) = &mut schema.additional_properties {
        without_empty_defaults(inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::contradictions;
    use serde_json::Value;

    /// Calls `visit` with each schema in `schema`, from the outside in.
    fn each(schema: &Value, visit: &mut dyn FnMut(&Value)) {
        visit(schema);
        schema["properties"].as_object().into_iter().flatten().for_each(|(_, inner)| each(inner, visit));
        schema.get("items").into_iter().for_each(|inner| each(inner, visit));
        schema.get("additionalProperties").into_iter().for_each(|inner| each(inner, visit));
    }

    #[test]
    fn every_default_is_valid_by_its_own_schema() {
        let mut seen = 0;
        for definition in definitions() {
            let definition = serde_json::to_value(definition).unwrap();
            let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap();
            each(schema, &mut |schema| {
                let Some(default) = schema.get("default") else { return };
                seen += 1;
                assert!(!default.is_null() || schema["nullable"] == true, "{schema}");
                assert_eq!(contradictions(schema, default, "default"), [], "{schema}");
            });
        }
        assert!(seen > 10, "only {seen} defaults");
    }
}
