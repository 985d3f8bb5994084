//! Prometheus' text format, version 0.0.4.

use core::fmt::Write;

/// The type line of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// May go down.
    Gauge,
    /// Only goes up while the process lives.
    Counter,
}

/// One sample of a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// How many values are not above each of these bounds.
    pub buckets: Vec<(f64, f64)>,
    /// All values together.
    pub sum: f64,
    /// How many there are.
    pub count: f64,
}

/// A page being written, family by family.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Writes one family: its help and type, then one line per (labels, value). A family without samples is
    /// left out, and so is a value that is not a number.
    pub fn family<'a>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (&'a [(&'a str, &'a str)], f64)>,
    ) {
        let mut opened = false;
        for (labels, value) in samples {
            if value.is_nan() {
                continue;
            }
            if !opened {
                let kind = match kind {
                    Kind::Gauge => "gauge",
                    Kind::Counter => "counter",
                };
                self.open(name, kind, help);
                opened = true;
            }
            self.sample(name, labels, value);
        }
    }

    /// Writes one family of histograms, which is left out without samples.
    pub fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (&'a [(&'a str, &'a str)], &'a Histogram)>,
    ) {
        let mut opened = false;
        for (labels, histogram) in samples {
            if !opened {
                self.open(name, "histogram", help);
                opened = true;
            }
            let bounds = histogram.buckets.iter().map(|(bound, count)| (bound.to_string(), *count));
            for (bound, count) in bounds.chain([("+Inf".to_owned(), histogram.count)]) {
                let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
                self.sample(&format!("{name}_bucket"), &labels, count);
            }
            self.sample(&format!("{name}_sum"), labels, histogram.sum);
            self.sample(&format!("{name}_count"), labels, histogram.count);
        }
    }

    fn open(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One gauge without labels, left out when it is not known.
    pub fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) {
        self.family(name, Kind::Gauge, help, value.map(|value| (&[][..], value)));
    }

    /// One counter without labels.
    pub fn counter(&mut self, name: &str, help: &str, value: Option<u64>) {
        self.family(name, Kind::Counter, help, value.map(|value| (&[][..], float(value))));
    }

    /// The page.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{open}{label}=\"{escaped}\"");
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// 1 for true.
#[must_use]
pub fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

/// A count of things in memory as a sample value.
#[must_use]
pub fn usize_float(count: usize) -> f64 {
    float(u64::try_from(count).unwrap_or(u64::MAX))
}

/// A count as a sample value; exact up to 2^53, which is what the format can carry.
#[expect(clippy::cast_precision_loss, reason = "a Prometheus sample is a double")]
#[must_use]
pub fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_help_its_type_and_its_lines() {
        let mut page = Exposition::default();
        page.family("x", Kind::Counter, "What it is.", [(&[("a", "1"), ("b", "q\"\\\n")][..], 2.0), (&[][..], 0.5)]);
        assert_eq!(
            page.into_text(),
            "# HELP x What it is.\n# TYPE x counter\nx{a=\"1\",b=\"q\\\"\\\\\\n\"} 2\nx 0.5\n"
        );
    }

    #[test]
    fn what_is_not_known_is_left_out_and_not_shown_as_zero() {
        let mut page = Exposition::default();
        page.gauge("x", "Help.", None);
        page.gauge("y", "Help.", Some(f64::NAN));
        assert_eq!(page.into_text(), "");
    }
}
