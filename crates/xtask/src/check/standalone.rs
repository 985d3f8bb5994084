//! Nothing reads what is outside of the repository, and no file names a package registry's host: where crates and
//! packages come from is the machine's own configuration.

use crate::tree;
use std::path::Path;

/// Put together here, so that this file does not contain them.
fn forbidden() -> Vec<(String, &'static str)> {
    let host = |name: &str, domain: &str| (format!("{name}.{domain}"), "names the host of a package registry");
    vec![
        (["..", "shared"].join("/"), "reads what is outside of the repository"),
        (["/work", "shared"].join("/"), "reads what is outside of the repository"),
        host("crates", "io"),
        host("pypi", "org"),
        host("registry.npmjs", "org"),
        host("deb.debian", "org"),
        host("proxy.golang", "org"),
        host("files.pythonhosted", "org"),
    ]
}

pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let forbidden = forbidden();
    let mut wrong = Vec::new();
    for path in tree::files(root)?.into_iter().filter(|path| path != Path::new("Cargo.lock")) {
        // A file that is no text has no such line.
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else { continue };
        for (index, line) in text.lines().enumerate() {
            for (_, why) in forbidden.iter().filter(|(word, _)| line.contains(word.as_str())) {
                wrong.push(format!("{}:{}: {why}", path.display(), index.saturating_add(1)));
            }
        }
    }
    Ok(wrong)
}
