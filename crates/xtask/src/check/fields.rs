//! `proto/unsupported-fields.txt` against reality: a field of the Cluster that is typed and not listed must be read
//! somewhere in the manager, the controller, or what they are made of.
//!
//! "Read" is judged by the field's Rust name in the source (`.stop_delay`, `stop_delay:` of a pattern, `stop_delay()`
//! of an accessor): enough to find a field that was typed and then forgotten.

use crate::tree;
use pgherd_proto::unsupported;
use serde_json::Value;
use std::path::Path;

/// Fields whose value is for people, or that nobody has to read by name.
const FOR_PEOPLE: &[&str] = &[
    "spec.description",
    // Read whole.
    "spec.resources",
    "spec.env",
    "spec.envFrom",
    // It is what happens where no keys are named; the rules see to it that it is written there and only there.
    "spec.backup.barmanObjectStore.s3Credentials.inheritFromIAMRole",
];

pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    // The last one reads for both programs.
    let readers = ["manager/src", "controller/src", "proto/src/cluster/asked.rs"];
    let code: String = tree::rust(root)?
        .into_iter()
        .filter(|(path, _)| readers.iter().any(|reader| path.starts_with(reader)))
        .map(|(_, text)| text)
        .collect();
    let mut paths = Vec::new();
    leaves(unsupported::schema_of("Cluster"), "spec", &mut paths);
    let mut wrong: Vec<String> = paths
        .iter()
        .filter(|path| unsupported::lookup("Cluster", path).is_none())
        .filter(|path| !FOR_PEOPLE.iter().any(|known| path.starts_with(known)))
        .filter(|path| !is_read(&code, path))
        .map(|path| format!("{path} is accepted and nobody reads it: implement it, or add it to the list"))
        .collect();
    let described = |field: &&unsupported::UnsupportedField| paths.iter().any(|path| path == field.path);
    let done = unsupported::fields().iter().filter(|field| field.object == "Cluster").filter(described);
    wrong.extend(done.filter(|field| is_read(&code, field.path) && !AMBIGUOUS.contains(&field.path)).map(|field| {
        format!("{} is listed as doing nothing, and somebody reads it: take it off the list", field.path)
    }));
    Ok(wrong)
}

/// Listed fields whose Rust name means other things as well.
const AMBIGUOUS: &[&str] = &[
    "spec.backup.barmanObjectStore.data",
    "spec.backup.target",
    // The controller lets the managers read that Secret; nobody sets a password from it.
    "spec.superuserSecret",
    // The binaries have their own option of that name.
    "spec.logLevel",
];

fn leaves(schema: &Value, path: &str, found: &mut Vec<String>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, inner) in properties {
        let path = format!("{path}.{name}");
        leaves(inner, &path, found);
        found.push(path);
    }
}

fn is_read(code: &str, path: &str) -> bool {
    let name = snake(path.rsplit('.').next().unwrap_or(path));
    // The parts of a reference are read by whoever reads the reference; accessors of the spec stand for their fields.
    let accessors: &[(&str, &str)] = &[
        ("initdb", ".initdb("),
        ("primary_lease", ".timings("),
        ("secret", "owner_secret"),
        ("exclude_patterns", ".excludes("),
    ];
    let accessor = accessors.iter().any(|(field, call)| *field == name && code.contains(call));
    let seconds = ["lease_duration_seconds", "renew_deadline_seconds", "retry_period_seconds"].contains(&name.as_str());
    let part = ["name", "key", "database", "owner", "bootstrap"].contains(&name.as_str());
    accessor
        || (seconds && code.contains(".timings("))
        || part
        || code.contains(&format!(".{name}"))
        || code.contains(&format!("{name} "))
}

/// `endpointURL` -> `endpoint_url`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        before = c;
    }
    snake.replace("iamrole", "iam_role")
}
