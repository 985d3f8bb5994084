//! The rules of `spec.bootstrap`.

use super::{Report, object_store};
use crate::cluster::{BootstrapInitDb, ClusterSpec};
use crate::finding::{Finding, Kind};
use pgherd_core::rules::{cluster, initdb as rules, majors, wal_sizes};

pub(super) fn check(report: &mut Report, spec: &ClusterSpec) {
    let app = spec.application();
    let path = if spec.recovery().is_some() { "spec.bootstrap.recovery" } else { "spec.bootstrap.initdb" };
    let database = format!("{path}.database");
    report.rule(&database, cluster::database_name("database", &app.database));
    report.rule(&format!("{path}.owner"), cluster::owner_name("owner", &app.owner));
    let own = |name: &str| ["postgres", "template0", "template1"].contains(&name);
    if own(&app.database) {
        let message = format!("{:?} is postgres' own database: choose another", app.database);
        report.push(Finding::new(Kind::Invalid, database, message));
    }
    let given = spec.postgresql.as_ref().map(|postgresql| &postgresql.parameters).filter(|_| spec.recovery().is_none());
    // What is wrong with the size itself is said by a rule that an API server checks as well.
    let size = wal_sizes::segment(i64::from(spec.initdb().wal_segment_size.unwrap_or(16))).ok();
    for error in given.zip(size).map(|(given, size)| wal_sizes::check(given, size)).unwrap_or_default() {
        report.rule::<(), _>("spec.postgresql.parameters", Err(error));
    }
    if let Some(recovery) = spec.recovery() {
        report.rule("spec.bootstrap.recovery", spec.recovery_archive(recovery));
        report.rule("spec.bootstrap.recovery.recoveryTarget", recovery.target());
    }
    for (index, external) in spec.external_clusters.iter().enumerate() {
        if let Some(store) = &external.barman_object_store {
            object_store::check(report, &format!("spec.externalClusters[{index}].barmanObjectStore"), store);
        }
    }
    if let Some(asked) = spec.bootstrap.as_ref().and_then(|bootstrap| bootstrap.initdb.as_ref()) {
        initdb(report, asked, spec.postgres_major().filter(|major| majors::supported(*major).is_ok()));
    }
}

fn initdb(report: &mut Report, asked: &BootstrapInitDb, major: Option<u32>) {
    let at = |field: &str| format!("spec.bootstrap.initdb.{field}");
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let locale = rules::Locale {
        provider: asked.locale_provider.as_deref().filter(|provider| !provider.is_empty()),
        icu_locale: given(&asked.icu_locale),
        icu_rules: given(&asked.icu_rules),
        builtin_locale: given(&asked.builtin_locale),
    };
    // What belongs to another provider is said by a rule that an API server checks as well.
    if locale.stranger().is_none() {
        report.rule(&at("localeProvider"), rules::locale(locale, major));
    }
    for (field, text) in [
        ("encoding", &asked.encoding),
        ("locale", &asked.locale),
        ("localeCollate", &asked.locale_collate),
        ("localeCType", &asked.locale_ctype),
        ("icuLocale", &asked.icu_locale),
        ("builtinLocale", &asked.builtin_locale),
    ] {
        report.rule(&at(field), rules::text(field, text.as_deref().unwrap_or_default()));
    }
    report.rule(&at("options"), rules::options(&asked.options));
    let explicit = asked.encoding.is_some()
        || asked.locale.is_some()
        || asked.wal_segment_size.is_some()
        || asked.data_checksums.is_some();
    if !asked.options.is_empty() && explicit {
        let message = "options take the place of encoding, locale, dataChecksums and walSegmentSize, as with CNPG";
        report.push(Finding::new(Kind::Advice, at("options"), message).hint("say all of it in one way"));
    }
}
