//! What the documentation shows of the measurements: a table in the README, and the picture of one failover.

use super::report::{Measured, Report};
use super::scenario::SCENARIOS;
use super::trace::{Event, Trace};
use crate::chaos::Configuration;
use core::fmt::Write as _;
use pgherd_localkube::trace::{Mark, picture as drawn};

/// Where the table stands in a page.
const BEGIN: &str = "<!-- measured: written by failover-page -->\n";
const END: &str = "<!-- /measured -->\n";

/// The picture of a trace, as SVG, from its first event on.
#[must_use]
pub fn picture(trace: &Trace) -> String {
    let first = trace.events.iter().map(|event| event.at_s).reduce(f64::min).unwrap_or_default();
    let mark =
        |Event { at_s, who, what }: &Event| Mark { at: (at_s - first) * 1_000.0, who: who.clone(), what: what.clone() };
    drawn(trace.events.iter().map(mark))
}

/// The table: a line for each scenario that was measured, and below it where the numbers are from.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut out =
        "| what happens to the primary | aimed at | asynchronous, as in the example | `any 1`, `required` |\n\
                   |---|---|---|---|\n"
            .to_owned();
    for scenario in &SCENARIOS {
        // One that was asked for twice has two results, and shows both.
        let cell = |configuration: Configuration| {
            let is_meant = |one: &&Measured| {
                one.scenario == scenario.name
                    && one.clients == scenario.clients
                    && one.configuration == configuration.name()
            };
            report.scenarios.iter().filter(is_meant).map(seconds).collect::<Vec<_>>().join("; ")
        };
        let (asynchronous, synchronous) = (cell(Configuration::Asynchronous), cell(Configuration::Synchronous));
        if asynchronous.is_empty() && synchronous.is_empty() {
            continue;
        }
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
        let _infallible = writeln!(
            out,
            "| {} | {} s | {} | {} |",
            scenario.words(),
            scenario.budget_s,
            shown(asynchronous),
            shown(synchronous)
        );
    }
    let sum = |pick: fn(&Measured) -> u64| report.scenarios.iter().map(pick).sum::<u64>();
    let least = report.scenarios.iter().map(|one| one.runs).min().unwrap_or_default();
    let host = &report.head.host;
    let _infallible = write!(
        out,
        "\nFrom the last acknowledged row to the first one on the new timeline: the median, and what 99 in 100 runs did not exceed,\n\
         of {least} runs or more each. {} rows were acknowledged; {} of them were lost, {} of those where the old volume could be\n\
         read or a standby had to acknowledge; {} were written twice.\n\
         `{}`, commit {}, {}, {} cores, {} MiB, {}.\n",
        sum(|one| one.acknowledged),
        sum(|one| one.lost_acknowledged),
        sum(|one| if one.may_lose { 0 } else { one.lost_acknowledged }),
        sum(|one| one.double_writes),
        report.head.command,
        report.head.commit.get(..12).unwrap_or(&report.head.commit),
        report.head.started_at.get(..10).unwrap_or(&report.head.started_at),
        host.cores,
        host.memory_mib,
        host.build,
    );
    out
}

/// A page with its table replaced; `None` if it has no place for one.
#[must_use]
pub fn replaced(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

fn seconds(measured: &Measured) -> String {
    format!("{:.2} s, {:.2} s", measured.p50_s, measured.p99_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_what_was_measured_and_says_what_was_lost() {
        let mut hidden = Measured::new(&SCENARIOS[6], Configuration::Asynchronous);
        hidden.add(8.123, true);
        hidden.lost_acknowledged = 3;
        let mut read = Measured::new(&SCENARIOS[0], Configuration::Synchronous);
        read.add(0.456, true);
        let said = table(&Report { scenarios: vec![hidden, read], ..Report::default() });
        assert!(said.contains("s | - | 0.46 s, 0.46 s |\n") && said.contains("| 8.12 s, 8.12 s | - |\n"), "{said}");
        assert_eq!(said.matches("\n| ").count(), 2, "{said}");
        assert!(said.contains("3 of them were lost, 0 of those where"), "{said}");
    }

    #[test]
    fn a_table_replaces_the_one_before_and_nothing_else() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(replaced(&page, "new\n").unwrap(), format!("a\n{BEGIN}new\n{END}b\n"));
        assert!(replaced("a\n", "new\n").is_none());
    }

    #[test]
    fn every_event_is_in_the_picture_and_text_cannot_break_it() {
        let event = |at_s, who: &str, what: &str| Event { at_s, who: who.to_owned(), what: what.to_owned() };
        let events = vec![event(-0.1, "client", "last row"), event(0.4, "c-2", "a < b & c")];
        let svg = picture(&Trace { events, ..Trace::default() });
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("a &lt; b &amp; c"), "{svg}");
    }
}
