//! The rules of the kinds that are about what is inside of postgres, of poolers and of catalogs.

use super::Report;
use crate::cel;
use crate::database::Database;
use crate::database_role::DatabaseRole;
use crate::finding::{Finding, Kind};
use crate::image_catalog::{CatalogImage, ClusterImageCatalog, ImageCatalog};
use crate::pooler::Pooler;
use crate::publication::Publication;
use crate::subscription::Subscription;
use kube::{Resource, ResourceExt};
use pgherd_core::rules::{cluster as rules, initdb, names};
use serde::Serialize;

/// PgBouncer's parameters that may be set (CNPG's `AllowedPgbouncerGenericConfigurationParameters`).
const BOUNCER: &[&str] = &[
    "application_name_add_host",
    "auth_type",
    "autodb_idle_timeout",
    "cancel_wait_timeout",
    "client_idle_timeout",
    "client_login_timeout",
    "client_tls_sslmode",
    "default_pool_size",
    "disable_pqexec",
    "dns_max_ttl",
    "dns_nxdomain_ttl",
    "idle_transaction_timeout",
    "ignore_startup_parameters",
    "listen_backlog",
    "log_connections",
    "log_disconnections",
    "log_pooler_errors",
    "log_stats",
    "max_client_conn",
    "max_db_connections",
    "max_packet_size",
    "max_prepared_statements",
    "max_user_connections",
    "min_pool_size",
    "pkt_buf",
    "query_timeout",
    "query_wait_timeout",
    "reserve_pool_size",
    "reserve_pool_timeout",
    "sbuf_loopcnt",
    "server_check_delay",
    "server_check_query",
    "server_connect_timeout",
    "server_fast_close",
    "server_idle_timeout",
    "server_lifetime",
    "server_login_retry",
    "server_reset_query",
    "server_reset_query_always",
    "server_round_robin",
    "server_tls_ciphers",
    "server_tls_protocols",
    "server_tls_sslmode",
    "stats_period",
    "suspend_timeout",
    "tcp_defer_accept",
    "tcp_keepalive",
    "tcp_keepcnt",
    "tcp_keepidle",
    "tcp_keepintvl",
    "tcp_socket_buffer",
    "tcp_user_timeout",
    "track_extra_parameters",
    "verbose",
];

/// Everything that is to be said about a Pooler.
#[must_use]
pub fn pooler(pooler: &Pooler) -> Vec<Finding> {
    let mut report = of(pooler);
    let spec = &pooler.spec;
    report.rule("spec.cluster.name", rules::cluster_name(&spec.cluster.name));
    if pooler.name_any() == spec.cluster.name {
        report.invalid("metadata.name", "the pooler resource cannot have the same name of a cluster");
    }
    for name in spec.pgbouncer.parameters.keys().filter(|name| !BOUNCER.contains(&name.as_str())) {
        report.invalid(&format!("spec.pgbouncer.parameters.{name}"), "Invalid or reserved parameter");
    }
    if spec.instances < 0 {
        report.invalid("spec.instances", "it must be 0 or more");
    }
    report.into_findings()
}

/// Everything that is to be said about a Database.
#[must_use]
pub fn database(database: &Database) -> Vec<Finding> {
    let mut report = of(database);
    let spec = &database.spec;
    report.rule("spec.cluster.name", rules::cluster_name(&spec.cluster.name));
    report.rule("spec.name", rules::database_name("name", &spec.name));
    report.rule("spec.owner", rules::database_name("owner", &spec.owner));
    let locale = initdb::Locale { provider: spec.locale_provider.as_deref(), ..initdb::Locale::default() };
    report.rule("spec.localeProvider", initdb::locale(locale, None));
    report.into_findings()
}

/// Everything that is to be said about a DatabaseRole.
#[must_use]
pub fn database_role(role: &DatabaseRole) -> Vec<Finding> {
    let mut report = of(role);
    let spec = &role.spec;
    report.rule("spec.cluster.name", rules::cluster_name(&spec.cluster.name));
    if spec.role.name.is_empty() {
        report.invalid("spec.name", "role name must not be empty");
    }
    if spec.role.connection_limit < -1 {
        report.invalid("spec.connectionLimit", "Connection limit should be positive, unless defaulting to -1");
    }
    report.into_findings()
}

/// Everything that is to be said about a Publication.
#[must_use]
pub fn publication(publication: &Publication) -> Vec<Finding> {
    let mut report = of(publication);
    let spec = &publication.spec;
    report.rule("spec.cluster.name", rules::cluster_name(&spec.cluster.name));
    report.rule("spec.name", rules::database_name("name", &spec.name));
    report.rule("spec.dbname", rules::database_name("dbname", &spec.dbname));
    report.into_findings()
}

/// Everything that is to be said about a Subscription.
#[must_use]
pub fn subscription(subscription: &Subscription) -> Vec<Finding> {
    let mut report = of(subscription);
    let spec = &subscription.spec;
    report.rule("spec.cluster.name", rules::cluster_name(&spec.cluster.name));
    report.rule("spec.name", rules::database_name("name", &spec.name));
    report.rule("spec.dbname", rules::database_name("dbname", &spec.dbname));
    report.into_findings()
}

/// Everything that is to be said about an ImageCatalog.
#[must_use]
pub fn image_catalog(catalog: &ImageCatalog) -> Vec<Finding> {
    let mut report = of(catalog);
    images(&mut report, &catalog.spec.images);
    report.into_findings()
}

/// Everything that is to be said about a ClusterImageCatalog.
#[must_use]
pub fn cluster_image_catalog(catalog: &ClusterImageCatalog) -> Vec<Finding> {
    let mut report = of(catalog);
    images(&mut report, &catalog.spec.images);
    report.into_findings()
}

fn images(report: &mut Report, images: &[CatalogImage]) {
    for (index, image) in images.iter().enumerate() {
        let tagged = names::image(&image.image).ok().and_then(|major| i32::try_from(major).ok());
        if tagged.is_some_and(|major| major != image.major) {
            let message = format!("the tag of {:?} is not of major {}", image.image, image.major);
            report.push(Finding::new(Kind::Advice, format!("spec.images[{index}].image"), message));
        }
    }
}

/// The rules that an API server can check as well.
fn of<T: Resource<DynamicType = ()> + Serialize>(object: &T) -> Report {
    let json = serde_json::to_value(object).unwrap_or_default();
    let mut report = Report::default();
    cel::broken(&T::kind(&()), &json).into_iter().for_each(|finding| report.push(finding));
    report
}
