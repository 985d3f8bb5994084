//! The decisions have no clock, randomness, files, environment, processes, threads or network.

use crate::tree;
use std::path::Path;

const FORBIDDEN: &[(&str, &str)] = &[
    ("std::fs", "files are the shells' business"),
    ("std::env", "values of the environment are arguments"),
    ("std::process", "processes are the shells' business"),
    ("std::net", "the network is the shells' business"),
    ("std::os", "the system is the shells' business"),
    ("std::thread", "the shells have the threads"),
    ("std::io", "reading and writing is the shells' business"),
    ("Instant::now", "now is an argument"),
    ("SystemTime", "now is an argument"),
    ("println!", "return it, the shells print"),
    ("async fn", "a decision does not wait"),
    ("rand::", "random values are arguments"),
    ("include_str!(\"/", "the source tree is all there is"),
];

pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (path, text) in tree::rust(root)?.into_iter().filter(|(path, _)| path.starts_with("crates/core/src")) {
        // Tests may read and write golden files.
        let is_test = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        let lines = text.lines().enumerate().take_while(|(_, line)| !is_test && *line != "mod tests {");
        for (index, line) in lines {
            let code = line.split("//").next().unwrap_or_default();
            for (word, why) in FORBIDDEN.iter().filter(|(word, _)| code.contains(word)) {
                wrong.push(format!("{}:{}: {word}: {why}", path.display(), index.saturating_add(1)));
            }
        }
    }
    Ok(wrong)
}
