//! `model [bounded|long|taste] [RUN..]` checks; `model mutants [NAME..]` sees whether mistakes are noticed; `model
//! list` says what there is; `model table` prints the last report for the documentation. `MODEL=long` is the default
//! of `make model`; `MODEL_HEAL=n` heals one of n states of every lease run.

use anyhow::{Context, ensure};
use pgherd_model::mutants;
use pgherd_model::report::Report;
use pgherd_model::runs::{Budget, Outcome, Run};
use pgherd_model::table::TABLE;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (verb, rest) = args.split_first().map_or(("", &[][..]), |(verb, rest)| (verb.as_str(), rest));
    match verb {
        "list" => {
            TABLE.iter().for_each(|run| println!("{:<24} {}", run.name, run.about));
            Ok(())
        }
        "table" => {
            print!("{}", Report::open().table());
            Ok(())
        }
        "mutants" => {
            let mut report = Report::open();
            let verdicts = mutants::hunt(rest)?;
            println!("{} of {} caught", verdicts.iter().filter(|v| v.caught_by.is_some()).count(), verdicts.len());
            mutants::record(&mut report, verdicts)
        }
        "json" => {
            let (budget, names) = rest.split_first().context("say which budget")?;
            let budget = Budget::named(budget).context("no such budget")?;
            let mut outcomes = Vec::new();
            for run in chosen(names) {
                let outcome = run.go(budget);
                let found = !outcome.violations.is_empty();
                outcomes.push(outcome);
                if found {
                    break;
                }
            }
            println!("{}", serde_json::to_string(&outcomes)?);
            Ok(())
        }
        _ => {
            let env = std::env::var("MODEL").unwrap_or_else(|_| "bounded".to_owned());
            let (budget, names) = match Budget::named(verb) {
                Some(budget) => (budget, rest),
                None => (Budget::named(&env).context("MODEL is bounded or long")?, args.as_slice()),
            };
            check(budget, names)
        }
    }
}

fn chosen(names: &[String]) -> impl Iterator<Item = &'static Run> {
    TABLE.iter().filter(move |run| names.is_empty() || names.iter().any(|name| name == run.name))
}

fn check(budget: Budget, names: &[String]) -> anyhow::Result<()> {
    let mut report = Report::open();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for run in chosen(names) {
        let outcome = run.go(budget);
        println!(
            "{:<24} {:>9} states, depth {:>3}, {}, {:.1} s",
            outcome.name,
            outcome.states,
            outcome.depth,
            outcome.end(),
            outcome.seconds
        );
        for broken in &outcome.violations {
            println!("  VIOLATION {}: {}\n    {}", broken.property, broken.detail, broken.trace.join("\n    "));
        }
        outcomes.push(outcome);
    }
    ensure!(!outcomes.is_empty(), "no such run; `model list` says which there are");
    report.ran(outcomes);
    report.write()?;
    println!("{} states, {} violations", report.states, report.violations);
    ensure!(report.violations == 0, "a rule is broken: see above");
    let short = report.not_exhausted();
    ensure!(
        budget != Budget::Long || short.is_empty(),
        "cut off, although they are to be exhausted: {}",
        short.join(", ")
    );
    Ok(())
}
