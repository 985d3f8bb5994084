//! What is rendered, against Kubernetes' own schemas; and the plain YAML, against the chart.

use crate::helm::{HELM, TOOLS, chart, good, rendered, root};
use crate::values::modes;
use std::process::Command;

/// The oldest that the chart says it is for, the newest that there are schemas of, and some between.
const VERSIONS: &str = "1.25,1.27,1.29,1.31,1.33,1.35,1.37";

#[test]
fn helm_lint_has_nothing_to_say() {
    good(Command::new(&*HELM).args(["lint", "--strict"]).arg(chart()));
}

#[test]
fn every_mode_is_what_each_version_of_kubernetes_and_the_prometheus_operator_take() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(TOOLS.join("venv/bin/python"));
    command.arg(root().join("tests/tools/kube_schemas.py")).arg(VERSIONS);
    for (number, (_, values)) in modes().into_iter().enumerate() {
        let file = directory.path().join(format!("{number}.yaml"));
        std::fs::write(&file, rendered(&values)).unwrap();
        command.arg(file);
    }
    println!("{}", good(&mut command));
}

#[test]
fn the_plain_yaml_is_what_the_chart_renders_today() {
    let today = good(Command::new(root().join("tests/tools/chart.sh")).arg("plain"));
    let stored = std::fs::read_to_string(root().join("charts/pgherd.yaml")).unwrap();
    assert!(today == stored, "charts/pgherd.yaml is old: run tests/tools/chart.sh generate");
}
