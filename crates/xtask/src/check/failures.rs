//! `docs/failures.md` and the list of faults against the tests: every test that they name exists, and a line that names
//! none says so.

use crate::tree;
use anyhow::Context;
use std::collections::BTreeSet;
use std::path::Path;

const PAGES: [&str; 2] = ["docs/failures.md", "docs/reference/faults.md"];
const NONE: &str = "**no test**";

pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut tests = BTreeSet::new();
    for (path, code) in tree::rust(root)? {
        // A test program without a harness has its own main; its scenarios are its functions.
        let program = path.components().any(|part| part.as_os_str() == "tests") && code.contains("\nfn main() {");
        tests.extend(tests_of(&code, program).map(str::to_owned));
    }
    let mut found = Vec::new();
    for name in PAGES {
        let page = std::fs::read_to_string(root.join(name)).context(name)?;
        found.extend(wrong(name, &page, &tests));
    }
    Ok(found)
}

/// The functions of which an attribute says that they are tests, or all of them.
fn tests_of(code: &str, all: bool) -> impl Iterator<Item = &str> {
    let mut marked = false;
    code.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line.starts_with("#[") {
            marked |= line.starts_with("#[test]") || line.contains("::test");
            return None;
        }
        let signature = line.trim_start_matches("pub ").trim_start_matches("async ");
        let name = signature.strip_prefix("fn ")?.split(['(', '<']).next()?;
        let found = marked || all;
        marked = false;
        found.then_some(name)
    })
}

fn wrong(name: &str, page: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (index, line) in
        page.lines().enumerate().filter(|(_, line)| line.starts_with("| ") && !line.contains("shown by"))
    {
        let at = format!("{name}:{}", index.saturating_add(1));
        let shown = line.trim_end_matches(['|', ' ']).rsplit('|').next().unwrap_or_default();
        let names: Vec<_> = shown.split('`').skip(1).step_by(2).collect();
        if names.is_empty() && !shown.contains(NONE) {
            wrong.push(format!("{at}: names no test; if there is none, it has to say {NONE}"));
        }
        let unknown = names.into_iter().filter(|name| !tests.contains(*name));
        wrong.extend(unknown.map(|name| format!("{at}: there is no test {name}")));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_what_an_attribute_says_is_one() {
        let code = "#[test]\nfn a() {}\nfn b() {}\n#[tokio::test(start_paused = true)]\n#[allow(x)]\nasync fn c() {}\n";
        assert_eq!(tests_of(code, false).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(tests_of(code, true).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn a_line_names_tests_that_exist_or_says_that_there_is_none() {
        let tests = BTreeSet::from(["a_b".to_owned()]);
        let page =
            "| what | shown by |\n|---|---|\n| x | `a_b` |\n| `y` | **no test** |\n| z | `a_c`, `a_b` |\n| w | |\n";
        assert_eq!(
            wrong("docs/failures.md", page, &tests),
            [
                "docs/failures.md:5: there is no test a_c",
                "docs/failures.md:6: names no test; if there is none, it has to say **no test**"
            ]
        );
    }
}
