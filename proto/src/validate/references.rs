//! The rules of what refers to another part of the manifest: external clusters, plugins, replicas, imports.

use super::Report;
use crate::cluster::{ClusterSpec, Import, ImportKind};
use crate::finding::{Finding, Kind};
use pgherd_core::rules::sizes;
use std::collections::BTreeSet;

pub(super) fn check(report: &mut Report, spec: &ClusterSpec) {
    let mut seen = BTreeSet::new();
    for (index, external) in spec.external_clusters.iter().enumerate() {
        let path = format!("spec.externalClusters[{index}]");
        if !seen.insert(external.name.as_str()) {
            report.invalid(&format!("{path}.name"), "the list of external clusters contains duplicate values");
        }
        let connects = !external.connection_parameters.is_empty();
        if !connects && external.barman_object_store.is_none() && external.plugin.is_none() {
            report.invalid(&path, "one of connectionParameters, plugin and barmanObjectStore is required");
        }
    }
    let bootstrap = spec.bootstrap.as_ref();
    let known = |report: &mut Report, path: &str, name: &str| {
        if !spec.external_clusters.iter().any(|external| external.name == name) {
            report.invalid(path, &format!("External cluster {name} not found"));
        }
    };
    if let Some(source) = bootstrap.and_then(|bootstrap| bootstrap.pg_basebackup.as_ref()) {
        known(report, "spec.bootstrap.pg_basebackup.source", &source.source);
    }
    let initdb = bootstrap.and_then(|bootstrap| bootstrap.initdb.as_ref());
    if let Some(asked) = initdb.and_then(|initdb| initdb.import.as_ref()) {
        known(report, "spec.bootstrap.initdb.import.source.externalCluster", &asked.source.external_cluster);
        import(report, asked);
    }
    if let Some(replica) = &spec.replica {
        known(report, "spec.replica.source", &replica.source);
        for (field, name) in [("self", &replica.own_name), ("primary", &replica.primary)] {
            if let Some(name) = name.as_deref().filter(|name| !name.is_empty()) {
                known(report, &format!("spec.replica.{field}"), name);
            }
        }
        if let Some(delay) = &replica.min_apply_delay {
            report.rule("spec.replica.minApplyDelay", sizes::duration(delay));
        }
    }
    plugins(report, spec);
    if let Some(ttl) = spec.monitoring.as_ref().and_then(|monitoring| monitoring.metrics_queries_ttl.as_deref()) {
        report.rule("spec.monitoring.metricsQueriesTTL", sizes::duration(ttl));
    }
    let retained = spec.backup.as_ref().is_some_and(|backup| backup.retention_policy.is_some());
    if retained && spec.object_store().is_none() {
        let message = "nothing is archived that it could be about";
        report.push(Finding::new(Kind::Advice, "spec.backup.retentionPolicy", message));
    }
}

fn import(report: &mut Report, import: &Import) {
    let at = |field: &str| format!("spec.bootstrap.initdb.import.{field}");
    let (databases, roles) = (&import.databases, &import.roles);
    let star = |names: &[String]| names.iter().any(|name| name == "*");
    match import.kind {
        ImportKind::Microservice => {
            if databases.len() != 1 {
                report.invalid(
                    &at("databases"),
                    "You need to specify a single database for the `microservice` import type",
                );
            } else if databases.iter().any(|name| name.contains('*')) {
                report.invalid(&at("databases"), "You cannot specify any wildcard for the `microservice` import type");
            }
            if !roles.is_empty() {
                report.invalid(&at("roles"), "You cannot specify roles to import for the `microservice` import type");
            }
        }
        ImportKind::Monolith => {
            if databases.is_empty() {
                report.invalid(
                    &at("databases"),
                    "You need to specify at least a database for the `monolith` import type",
                );
            }
            if databases.len() > 1 && star(databases) {
                report.invalid(&at("databases"), "Wildcard import cannot be used along other database names");
            }
            if roles.len() > 1 && star(roles) {
                report.invalid(&at("roles"), "Wildcard import cannot be used along other role names");
            }
            if !import.post_import_application_sql.is_empty() {
                let message = "postImportApplicationSQL is not allowed for the `monolith` import type";
                report.invalid(&at("postImportApplicationSQL"), message);
            }
        }
    }
}

fn plugins(report: &mut Report, spec: &ClusterSpec) {
    let archivers = spec.plugins.iter().filter(|plugin| plugin.enabled && plugin.is_wal_archiver).count();
    if archivers > 1 {
        report.invalid("spec.plugins", "Cannot enable more than one WAL archiver plugin");
    }
    if archivers > 0 && spec.object_store().is_some() {
        report.invalid("spec.plugins", "Cannot enable a WAL archiver plugin when barmanObjectStore is configured");
    }
}
