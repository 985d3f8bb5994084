//! What kubectl says against the small API server, held against what it says against a real one.
//!
//! `steps.sh` was run against a kube-apiserver (`tests/tools/kubectl-answers.sh` does it anew), which left
//! `kubectl.txt`; here it runs against ours. `differs.txt` lists the steps whose answers differ on
//! purpose, with the reason: the recorded server is an older one.

use crate::server::Running;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const RECORDED: &str = include_str!("kubectl.txt");
const ON_PURPOSE: &str = include_str!("differs.txt");

/// The answers by command; the second time that a command is given it has ` (2)` behind it, and so on.
fn steps(text: &str) -> BTreeMap<String, String> {
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    let blocks = text.split("\n$ ").skip(1).map(|block| {
        let (command, answer) = block.split_once('\n').unwrap_or((block, ""));
        // A headline belongs to nobody.
        let lines: Vec<_> = answer.lines().filter(|line| !line.starts_with("# ")).collect();
        let count = times.entry(command).or_default();
        *count += 1;
        let name = if *count == 1 { command.to_owned() } else { format!("{command} ({count})") };
        (name, lines.join("\n").trim().to_owned())
    });
    blocks.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_answers_as_against_a_real_api_server() {
    let server = Running::start().await;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = directory.join("../..").canonicalize().unwrap();
    let ours = server.script(&directory.join("tests/answers/steps.sh"), &root).await;
    let (real, ours) = (steps(RECORDED), steps(&ours));
    let differs: BTreeSet<&str> = ON_PURPOSE.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    let mut wrong = Vec::new();
    for (command, answer) in &real {
        let same = ours.get(command) == Some(answer);
        if !same && !differs.contains(command.as_str()) {
            let here = ours.get(command).map_or("(not run)", String::as_str);
            wrong.push(format!("$ {command}\n--- real\n{answer}\n--- ours\n{here}\n"));
        }
        if same && differs.contains(command.as_str()) {
            wrong.push(format!("$ {command}\nis the same: take it out of differs.txt\n"));
        }
    }
    assert!(real.len() > 80, "only {} steps are recorded", real.len());
    assert!(wrong.is_empty(), "{} of {} answers differ:\n\n{}", wrong.len(), real.len(), wrong.join("\n"));
    server.stop().await;
}
