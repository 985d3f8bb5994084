//! The rules of the other kinds.

use super::cluster::{any, locale, once};
use super::{Rule, change, has, is_true, rule, said_elsewhere, text};
use pgherd_core::rules::names;
use pgherd_core::rules::presence::{all_or_none, at_most_one};
use serde_json::Value;

const DATABASE: &str = "Database";
const ROLE: &str = "DatabaseRole";

const UNIQUE_MAJORS: &str = "self.all(e, self.filter(f, f.major == e.major).size() == 1)";
const UNIQUE_KEYS: &str = "self.all(e, self.filter(f, f.key == e.key).size() == 1)";

/// A field that stays as it was first given.
const fn fixed(kind: &'static str, at: &'static str, message: &'static str) -> Rule {
    change(kind, at, "self == oldSelf", message, same)
}

fn same(old: &Value, new: &Value) -> bool {
    old == new
}

fn majors(images: &Value) -> bool {
    once(images, "major")
}

fn keys(images: &Value) -> bool {
    once(images, "key")
}

pub(super) const RULES: &[Rule] = &[
    fixed("Backup", "spec", "BackupSpec is immutable once set"),
    said_elsewhere(fixed("ScheduledBackup", "spec.cluster.name", "cluster name is immutable")),
    rule(
        "Pooler",
        "spec.pgbouncer",
        "has(self.authQuerySecret) == (has(self.authQuery) && self.authQuery != '')",
        "authQuery and authQuerySecret go together: give both or neither",
        |bouncer| {
            let query = text(bouncer, "authQuery").is_some_and(|query| !query.is_empty());
            all_or_none(&[has(bouncer, "authQuerySecret"), query])
        },
    ),
    rule(
        DATABASE,
        "spec",
        "!has(self.builtinLocale) || (has(self.localeProvider) && self.localeProvider == 'builtin')",
        "builtinLocale is only available when localeProvider is set to `builtin`",
        |spec| locale(spec).stranger().is_none_or(|(field, _)| field != "builtinLocale"),
    ),
    rule(
        DATABASE,
        "spec",
        "!(has(self.icuLocale) || has(self.icuRules)) || (has(self.localeProvider) && self.localeProvider == 'icu')",
        "icuLocale and icuRules are only available when localeProvider is set to `icu`",
        |spec| pgherd_core::rules::initdb::Locale { builtin_locale: false, ..locale(spec) }.stranger().is_none(),
    ),
    rule(
        DATABASE,
        "spec.name",
        "!(self in ['postgres', 'template0', 'template1'])",
        "the names postgres, template0 and template1 are reserved",
        |name| name.as_str().is_none_or(|name| names::database(name).is_ok()),
    ),
    fixed(DATABASE, "spec.name", "name is immutable"),
    fixed(DATABASE, "spec.template", "template is immutable"),
    fixed(DATABASE, "spec.encoding", "encoding is immutable"),
    fixed(DATABASE, "spec.locale", "locale is immutable"),
    fixed(DATABASE, "spec.localeProvider", "localeProvider is immutable"),
    fixed(DATABASE, "spec.localeCollate", "localeCollate is immutable"),
    fixed(DATABASE, "spec.localeCType", "localeCType is immutable"),
    fixed(DATABASE, "spec.icuLocale", "icuLocale is immutable"),
    fixed(DATABASE, "spec.icuRules", "icuRules is immutable"),
    fixed(DATABASE, "spec.builtinLocale", "builtinLocale is immutable"),
    fixed(DATABASE, "spec.collationVersion", "collationVersion is immutable"),
    rule(
        ROLE,
        "spec.name",
        "self != '' && !(self in ['postgres', 'streaming_replica']) && !self.startsWith('pg_') && !self.startsWith('cnpg_')",
        "the role names postgres and streaming_replica, and those that start with pg_ or cnpg_, are reserved",
        |name| name.as_str().is_none_or(|name| names::role(name).is_ok()),
    ),
    rule(
        ROLE,
        "spec",
        "!has(self.ensure) || self.ensure != 'absent'",
        "ensure: absent is not supported for DatabaseRole; delete the resource with databaseRoleReclaimPolicy: delete instead",
        |spec| text(spec, "ensure") != Some("absent"),
    ),
    rule(
        ROLE,
        "spec",
        "!has(self.passwordSecret) || !has(self.disablePassword) || !self.disablePassword",
        "passwordSecret and disablePassword are mutually exclusive",
        |spec| at_most_one(&[has(spec, "passwordSecret"), is_true(spec, "disablePassword")]),
    ),
    rule(
        ROLE,
        "spec",
        "!has(self.clientCertificate) || (has(self.clientCertificate.enabled) && !self.clientCertificate.enabled) || (has(self.login) && self.login)",
        "clientCertificate requires the role to have login enabled",
        |spec| {
            let asked = spec.get("clientCertificate").filter(|asked| !asked.is_null());
            asked.is_none_or(|asked| asked.get("enabled") == Some(&Value::Bool(false))) || is_true(spec, "login")
        },
    ),
    fixed(ROLE, "spec.name", "name is immutable"),
    fixed(ROLE, "spec.cluster", "cluster reference is immutable after creation"),
    rule(
        "Publication",
        "spec.target",
        "(has(self.allTables) && !has(self.objects)) || (!has(self.allTables) && has(self.objects))",
        "allTables and objects are mutually exclusive",
        |target| has(target, "allTables") != has(target, "objects"),
    ),
    rule(
        "Publication",
        "spec.target.objects",
        "!(self.exists(o, has(o.table) && has(o.table.columns)) && self.exists(o, has(o.tablesInSchema)))",
        "specifying a column list when the publication also publishes tablesInSchema is not supported",
        |objects| {
            let columns = |object: &Value| object.get("table").is_some_and(|table| has(table, "columns"));
            !(any(objects, columns) && any(objects, |object| has(object, "tablesInSchema")))
        },
    ),
    rule(
        "Publication",
        "spec.target.objects[]",
        "has(self.tablesInSchema) != has(self.table)",
        "tablesInSchema and table are mutually exclusive",
        |object| has(object, "tablesInSchema") != has(object, "table"),
    ),
    fixed("Publication", "spec.name", "name is immutable"),
    fixed("Publication", "spec.dbname", "dbname is immutable"),
    fixed("Subscription", "spec.name", "name is immutable"),
    fixed("Subscription", "spec.dbname", "dbname is immutable"),
    rule("ImageCatalog", "spec.images", UNIQUE_MAJORS, "Images must have unique major versions", majors),
    rule("ClusterImageCatalog", "spec.images", UNIQUE_MAJORS, "Images must have unique major versions", majors),
    rule("ImageCatalog", "spec.extraImages", UNIQUE_KEYS, "Extra image keys must be unique", keys),
    rule("ClusterImageCatalog", "spec.extraImages", UNIQUE_KEYS, "Extra image keys must be unique", keys),
];
