//! The rules of a Cluster.

use super::{Rule, change, has, length, number, rule, said_elsewhere, text};
use pgherd_core::rules::presence::{at_most_one, each_once};
use pgherd_core::rules::{initdb, synchronous, wal_sizes};
use serde_json::Value;

const CLUSTER: &str = "Cluster";
const SYNCHRONOUS: &str = "spec.postgresql.synchronous";

pub(super) const RULES: &[Rule] = &[
    rule(
        CLUSTER,
        "spec",
        "!(has(self.imageCatalogRef) && has(self.imageName))",
        "imageName and imageCatalogRef are mutually exclusive",
        |spec| at_most_one(&[has(spec, "imageCatalogRef"), has(spec, "imageName")]),
    ),
    rule(
        CLUSTER,
        "spec.imageCatalogRef",
        "self.kind in ['ImageCatalog', 'ClusterImageCatalog'] && (!has(self.apiGroup) || self.apiGroup == 'postgresql.cnpg.io')",
        "Only image catalogs are supported",
        |reference| {
            let kind = text(reference, "kind").unwrap_or_default();
            let group = text(reference, "apiGroup").unwrap_or("postgresql.cnpg.io");
            ["ImageCatalog", "ClusterImageCatalog"].contains(&kind) && group == "postgresql.cnpg.io"
        },
    ),
    rule(
        CLUSTER,
        "spec.bootstrap",
        "[has(self.initdb), has(self.recovery), has(self.pg_basebackup)].filter(given, given).size() <= 1",
        "Only one bootstrap method can be specified at a time",
        |bootstrap| at_most_one(&["initdb", "recovery", "pg_basebackup"].map(|method| has(bootstrap, method))),
    ),
    rule(
        CLUSTER,
        "spec.bootstrap.initdb",
        "!has(self.builtinLocale) || (has(self.localeProvider) && self.localeProvider == 'builtin')",
        "builtinLocale is only available when localeProvider is set to `builtin`",
        |initdb| locale(initdb).stranger().is_none_or(|(field, _)| field != "builtinLocale"),
    ),
    rule(
        CLUSTER,
        "spec.bootstrap.initdb",
        "!(has(self.icuLocale) || has(self.icuRules)) || (has(self.localeProvider) && self.localeProvider == 'icu')",
        "icuLocale and icuRules are only available when localeProvider is set to `icu`",
        |initdb| {
            let builtin = initdb::Locale { builtin_locale: false, ..locale(initdb) };
            builtin.stranger().is_none()
        },
    ),
    rule(
        CLUSTER,
        "spec.bootstrap.initdb",
        "!has(self.walSegmentSize) || self.walSegmentSize in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]",
        "WAL segment size must be a power of 2, from 1 to 1024 (MB)",
        |initdb| number(initdb, "walSegmentSize").is_none_or(|size| wal_sizes::segment(size).is_ok()),
    ),
    said_elsewhere(rule(
        CLUSTER,
        "spec.bootstrap.recovery.recoveryTarget",
        "[has(self.targetXID), has(self.targetName), has(self.targetLSN), has(self.targetTime), has(self.targetImmediate)].filter(given, given).size() <= 1",
        "Recovery target options are mutually exclusive",
        |target| {
            let fields = ["targetXID", "targetName", "targetLSN", "targetTime", "targetImmediate"];
            at_most_one(&fields.map(|field| has(target, field)))
        },
    )),
    said_elsewhere(rule(
        CLUSTER,
        "spec.postgresql.synchronous.number",
        "self > 0",
        "The number of synchronous replicas should be greater than zero",
        |number| number.as_i64().is_some_and(|number| synchronous::number(number, u32::MAX, 0).is_ok()),
    )),
    said_elsewhere(rule(
        CLUSTER,
        SYNCHRONOUS,
        "!has(self.dataDurability) || self.dataDurability != 'preferred' || ((!has(self.standbyNamesPre) || self.standbyNamesPre.size() == 0) && (!has(self.standbyNamesPost) || self.standbyNamesPost.size() == 0))",
        "dataDurability set to 'preferred' requires empty 'standbyNamesPre' and empty 'standbyNamesPost'",
        |asked| {
            let others = length(asked, "standbyNamesPre").saturating_add(length(asked, "standbyNamesPost"));
            synchronous::durability(text(asked, "dataDurability") == Some("preferred"), others).is_ok()
        },
    )),
    said_elsewhere(rule(
        CLUSTER,
        SYNCHRONOUS,
        "!(has(self.podFailureDomainKeys) && self.podFailureDomainKeys.size() > 0 && has(self.nodeFailureDomainKeys) && self.nodeFailureDomainKeys.size() > 0)",
        "podFailureDomainKeys and nodeFailureDomainKeys are mutually exclusive",
        |asked| {
            let count = |field| length(asked, field);
            synchronous::failure_domains(count("podFailureDomainKeys"), count("nodeFailureDomainKeys")).is_ok()
        },
    )),
    said_elsewhere(rule(
        CLUSTER,
        "spec",
        "!has(self.maxSyncReplicas) || self.maxSyncReplicas == 0 || self.maxSyncReplicas < self.instances",
        "maxSyncReplicas must be lower than the number of instances",
        |spec| match number(spec, "maxSyncReplicas") {
            None | Some(0) => true,
            Some(most) => synchronous::most(most, instances(spec)).is_ok(),
        },
    )),
    said_elsewhere(rule(
        CLUSTER,
        "spec",
        "!has(self.minSyncReplicas) || self.minSyncReplicas <= (has(self.maxSyncReplicas) ? self.maxSyncReplicas : 0)",
        "minSyncReplicas cannot be greater than maxSyncReplicas",
        |spec| {
            let count = |field| number(spec, field).unwrap_or(0);
            synchronous::least(count("minSyncReplicas"), count("maxSyncReplicas")).is_ok()
        },
    )),
    rule(
        CLUSTER,
        "spec",
        "!has(self.primaryUpdateStrategy) || self.primaryUpdateStrategy != 'supervised' || self.instances > 1",
        "supervised update strategy is not allowed for clusters with a single instance",
        |spec| text(spec, "primaryUpdateStrategy") != Some("supervised") || instances(spec) > 1,
    ),
    rule(
        CLUSTER,
        "spec",
        "!(has(self.ephemeralVolumeSource) && has(self.ephemeralVolumesSizeLimit) && has(self.ephemeralVolumesSizeLimit.temporaryData))",
        "Conflicting settings: provide either ephemeralVolumeSource or ephemeralVolumesSizeLimit.temporaryData, not both",
        |spec| {
            let limit = spec.get("ephemeralVolumesSizeLimit").is_some_and(|limit| has(limit, "temporaryData"));
            at_most_one(&[has(spec, "ephemeralVolumeSource"), limit])
        },
    ),
    rule(
        CLUSTER,
        "spec.postgresql.ldap",
        "!(has(self.bindAsAuth) && has(self.bindSearchAuth))",
        "only bind+search or bind method can be specified",
        |ldap| at_most_one(&[has(ldap, "bindAsAuth"), has(ldap, "bindSearchAuth")]),
    ),
    rule(
        CLUSTER,
        "spec.postgresql.ldap",
        "has(self.server) && self.server != ''",
        "ldap server cannot be empty if any other ldap parameters are specified",
        |ldap| text(ldap, "server").is_some_and(|server| !server.is_empty()),
    ),
    rule(
        CLUSTER,
        "spec.certificates",
        "!has(self.serverTLSSecret) || self.serverTLSSecret == '' || (has(self.serverCASecret) && self.serverCASecret != '')",
        "Server CA secret can't be empty when server TLS secret is provided",
        |given| !filled(given, "serverTLSSecret") || filled(given, "serverCASecret"),
    ),
    rule(
        CLUSTER,
        "spec.certificates",
        "!has(self.serverTLSSecret) || self.serverTLSSecret == '' || !has(self.serverAltDNSNames) || self.serverAltDNSNames.size() == 0",
        "Server alternative DNS names can't be defined when server TLS secret is provided",
        |given| !filled(given, "serverTLSSecret") || length(given, "serverAltDNSNames") == 0,
    ),
    rule(
        CLUSTER,
        "spec.certificates",
        "!has(self.replicationTLSSecret) || self.replicationTLSSecret == '' || (has(self.clientCASecret) && self.clientCASecret != '')",
        "Client CA secret can't be empty when client replication secret is provided",
        |given| !filled(given, "replicationTLSSecret") || filled(given, "clientCASecret"),
    ),
    rule(
        CLUSTER,
        "spec.replica",
        "!(has(self.enabled) && has(self.primary) && self.primary != '')",
        "replica mode enabled is not compatible with the primary field",
        |replica| at_most_one(&[has(replica, "enabled"), filled(replica, "primary")]),
    ),
    rule(
        CLUSTER,
        "spec.replica",
        "!(has(self.minApplyDelay) && has(self.promotionToken) && self.promotionToken != '')",
        "minApplyDelay cannot be applied with a promotion token",
        |replica| at_most_one(&[has(replica, "minApplyDelay"), filled(replica, "promotionToken")]),
    ),
    rule(
        CLUSTER,
        "spec.postgresql.extensions[]",
        "has(self.image) && has(self.image.reference)",
        "An image reference is required",
        |extension| extension.get("image").is_some_and(|image| has(image, "reference")),
    ),
    change(CLUSTER, "spec.postgresUID", "self == oldSelf", "UID is an immutable field in the spec", |old, new| {
        old == new
    }),
    change(CLUSTER, "spec.postgresGID", "self == oldSelf", "GID is an immutable field in the spec", |old, new| {
        old == new
    }),
    change(
        CLUSTER,
        "spec",
        "!has(oldSelf.walStorage) || has(self.walStorage)",
        "walStorage cannot be disabled once configured",
        |old, new| !has(old, "walStorage") || has(new, "walStorage"),
    ),
    change(
        CLUSTER,
        "spec",
        "!has(oldSelf.tablespaces) || oldSelf.tablespaces.size() == 0 || has(self.tablespaces)",
        "tablespaces section cannot be deleted once created",
        |old, new| length(old, "tablespaces") == 0 || has(new, "tablespaces"),
    ),
];

fn instances(spec: &Value) -> u32 {
    number(spec, "instances").and_then(|count| u32::try_from(count).ok()).unwrap_or(1)
}

fn filled(object: &Value, field: &str) -> bool {
    text(object, field).is_some_and(|text| !text.is_empty())
}

/// The fields about a locale, of an initdb or a Database.
pub(super) fn locale(object: &Value) -> initdb::Locale<'_> {
    initdb::Locale {
        provider: text(object, "localeProvider"),
        icu_locale: has(object, "icuLocale"),
        icu_rules: has(object, "icuRules"),
        builtin_locale: has(object, "builtinLocale"),
    }
}

/// Each value of a field in a list of objects is there once.
pub(super) fn once(list: &Value, field: &str) -> bool {
    each_once(list.as_array().into_iter().flatten().filter_map(|item| item.get(field)).map(ToString::to_string))
}

/// Whether it holds for an item of a list.
pub(super) fn any(list: &Value, holds: impl Fn(&Value) -> bool) -> bool {
    list.as_array().into_iter().flatten().any(holds)
}
