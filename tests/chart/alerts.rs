//! The alerts and the dashboard: accepted by promtool, fired by what they are for, and of metrics that there are.

use crate::helm::{TOOLS, chart, good, objects, only, root};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;

fn monitored() -> Vec<Value> {
    objects(&json!({ "monitoring": { "controller": { "enabled": true }, "prometheusRule": { "enabled": true },
        "dashboard": { "enabled": true } } }))
}

#[test]
fn promtool_takes_the_rules_and_each_alert_fires_when_it_should() {
    let directory = tempfile::tempdir().unwrap();
    let rules = serde_yaml_ng::to_string(&only(&monitored(), "PrometheusRule")["spec"]).unwrap();
    std::fs::write(directory.path().join("rules.yaml"), rules).unwrap();
    std::fs::copy(root().join("tests/chart/alerts.yaml"), directory.path().join("alerts.yaml")).unwrap();
    let promtool = || {
        let mut command = Command::new(TOOLS.join("promtool"));
        command.current_dir(directory.path());
        command
    };
    good(promtool().args(["check", "rules", "rules.yaml"]));
    good(promtool().args(["test", "rules", "alerts.yaml"]));
}

#[test]
fn every_alert_has_a_test_of_when_it_fires() {
    let tests = std::fs::read_to_string(root().join("tests/chart/alerts.yaml")).unwrap();
    let objects = monitored();
    let rules = only(&objects, "PrometheusRule")["spec"]["groups"][0]["rules"].as_array().unwrap();
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(tests.contains(&format!("alertname: {name}\n")), "no test of {name}");
    }
}

#[test]
fn alerts_and_dashboard_are_of_metrics_that_the_programs_have() {
    let dashboard = std::fs::read_to_string(chart().join("files/dashboards/pgherd.json")).unwrap();
    serde_json::from_str::<Value>(&dashboard).unwrap();
    let text = format!("{}{dashboard}", only(&monitored(), "PrometheusRule")["spec"]);
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words =
        text.split(|c: char| !is_of_name(c)).filter(|word| word.starts_with("cnpg_") || word.starts_with("pgherd_"));
    let used: BTreeSet<&str> = words.collect();
    assert!(used.len() > 15, "{used:?}");
    let source = source();
    for name in used {
        let whole = source.contains(name);
        // Some families are written with a common beginning.
        let parts = ["cnpg_collector_", "cnpg_pg_stat_replication_", "cnpg_pg_stat_archiver_"];
        let ends = parts.iter().filter_map(|part| name.strip_prefix(part));
        let in_parts = ends.into_iter().any(|end| source.contains(&format!("\"{end}\"")));
        assert!(whole || in_parts, "nothing writes {name}");
    }
}

/// Where the metrics are written.
fn source() -> String {
    let folder = std::fs::read_dir(root().join("manager/src/metrics")).unwrap();
    let files = folder.map(|file| file.unwrap().path()).filter(|path| !path.ends_with("tests.rs"));
    let all = files.chain([root().join("controller/src/serve.rs")]);
    all.map(|file| std::fs::read_to_string(file).unwrap()).collect()
}
