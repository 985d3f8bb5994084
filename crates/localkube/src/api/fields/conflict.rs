//! Fields that an apply would change and others own, and the refusal that names them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::error::ApiError;
use super::managers::{Entry, Operation};
use super::set::FieldSet;

/// One field, and who owns it.
#[derive(Debug)]
pub struct Conflict {
    who: String,
    /// Where it is.
    pub path: Vec<String>,
}

impl Conflict {
    /// Those between an owner and what would change.
    pub fn of(entry: &Entry, taken: &FieldSet) -> Vec<Self> {
        let mut who = format!("{:?}", entry.manager);
        if !entry.subresource.is_empty() {
            who.push_str(&format!(" with subresource {:?}", entry.subresource));
        }
        if entry.operation == Operation::Update {
            who.push_str(&format!(" using {}", entry.api_version));
        }
        let shared = entry.fields.both(taken);
        let paths = shared.paths().into_iter();
        paths.map(|path| Self { who: who.clone(), path: path.into_iter().map(str::to_owned).collect() }).collect()
    }

    /// The field is in a set.
    pub fn is_in(&self, set: &FieldSet) -> bool {
        let found = self.path.iter().try_fold(set, |set, edge| set.below(edge));
        found.is_some_and(FieldSet::is_member)
    }

    fn shown(&self) -> String {
        self.path.iter().map(|edge| shown(edge)).collect()
    }
}

/// `.name`, `[name="x"]`, `[="x"]`.
fn shown(edge: &str) -> String {
    let (kind, rest) = edge.split_once(':').unwrap_or_default();
    match (kind, serde_json::from_str::<Value>(rest)) {
        ("k", Ok(Value::Object(keys))) => {
            let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        ("v", _) => format!("[={rest}]"),
        ("i", _) => format!("[{rest}]"),
        _ => format!(".{rest}"),
    }
}

/// 409, in the words of the real server, which kubectl shows and clients take apart.
pub fn refuse(conflicts: &[Conflict]) -> ApiError {
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|conflict| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {}", conflict.who),
                "field": conflict.shown()})
        })
        .collect();
    let message = match conflicts {
        [one] => format!("Apply failed with 1 conflict: conflict with {}: {}", one.who, one.shown()),
        many => {
            let mut by_owner: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            many.iter().for_each(|one| by_owner.entry(&one.who).or_default().push(format!("- {}", one.shown())));
            let lines: Vec<String> = by_owner
                .into_iter()
                .map(|(who, paths)| format!("conflicts with {who}:\n{}", paths.join("\n")))
                .collect();
            format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    ApiError { code: 409, reason: "Conflict", message, details: Some(json!({"causes": causes})) }
}
