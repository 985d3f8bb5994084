//! What is generated and committed is what would be generated now.

use crate::generate;
use std::path::Path;

pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let differs = |path: &Path, text: &str| std::fs::read_to_string(root.join(path)).ok().as_deref() != Some(text);
    let stale = generate::files()?.into_iter().filter(|(path, text)| differs(path, text));
    Ok(stale.map(|(path, _)| format!("{}: run `cargo run -p xtask -- generate`", path.display())).collect())
}
