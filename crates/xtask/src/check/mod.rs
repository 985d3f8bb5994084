//! The checks. Each says everything that is wrong, not only the first thing.

mod deny;
mod dependencies;
mod drift;
mod failures;
mod features;
mod fields;
mod purity;
mod reads;
mod sizes;
mod standalone;

use std::path::Path;

/// Runs all checks and prints what each found; whether nothing is wrong.
pub fn run(root: &Path) -> anyhow::Result<bool> {
    let mut good = true;
    for (name, wrong) in [
        ("generated files equal the code", drift::check(root)?),
        ("dependencies point down", dependencies::check(root)?),
        ("no dependency is built twice", features::check(root)?),
        ("licences, crates and sources are those of deny.toml", deny::check(root)?),
        ("core has no effects", purity::check(root)?),
        ("files are small", sizes::check(root)?),
        ("the project stands alone", standalone::check(root)?),
        ("every failure is shown by a test that exists, or said not to be", failures::check(root)?),
        ("every accepted field is read by somebody, or listed", fields::check(root)?),
    ] {
        println!("{} {name}", if wrong.is_empty() { "ok   " } else { "WRONG" });
        for line in &wrong {
            println!("      {line}");
        }
        good &= wrong.is_empty();
    }
    Ok(good)
}
