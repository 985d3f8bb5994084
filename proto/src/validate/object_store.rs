//! The rules of `backup.barmanObjectStore`.

use super::Report;
use crate::cluster::{BarmanObjectStore, S3Credentials};
use pgherd_core::rules::object_store as rules;
use serde::Serialize;

pub(super) fn check(report: &mut Report, path: &str, store: &BarmanObjectStore) {
    let at = |field: &str| format!("{path}.{field}");
    report.rule(&at("destinationPath"), rules::destination(&store.destination_path));
    if let Some(url) = store.endpoint_url.as_deref().filter(|url| !url.is_empty()) {
        report.rule(&at("endpointURL"), rules::endpoint(url));
    }
    if let Some(name) = store.server_name.as_deref().filter(|name| !name.is_empty()) {
        report.rule(&at("serverName"), rules::server_name(name));
    }
    for (field, tags) in [("tags", &store.tags), ("historyTags", &store.history_tags)] {
        report.rule(&at(field), rules::tags(tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))));
    }
    if let Some(credentials) = &store.s3_credentials {
        report.rule(&at("s3Credentials"), rules::credentials(given(credentials)));
    } else if store.azure_credentials.is_none() && store.google_credentials.is_none() {
        report.rule(&at("s3Credentials"), rules::credentials(rules::Credentials::default()));
    }
    if let Some(wal) = &store.wal {
        report.rule(&at("wal.maxParallel"), rules::max_parallel(i64::from(wal.max_parallel)));
        if let Some(compression) = wal.compression {
            report.rule(&at("wal.compression"), rules::wal_compression(&name(&compression)));
        }
    }
    if let Some(data) = &store.data
        && let Some(compression) = data.compression
    {
        report.rule(&at("data.compression"), rules::data_compression(&name(&compression)));
    }
}

fn given(credentials: &S3Credentials) -> rules::Credentials {
    rules::Credentials {
        access_key_id: credentials.access_key_id.is_some(),
        secret_access_key: credentials.secret_access_key.is_some(),
        session_token: credentials.session_token.is_some(),
        inherit_from_iam_role: credentials.inherit_from_iam_role,
    }
}

/// The name of a value in a manifest.
fn name<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|json| json.as_str().map(str::to_owned)).unwrap_or_default()
}
