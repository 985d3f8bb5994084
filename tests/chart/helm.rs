//! The real Helm, and the other tools of this tier, as they are installed by the scripts in `tests/tools`.

use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The path that a script of `tests/tools` prints.
fn tool(script: &str, arguments: &[&str]) -> PathBuf {
    let output = Command::new(root().join("tests/tools").join(script)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

pub static HELM: LazyLock<PathBuf> = LazyLock::new(|| tool("layer.sh", &["helm"]));
pub static KUBECTL: LazyLock<PathBuf> = LazyLock::new(|| tool("layer.sh", &["kubectl"]));
/// The directory with promtool and the schemas' environment.
pub static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| tool("chart.sh", &[]));

/// The chart.
pub fn chart() -> PathBuf {
    root().join("charts/pgherd")
}

/// Runs a command and says what it printed if it fails.
pub fn good(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// `helm template` of the chart with these values.
pub fn template(values: &Value) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("values.yaml");
    std::fs::write(&file, serde_yaml_ng::to_string(values).unwrap()).unwrap();
    let mut command = Command::new(&*HELM);
    command.args(["template", "pgherd"]).arg(chart()).args(["--namespace", "pgherd-system", "--values"]).arg(&file);
    command.output().unwrap()
}

/// What is rendered with these values.
pub fn rendered(values: &Value) -> String {
    let output = template(values);
    assert!(output.status.success(), "{values}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The same as objects.
pub fn objects(values: &Value) -> Vec<Value> {
    let text = rendered(values);
    let documents = serde_yaml_ng::Deserializer::from_str(&text).map(|one| Value::deserialize(one).unwrap());
    documents.filter(|object| !object.is_null()).collect()
}

/// The only one of a kind.
pub fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("there is no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    first
}
