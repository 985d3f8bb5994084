//! Rows of answers as families of samples, each sample once: one that is said twice spoils the page.

use crate::metrics::{Exposition, Histogram, Kind, float};
use pgherd_core::monitor::{number, numbers};
use pgherd_core::rules::sizes;
use pgherd_proto::queries::{Column, Query, Usage};
use std::collections::BTreeMap;

type Labels = Vec<(String, String)>;

enum Samples {
    Plain(Kind, BTreeMap<Labels, f64>),
    Histograms(BTreeMap<Labels, Histogram>),
}

struct Family {
    help: String,
    samples: Samples,
}

/// By the names of their metrics.
#[derive(Default)]
pub(super) struct Families(BTreeMap<String, Family>);

impl Families {
    /// Adds a row of a query's answer. A value that is no number is left out.
    ///
    /// # Errors
    /// A column is not there.
    pub(super) fn add<'a>(
        &mut self,
        query: &Query,
        cell: &dyn Fn(&str) -> Option<Option<&'a str>>,
    ) -> Result<(), String> {
        let text = |name: &str| cell(name).ok_or_else(|| format!("there is no column {name} in the answer"));
        let mut labels = Labels::new();
        for column in query.columns.iter().filter(|column| column.usage == Usage::Label) {
            labels.push((column.metric.clone(), text(&column.name)?.unwrap_or_default().to_owned()));
        }
        for column in &query.columns {
            let (kind, value) = match &column.usage {
                Usage::Discard | Usage::Label => continue,
                Usage::Counter => (Kind::Counter, text(&column.name)?.and_then(number)),
                Usage::Gauge => (Kind::Gauge, text(&column.name)?.and_then(number)),
                Usage::Mapped(values) => (Kind::Gauge, text(&column.name)?.and_then(|text| values.get(text)).copied()),
                Usage::Duration => {
                    let milliseconds = text(&column.name)?.and_then(|text| sizes::duration(text).ok());
                    (Kind::Gauge, milliseconds.map(float))
                }
                Usage::Histogram => {
                    self.add_histogram(column, &labels, &text)?;
                    continue;
                }
            };
            let family = self.family(column, || Samples::Plain(kind, BTreeMap::new()));
            if let (Some(value), Samples::Plain(_, samples)) = (value, &mut family.samples) {
                samples.entry(labels.clone()).or_insert(value);
            }
        }
        Ok(())
    }

    fn add_histogram<'a>(
        &mut self,
        column: &Column,
        labels: &Labels,
        text: &dyn Fn(&str) -> Result<Option<&'a str>, String>,
    ) -> Result<(), String> {
        let part = |suffix: &str| text(&format!("{}{suffix}", column.name));
        let (bounds, counts) = (text(&column.name)?.and_then(numbers), part("_bucket")?.and_then(numbers));
        let (sum, count) = (part("_sum")?.and_then(number), part("_count")?.and_then(number));
        let family = self.family(column, || Samples::Histograms(BTreeMap::new()));
        if let (Some(bounds), Some(counts), Some(sum), Some(count)) = (bounds, counts, sum, count)
            && let Samples::Histograms(samples) = &mut family.samples
        {
            let buckets = bounds.into_iter().zip(counts).collect();
            samples.entry(labels.clone()).or_insert(Histogram { buckets, sum, count });
        }
        Ok(())
    }

    fn family(&mut self, column: &Column, empty: impl FnOnce() -> Samples) -> &mut Family {
        let made = || Family { help: column.help.clone(), samples: empty() };
        self.0.entry(column.metric.clone()).or_insert_with(made)
    }

    /// Writes all of them that the page `before` has not.
    pub(super) fn write(&self, page: &mut Exposition, before: &str) {
        for (name, family) in &self.0 {
            if before.contains(&format!("# TYPE {name} ")) {
                continue;
            }
            match &family.samples {
                Samples::Plain(kind, samples) => {
                    let all: Vec<_> = samples.iter().map(|(labels, value)| (borrowed(labels), *value)).collect();
                    page.family(name, *kind, &family.help, all.iter().map(|(labels, value)| (&labels[..], *value)));
                }
                Samples::Histograms(samples) => {
                    let all: Vec<_> = samples.iter().map(|(labels, value)| (borrowed(labels), value)).collect();
                    page.histograms(name, &family.help, all.iter().map(|(labels, value)| (&labels[..], *value)));
                }
            }
        }
    }
}

fn borrowed(labels: &Labels) -> Vec<(&str, &str)> {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
q:
  query: "SELECT"
  metrics:
    - who: {usage: LABEL}
    - total: {usage: COUNTER, description: "How many.\nReally."}
    - state: {usage: MAPPEDMETRIC, metric_mapping: {up: 1, down: 0}}
    - age: {usage: DURATION}
    - took: {usage: HISTOGRAM}
    - note: {usage: DISCARD}
"#;

    fn rows(all: &[[Option<&'static str>; 8]]) -> Result<String, String> {
        let query = pgherd_proto::queries::parse(FILE).unwrap().known.remove("q").unwrap();
        let names = ["who", "total", "state", "age", "took", "took_bucket", "took_sum", "took_count"];
        let mut families = Families::default();
        for row in all {
            families.add(&query, &|name| names.iter().position(|known| *known == name).map(|index| row[index]))?;
        }
        let mut page = Exposition::default();
        families.write(&mut page, "# TYPE cnpg_q_state gauge\n");
        Ok(page.into_text())
    }

    #[test]
    fn a_row_is_a_sample_of_each_family_and_none_is_said_twice() {
        let one =
            [Some("a\"b"), Some("3"), Some("up"), Some("1m"), Some("{0.1,1}"), Some("{2,5}"), Some("1.5"), Some("6")];
        let empty = [None, None, None, None, None, None, None, None];
        let page = rows(&[one, one, empty]).unwrap();
        let lines: Vec<&str> = page.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines,
            [
                "# TYPE cnpg_q_age_milliseconds gauge",
                "cnpg_q_age_milliseconds{who=\"a\\\"b\"} 60000",
                "# TYPE cnpg_q_took histogram",
                "cnpg_q_took_bucket{who=\"a\\\"b\",le=\"0.1\"} 2",
                "cnpg_q_took_bucket{who=\"a\\\"b\",le=\"1\"} 5",
                "cnpg_q_took_bucket{who=\"a\\\"b\",le=\"+Inf\"} 6",
                "cnpg_q_took_sum{who=\"a\\\"b\"} 1.5",
                "cnpg_q_took_count{who=\"a\\\"b\"} 6",
                "# TYPE cnpg_q_total counter",
                "cnpg_q_total{who=\"a\\\"b\"} 3",
            ]
        );
        assert!(page.contains("# HELP cnpg_q_total How many.\\nReally.\n"), "{page}");
    }

    #[test]
    fn a_column_that_is_missing_is_named() {
        let yaml = "q: {query: SELECT, metrics: [{there: {usage: GAUGE}}]}";
        let query = pgherd_proto::queries::parse(yaml).unwrap().known.remove("q").unwrap();
        let why = Families::default().add(&query, &|_| None).unwrap_err();
        assert!(why.contains("no column there"), "{why}");
    }
}
