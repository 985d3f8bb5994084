//! Whole manifests: what is said, and where.

use super::*;
use crate::validate::for_people;

const EXAMPLE: &str = include_str!("../../../docs/examples/cluster.yaml");
const SCHEDULE: &str = include_str!("../../../docs/examples/scheduledbackup.yaml");

fn checked(text: &str) -> Vec<Checked> {
    manifests(Path::new("m.yaml"), text)
}

#[test]
fn the_examples_can_be_applied_and_say_what_may_be_lost() {
    let all = checked(&format!("{EXAMPLE}\n---\n{SCHEDULE}---\n"));
    assert_eq!(all.len(), 2);
    assert!(!all.iter().any(Checked::is_broken), "{all:#?}");
    let text = for_people(&all);
    assert!(text.starts_with("m.yaml, document 1 (Cluster phoenix-guardian-db): can be applied\n"), "{text}");
    assert!(text.contains("replication is asynchronous"), "{text}");
}

#[test]
fn a_typing_error_is_an_error_here_and_says_what_was_meant() {
    let all = checked(&EXAMPLE.replace("  instances: 3", "  instnces: 3"));
    let text = for_people(&all);
    assert!(text.contains("cannot be applied") && text.contains("did you mean spec.instances?"), "{text}");
}

#[test]
fn a_number_where_text_is_wanted_says_to_quote_it() {
    let text = for_people(&checked(&EXAMPLE.replace("max_connections: \"200\"", "max_connections: 200")));
    assert!(text.contains("spec.postgresql.parameters.max_connections: expected a string, found 200"), "{text}");
    assert!(text.contains("-> write it in quotes: \"200\""), "{text}");
}

#[test]
fn what_is_no_yaml_or_no_kind_of_ours_is_said() {
    assert!(for_people(&checked("a: [")).contains("this is not YAML"));
    assert!(for_people(&checked("apiVersion: v1\nkind: Secret\n")).contains("not looked at"));
    assert!(for_people(&checked("apiVersion: postgresql.cnpg.io/v1\nkind: Poler\n")).contains("did you mean Pooler?"));
    assert!(for_people(&checked("kind: Cluster\n")).contains("both are required"));
    assert!(for_people(&checked("")).contains("no document"));
}

#[test]
fn each_finding_has_its_line_and_column() {
    let text = for_people(&checked(&EXAMPLE.replace("  instances: 3", "  instnces: 3")));
    let line = EXAMPLE.lines().position(|line| line == "  instances: 3").unwrap() + 1;
    assert!(text.contains(&format!("  {line}:3: error: spec.instnces: there is no such field")), "{text}");
}

#[test]
fn a_field_that_is_there_twice_is_an_error_at_its_second_place() {
    let all = checked(&EXAMPLE.replace("  instances: 3", "  instances: 3\n  instances: 1"));
    assert!(all[0].is_broken());
    assert!(for_people(&all).contains(": error: spec.instances: is there twice"), "{all:#?}");
}

#[test]
fn a_word_that_kubectl_takes_for_a_boolean_is_one_or_has_to_be_quoted() {
    let broken = checked(&EXAMPLE.replace("max_connections: \"200\"", "wal_log_hints: on"));
    let text = for_people(&broken);
    assert!(
        text.contains("spec.postgresql.parameters.wal_log_hints: kubectl reads \"on\" without quotes as true"),
        "{text}"
    );
    let fine = checked(&EXAMPLE.replace("  instances: 3", "  instances: 3\n  enablePDB: yes"));
    assert!(!fine[0].is_broken(), "{fine:#?}");
}

#[test]
fn what_is_null_is_absent_as_for_an_api_server() {
    let all = checked(&EXAMPLE.replace("  instances: 3", "  instances: 3\n  enablePDB: null\n  imageName:"));
    assert!(!all[0].is_broken(), "{all:#?}");
}

#[test]
fn a_typing_error_deep_inside_of_a_type_of_kubernetes_is_named() {
    let all =
        checked(&EXAMPLE.replace("  instances: 3", "  instances: 3\n  topologySpreadConstraints:\n    - maxSkw: 1"));
    assert!(
        for_people(&all).contains("did you mean spec.topologySpreadConstraints[0].maxSkew?"),
        "{}",
        for_people(&all)
    );
}
