//! Queries whose answers become metrics, in CNPG's format ("Monitoring", user-defined metrics; it comes from Prometheus'
//! postgres_exporter): a YAML map of queries, and for each column of an answer what is made of it.

use pgherd_core::monitor::{Range, is_pattern};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The first word of every metric of theirs.
const PREFIX: &str = "cnpg";
/// CNPG's operator puts its default queries into a ConfigMap of this name and has every Cluster name it; ours are built in.
pub const DEFAULT_CONFIG_MAP: &str = "cnpg-default-monitoring";

/// One query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What it asks.
    pub sql: String,
    /// Asked before, in the same transaction: only after a true answer is the query asked at all.
    pub predicate: Option<String>,
    /// Only the primary is asked.
    pub primary: bool,
    /// Only these versions are asked.
    pub versions: Option<Range>,
    /// Names and patterns of the databases that are asked; none: the application's.
    pub databases: Vec<String>,
    /// What becomes of its columns.
    pub columns: Vec<Column>,
}

/// One column of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// As the answer names it.
    pub name: String,
    /// The metric, or the label.
    pub metric: String,
    /// For people.
    pub help: String,
    /// What becomes of it.
    pub usage: Usage,
}

/// What becomes of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Usage {
    /// Nothing.
    Discard,
    /// A label of all the row's samples.
    Label,
    /// A sample that only grows.
    Counter,
    /// A sample.
    Gauge,
    /// A sample by its text; one that is not in here is left out.
    Mapped(BTreeMap<String, f64>),
    /// A duration as Go writes it, in milliseconds.
    Duration,
    /// The bounds of its buckets; `_bucket`, `_sum` and `_count` are columns of their own.
    Histogram,
}

/// All that could be read of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queries {
    /// By their names.
    pub known: BTreeMap<String, Query>,
    /// Those that cannot be used, and why.
    pub refused: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireQuery {
    name: String,
    query: String,
    predicate_query: String,
    master: bool,
    primary: bool,
    runonserver: String,
    target_databases: Vec<String>,
    metrics: Vec<BTreeMap<String, WireColumn>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireColumn {
    name: String,
    usage: String,
    description: String,
    metric_mapping: BTreeMap<String, f64>,
}

/// Reads a file.
///
/// # Errors
/// For people: it is no such map at all.
pub fn parse(yaml: &str) -> Result<Queries, String> {
    let raw: BTreeMap<String, serde_yaml_ng::Value> =
        serde_yaml_ng::from_str(yaml).map_err(|error| format!("is no map of queries: {error}"))?;
    let mut found = Queries::default();
    for (name, value) in raw {
        let wire = serde_yaml_ng::from_value(value).map_err(|error| error.to_string());
        match wire.and_then(|wire| query(&name, wire)) {
            Ok(query) => drop(found.known.insert(name, query)),
            Err(why) => drop(found.refused.insert(name, why)),
        }
    }
    Ok(found)
}

fn query(name: &str, wire: WireQuery) -> Result<Query, String> {
    if wire.query.trim().is_empty() {
        return Err("has no query".to_owned());
    }
    let versions = wire.runonserver.trim();
    let versions = if versions.is_empty() { None } else { Some(versions.parse::<Range>().map_err(|e| e.to_string())?) };
    let family = format!("{PREFIX}_{}", if wire.name.is_empty() { name } else { &wire.name });
    let columns = wire.metrics.into_iter().flatten().map(|(name, wire)| column(&family, name, wire));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let given = |text: String| Some(text).filter(|text| !text.trim().is_empty());
    Ok(Query {
        sql: wire.query,
        predicate: given(wire.predicate_query),
        primary: wire.primary || wire.master,
        versions,
        databases: wire.target_databases,
        columns,
    })
}

fn column(family: &str, name: String, wire: WireColumn) -> Result<Column, String> {
    let usage = match wire.usage.as_str() {
        "DISCARD" => Usage::Discard,
        "LABEL" => Usage::Label,
        "COUNTER" => Usage::Counter,
        "GAUGE" => Usage::Gauge,
        "MAPPEDMETRIC" => Usage::Mapped(wire.metric_mapping),
        "DURATION" => Usage::Duration,
        "HISTOGRAM" => Usage::Histogram,
        other => return Err(format!("has a column {name} of an unknown usage {other:?}")),
    };
    let called = if wire.name.is_empty() { &name } else { &wire.name };
    let metric = match usage {
        Usage::Label => name.clone(),
        Usage::Duration => format!("{family}_{called}_milliseconds"),
        _ => format!("{family}_{called}"),
    };
    // Prometheus takes a whole page back for one name that it cannot read.
    let readable = metric.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !metric.starts_with(|c: char| c.is_ascii_digit());
    if !readable {
        return Err(format!("has a column whose metric would be called {metric:?}: letters, digits and _ only"));
    }
    Ok(Column { name, metric, help: wire.description, usage })
}

impl Query {
    /// Whether one of its databases has to be looked for.
    #[must_use]
    pub fn has_patterns(&self) -> bool {
        self.databases.iter().any(|name| is_pattern(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
pg_shop:
  query: "SELECT state, total, age FROM shop"
  predicate_query: "SELECT true"
  primary: true
  runonserver: ">=15.0.0"
  target_databases: ["shop*"]
  cache_seconds: 30
  metrics:
    - state: {usage: "LABEL", description: "State"}
    - total: {usage: "GAUGE", description: "How many", name: "orders"}
    - age: {usage: "DURATION", description: "How old"}
no_query:
  metrics: []
wrong_usage:
  query: "SELECT 1 AS a"
  metrics:
    - a: {usage: "GUAGE"}
wrong_name:
  query: "SELECT 1 AS a"
  metrics:
    - "a b": {usage: "GAUGE"}
"#;

    #[test]
    fn a_query_is_read_with_its_columns_and_what_cannot_be_used_is_named() {
        let found = parse(FILE).unwrap();
        let shop = &found.known["pg_shop"];
        assert!(shop.primary && shop.has_patterns() && shop.predicate.is_some());
        assert!(shop.versions.as_ref().unwrap().contains([15, 4, 0]));
        let metrics: Vec<_> = shop.columns.iter().map(|column| column.metric.as_str()).collect();
        assert_eq!(metrics, ["state", "cnpg_pg_shop_orders", "cnpg_pg_shop_age_milliseconds"]);
        let refused: Vec<_> = found.refused.keys().map(String::as_str).collect();
        assert_eq!(refused, ["no_query", "wrong_name", "wrong_usage"]);
        assert!(found.refused["wrong_usage"].contains("GUAGE"));
    }

    #[test]
    fn what_is_no_map_is_said_to_be_none() {
        assert!(parse("- a\n- b\n").unwrap_err().contains("no map of queries"));
        assert_eq!(parse("{}").unwrap(), Queries::default());
    }
}
