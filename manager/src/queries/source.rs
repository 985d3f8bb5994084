//! Where the queries come from: those that are built in, then the ConfigMaps and the Secrets of `spec.monitoring`, in their
//! order. A file that cannot be read right now stays what it was.

use super::{Monitor, Set};
use crate::context::Context;
use crate::store_settings::{config_map, secret};
use core::time::Duration;
use pgherd_core::rules::sizes;
use pgherd_proto::cluster::{Cluster, MonitoringConfiguration};
use pgherd_proto::queries::{DEFAULT_CONFIG_MAP, parse};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The default queries.
pub const DEFAULTS: &str = include_str!("defaults.yaml");
/// CNPG's default of `metricsQueriesTTL`.
const KEEP: Duration = Duration::from_secs(30);
/// Between two looks at the ConfigMaps and Secrets; half as long again at most.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What of a Cluster this is about.
#[derive(Clone, Default, PartialEq)]
struct Asked {
    monitoring: MonitoringConfiguration,
    database: String,
}

impl Asked {
    fn of(cluster: Option<&Cluster>) -> Self {
        let Some(spec) = cluster.map(|cluster| &cluster.spec) else { return Self::default() };
        Self { monitoring: spec.monitoring.clone().unwrap_or_default(), database: spec.application().database }
    }
}

/// Keeps a monitor's queries as the Cluster has them, until it is dropped.
pub async fn follow(cx: Arc<Context>, monitor: Arc<Monitor>) {
    let mut cluster = cx.cluster.clone();
    let mut files = Files::default();
    loop {
        let asked = Asked::of(cluster.borrow_and_update().as_deref());
        monitor.ask_for(files.read(&cx, &asked).await);
        let pause = LOOK_AGAIN.mul_f64(1.0 + rand::random::<f64>() / 2.0);
        let change = cluster.wait_for(|cluster| Asked::of(cluster.as_deref()) != asked);
        if let Ok(Err(_)) = tokio::time::timeout(pause, change).await {
            return;
        }
    }
}

/// What was read last, by what people call it, and what was said about it.
#[derive(Default)]
struct Files {
    last: BTreeMap<String, String>,
    said: BTreeSet<String>,
}

impl Files {
    async fn read(&mut self, cx: &Context, asked: &Asked) -> Set {
        let monitoring = &asked.monitoring;
        let keep = monitoring.metrics_queries_ttl.as_deref().and_then(|text| sizes::duration(text).ok());
        let mut set =
            Set { database: asked.database.clone(), keep: keep.map_or(KEEP, Duration::from_millis), ..Set::default() };
        if !monitoring.disable_default_queries {
            add(&mut set, "the default queries", DEFAULTS);
        }
        // CNPG's own copy of its default queries, which a Cluster that was made by it names: ours stand for them.
        let of_user = monitoring.custom_queries_config_map.iter().filter(|map| map.name != DEFAULT_CONFIG_MAP);
        for selector in of_user {
            let name = format!("key {} of ConfigMap {}", selector.key, selector.name);
            let text = config_map(&cx.api, selector).await;
            self.take(&mut set, &name, text);
        }
        for selector in &monitoring.custom_queries_secret {
            let text = secret(&cx.api, selector).await;
            self.take(&mut set, &format!("key {} of Secret {}", selector.key, selector.name), text);
        }
        for (name, why) in &set.refused {
            if self.said.insert(format!("{name}: {why}")) {
                tracing::warn!(query = %name, %why, "metrics are not asked for");
            }
        }
        set
    }

    fn take(&mut self, set: &mut Set, name: &str, text: Result<String, String>) {
        match text {
            Ok(text) => drop(self.last.insert(name.to_owned(), text)),
            Err(why) => drop(set.refused.insert(name.to_owned(), why)),
        }
        if let Some(text) = self.last.get(name) {
            add(set, name, text);
        }
    }
}

fn add(set: &mut Set, file: &str, text: &str) {
    match parse(text) {
        Ok(found) => {
            set.queries.extend(found.known);
            set.refused.extend(found.refused);
        }
        Err(why) => drop(set.refused.insert(file.to_owned(), why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_core::monitor::server_version;

    #[test]
    fn every_default_query_can_be_asked_of_every_version_or_of_those_that_it_names() {
        let mut set = Set::default();
        add(&mut set, "defaults", DEFAULTS);
        assert_eq!(set.refused, BTreeMap::new());
        for version in [140_000, 150_004, 160_000, 170_000, 180_000].map(server_version) {
            let due = set.queries.values().filter(|q| q.versions.as_ref().is_none_or(|range| range.contains(version)));
            let families: Vec<_> = due.flat_map(|q| q.columns.iter().map(|column| column.metric.as_str())).collect();
            for family in
                ["cnpg_backends_total", "cnpg_pg_stat_database_xact_commit", "cnpg_pg_stat_bgwriter_buffers_clean"]
            {
                assert_eq!(families.iter().filter(|known| **known == family).count(), 1, "{family} at {version:?}");
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_stays_what_it_was_and_is_named() {
        let (mut files, mut set) = (Files::default(), Set::default());
        files.take(&mut set, "m", Ok("q: {query: SELECT 1, metrics: []}".to_owned()));
        assert!(set.queries.contains_key("q") && set.refused.is_empty());
        let mut set = Set::default();
        files.take(&mut set, "m", Err("no answer".to_owned()));
        assert!(set.queries.contains_key("q") && set.refused["m"] == "no answer");
    }
}
