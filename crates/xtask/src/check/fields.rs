//! `proto/unsupported-fields.txt` against reality: what of a Cluster, Backup or ScheduledBackup is typed and not listed must
//! be read somewhere in the manager or the controller, and what is listed must not be. The same for annotations.
//!
//! "Read" is judged by name ([`super::reads`]): enough to find a field that was typed and then forgotten, and one that
//! was implemented while the list goes on to say that it does nothing.

use super::reads::Reads;
use crate::tree;
use anyhow::Context;
use pgherd_proto::unsupported::{self, UnsupportedField};
use serde_json::Value;
use std::path::Path;

/// Fields whose value is for people, or that nobody has to read by name; with what is in them.
const FOR_PEOPLE: &[&str] = &[
    "spec.description",
    // Read whole.
    "spec.resources",
    "spec.env",
    "spec.envFrom",
    "spec.affinity.additionalPodAffinity",
    "spec.affinity.additionalPodAntiAffinity",
    "spec.affinity.nodeAffinity",
    "spec.ephemeralVolumeSource",
    "spec.monitoring.podMonitorMetricRelabelings",
    "spec.monitoring.podMonitorRelabelings",
    "spec.podSecurityContext",
    "spec.projectedVolumeTemplate",
    "spec.seccompProfile",
    "spec.securityContext",
    "spec.storage.pvcTemplate",
    "spec.walStorage.pvcTemplate",
    "spec.topologySpreadConstraints",
    "spec.affinity.tolerations",
    "spec.managed.services.additional[].serviceTemplate",
    // It is what happens where no keys are named; the rules see to it that it is written there and only there.
    "spec.backup.barmanObjectStore.s3Credentials.inheritFromIAMRole",
    "spec.externalClusters[].barmanObjectStore.s3Credentials.inheritFromIAMRole",
    // The rules see to it that it is ours.
    "spec.imageCatalogRef.apiGroup",
];

/// Listed fields whose Rust name means other things as well.
const AMBIGUOUS: &[&str] = &[
    // Extensions of files, tablespaces of a backup.
    "spec.postgresql.extensions",
    "spec.tablespaces",
    // Of a role.
    "spec.externalClusters[].password",
    // Only with `true`, budgets go; with `false` nothing else happens.
    "spec.nodeMaintenanceWindow.reusePVC",
];

/// Accessors of the spec that stand for a field of another name.
const ACCESSORS: &[(&str, &str)] = &[
    ("bootstrap", "initdb"),
    ("exclude_patterns", "excludes"),
    ("image_name", "postgres_image"),
    ("storage_class", "class"),
    ("type", "strategy"),
    ("lease_duration_seconds", "timings"),
    ("renew_deadline_seconds", "timings"),
    ("retry_period_seconds", "timings"),
];

const LABELS: &str = "proto/src/labels.rs";

pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let (mut all, mut files, mut proto) = (Reads::default(), Vec::new(), Reads::default());
    for (path, code) in tree::rust(root)? {
        // The last two read for both programs.
        let readers =
            ["manager/src", "controller/src", "proto/src/cluster/asked.rs", "proto/src/cluster/asked_recovery.rs"];
        let of_programs = readers.iter().any(|reader| path.starts_with(reader));
        // The list itself, and the names, are no use of them.
        let of_proto = path.starts_with("proto/src") && path != Path::new(LABELS);
        if is_for_tests(&path) || !(of_programs || of_proto) {
            continue;
        }
        let reads = Reads::of(&code).with_context(|| format!("failed to read {}", path.display()))?;
        if of_programs {
            all.extend(&reads);
            files.push(reads);
        } else {
            proto.extend(&reads);
        }
    }
    let mut wrong = kind("Cluster", &all);
    for name in ["Backup", "ScheduledBackup"] {
        let mut reads = Reads::default();
        files.iter().filter(|file| file.names.contains(name)).for_each(|file| reads.extend(file));
        wrong.extend(kind(name, &reads));
    }
    proto.extend(&all);
    let labels = std::fs::read_to_string(root.join(LABELS)).context(LABELS)?;
    wrong.extend(annotations(&labels, &proto));
    let listed = |path: &str| unsupported::fields().iter().any(|field| field.path == path);
    let stale = AMBIGUOUS.iter().filter(|path| !listed(path));
    wrong.extend(stale.map(|path| format!("{path} is no longer listed: take it out of the exceptions of this check")));
    Ok(wrong)
}

/// Modules that are compiled for tests only are told by their names.
fn is_for_tests(path: &Path) -> bool {
    let stem = path.file_stem().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    stem.ends_with("tests") || stem == "testbed"
}

/// The fields of one kind against what the programs read.
fn kind(kind: &str, reads: &Reads) -> Vec<String> {
    let mut paths = Vec::new();
    leaves(unsupported::schema_of(kind), "spec", &mut paths);
    let mut wrong: Vec<String> = paths
        .iter()
        .filter(|path| unsupported::lookup(kind, path).is_none())
        .filter(|path| !FOR_PEOPLE.iter().any(|known| unsupported::is_below(path, known)))
        .filter(|path| !is_read(reads, path))
        .map(|path| format!("{kind} {path} is accepted and nobody reads it: implement it, or add it to the list"))
        .collect();
    let done = |field: &&UnsupportedField| {
        field.object == kind
            && paths.iter().any(|path| path == field.path)
            && is_read(reads, field.path)
            && !AMBIGUOUS.contains(&field.path)
    };
    wrong.extend(unsupported::fields().iter().filter(done).map(still_listed));
    wrong
}

fn still_listed(field: &UnsupportedField) -> String {
    format!("{} is listed as doing nothing, and somebody reads it: take it off the list", field.path)
}

/// The annotations of a Cluster, by the constants for their names.
fn annotations(labels: &str, reads: &Reads) -> Vec<String> {
    let constants = constants(labels);
    let is_read = |name: &str| {
        let by_constant =
            constants.iter().any(|(_, constant, value)| *value == name && reads.names.contains(*constant));
        by_constant || reads.literals.contains(&format!("{name:?}"))
    };
    let listed: Vec<(&str, &UnsupportedField)> = unsupported::fields()
        .iter()
        .filter_map(|field| Some((field.path.strip_prefix("annotation:")?, field)))
        .collect();
    let mut wrong: Vec<String> = listed
        .iter()
        .filter(|(name, field)| is_read(name) && !AMBIGUOUS.contains(&field.path))
        .map(|(_, field)| still_listed(field))
        .collect();
    let forgotten = constants.iter().filter(|(doc, _, value)| {
        doc.contains("Annotation on a Cluster") && !is_read(value) && !listed.iter().any(|(name, _)| name == value)
    });
    wrong.extend(forgotten.map(|(_, _, value)| {
        format!("annotation {value} of a Cluster is known and nobody reads it: implement it, or add it to the list")
    }));
    wrong
}

/// Documentation, name and value of each constant of text.
fn constants(code: &str) -> Vec<(String, &str, &str)> {
    let (mut found, mut doc) = (Vec::new(), String::new());
    for line in code.lines() {
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
            continue;
        }
        let parts = line.strip_prefix("pub const ").and_then(|rest| rest.split_once(": &str = \""));
        if let Some((name, value)) = parts {
            found.push((std::mem::take(&mut doc), name, value.trim_end_matches("\";")));
        }
        doc.clear();
    }
    found
}

/// Every field below, also those of the elements of lists (`externalClusters[].name`).
fn leaves(schema: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(element) = schema.get("items") {
        leaves(element, &format!("{path}[]"), found);
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, inner) in properties {
        let path = format!("{path}.{name}");
        leaves(inner, &path, found);
        found.push(path);
    }
}

fn is_read(reads: &Reads, path: &str) -> bool {
    let name = snake(path.rsplit('.').next().unwrap_or(path));
    let accessor = ACCESSORS.iter().any(|(field, call)| *field == name && reads.fields.contains(*call));
    accessor || reads.fields.contains(&name)
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
    let apart =
        [("iamrole", "iam_role"), ("sqlrefs", "sql_refs"), ("casecret", "ca_secret"), ("tlssecret", "tls_secret")];
    let apart = apart.into_iter().chain([("dnsnames", "dns_names")]);
    apart.fold(snake, |name, (joined, parts)| name.replace(joined, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_nobody_reads_and_a_listed_one_that_somebody_reads_are_both_wrong() {
        let wrong = kind("Cluster", &Reads::of("fn f(spec: &Spec) { spec.promotion_timeout; }").unwrap());
        assert!(wrong.iter().any(|line| line.starts_with("Cluster spec.instances is accepted")), "{wrong:?}");
        assert!(wrong.iter().any(|line| line.starts_with("spec.postgresql.promotionTimeout is listed")), "{wrong:?}");
        assert!(!wrong.iter().any(|line| line.contains("spec.description")), "{wrong:?}");
    }

    #[test]
    fn what_is_read_of_one_kind_says_nothing_of_another() {
        let read = Reads::of("fn f(s: &ScheduledBackup) { s.spec.cluster.name; s.spec.schedule; }").unwrap();
        let wrong = kind("ScheduledBackup", &read);
        assert!(wrong.iter().any(|line| line.contains("spec.suspend is accepted and nobody reads it")), "{wrong:?}");
        assert!(!wrong.iter().any(|line| line.contains("spec.schedule")), "{wrong:?}");
    }

    #[test]
    fn a_listed_annotation_that_is_read_and_a_known_one_that_is_not_are_both_wrong() {
        let labels = "/// Annotation on a Cluster: x.\npub const RELOAD: &str = \"cnpg.io/reload\";\n\
                      /// Annotation on a Cluster: y.\npub const NEW: &str = \"pgherd.io/new\";\n";
        let quiet = annotations(labels, &Reads::of("fn f() { labels::NEW; }").unwrap());
        assert_eq!(quiet, Vec::<String>::new());
        let wrong = annotations(labels, &Reads::of("fn f() { labels::RELOAD; }").unwrap());
        assert!(wrong[0].starts_with("annotation:cnpg.io/reload is listed"), "{wrong:?}");
        assert!(wrong[1].starts_with("annotation pgherd.io/new of a Cluster is known"), "{wrong:?}");
        let literal = annotations(labels, &Reads::of("fn f() { \"cnpg.io/reload\"; labels::NEW; }").unwrap());
        assert_eq!(literal.len(), 1, "{literal:?}");
    }
}
