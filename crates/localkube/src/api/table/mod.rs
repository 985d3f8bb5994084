//! Tables for `kubectl get`: columns and cells of a kind, the printer columns of custom resources.

mod age;
mod columns;
mod jsonpath;

#[cfg(test)]
mod tests;

pub use jsonpath::{evaluate, render};

use std::sync::Arc;

use serde_json::{Value, json};

use super::object::as_map;
use super::resource::ResourceInfo;

/// How much of each object goes with its row (`includeObject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    Nothing,
    /// Its metadata: the default.
    Metadata,
    /// All of it.
    Object,
}

/// A Table of the given objects. `now` is for the ages.
pub fn table(
    info: &ResourceInfo,
    items: &[Arc<Value>],
    version: &str,
    include: Include,
    now: jiff::Timestamp,
) -> Value {
    let columns = columns::columns(info);
    let definitions: Vec<Value> = columns.iter().map(columns::Column::definition).collect();
    let rows: Vec<Value> = items
        .iter()
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|column| column.cell(object, now)).collect();
            let mut row = json!({"cells": cells});
            match include {
                Include::Nothing => {}
                Include::Metadata => as_map(&mut row).extend([("object".to_owned(), partial(object))]),
                Include::Object => as_map(&mut row).extend([("object".to_owned(), (**object).clone())]),
            }
            row
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": version},
        "columnDefinitions": definitions, "rows": rows})
}

/// Only the metadata of an object.
pub fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}
