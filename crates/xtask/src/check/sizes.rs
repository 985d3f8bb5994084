//! One purpose a file: the median stays below 150 lines, nothing grows above 500.

use crate::tree;
use std::path::Path;

const MEDIAN: usize = 150;
const MOST: usize = 500;

pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let files = tree::rust(root)?;
    let mut sizes: Vec<usize> = files.iter().map(|(_, text)| text.lines().count()).collect();
    sizes.sort_unstable();
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
    let large = files.iter().map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > MOST);
    let mut wrong: Vec<String> = large
        .map(|(path, lines)| format!("{} has {lines} lines, more than {MOST}: split it", path.display()))
        .collect();
    if median >= MEDIAN {
        wrong.push(format!("the median file has {median} lines, {MEDIAN} or more"));
    }
    let headless = files.iter().filter(|(_, text)| !text.trim_start().starts_with("//!"));
    wrong.extend(headless.map(|(path, _)| format!("{} does not open with its purpose (`//!`)", path.display())));
    Ok(wrong)
}
