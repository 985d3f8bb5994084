//! A timeline as a picture: a lane for everybody, time from left to right.

use std::collections::BTreeMap;

use super::{said, short, since_first};
use crate::daemon::Event;

const WIDTH: f64 = 1_400.0;
const MARGIN: f64 = 8.0;
/// What a bold letter takes at the most.
const LETTER: f64 = 7.5;
const RIGHT: f64 = 30.0;
const ROW: f64 = 16.0;
const GAP: f64 = 14.0;

/// A point of a picture.
pub struct Mark {
    /// Milliseconds after the picture's left edge.
    pub at: f64,
    /// Whose lane it is in.
    pub who: String,
    /// What stands beside it.
    pub what: String,
}

/// The picture of an event log.
pub fn svg(events: &[Event]) -> String {
    picture(since_first(events).map(|(at, event)| Mark { at, who: short(&event.who), what: said(event) }))
}

/// The picture; every mark has a row of its own in its lane, so that no words lie over others.
pub fn picture(marks: impl IntoIterator<Item = Mark>) -> String {
    let mut lanes: BTreeMap<String, Vec<(f64, String)>> = BTreeMap::new();
    for Mark { at, who, what } in marks {
        lanes.entry(who).or_default().push((at, what));
    }
    let span = lanes.values().flatten().map(|(at, _)| *at).fold(1.0, f64::max);
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    // The longest name has its place: a dot at 0 ms does not lie on it.
    let longest = lanes.keys().map(|who| who.chars().count()).max().unwrap_or_default();
    let left = 2.0 * MARGIN + count(longest) * LETTER;
    let x = |at: f64| left + at / span * (WIDTH - left - RIGHT);
    let rows: usize = lanes.values().map(Vec::len).sum();
    let height = 40.0 + count(rows) * ROW + count(lanes.len()) * GAP;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let step = round_step(span);
    for at in (0..=10_u32).map(|tick| f64::from(tick) * step).take_while(|at| *at <= span) {
        let place = x(at);
        line(format!("<line x1=\"{place:.1}\" y1=\"24\" x2=\"{place:.1}\" y2=\"{height}\" stroke=\"#e4e4e4\"/>"));
        line(format!("<text x=\"{place:.1}\" y=\"16\" text-anchor=\"middle\" fill=\"#666666\">{at:.0} ms</text>"));
    }
    let mut y = 40.0;
    for (who, told) in &lanes {
        line(format!("<text x=\"{MARGIN}\" y=\"{y:.1}\" font-weight=\"bold\">{}</text>", escaped(who)));
        for (at, words) in told {
            let place = x(*at);
            let (anchor, beside) = if place > WIDTH * 0.6 { ("end", place - 7.0) } else { ("start", place + 7.0) };
            let dot = y - 4.0;
            line(format!("<circle cx=\"{place:.1}\" cy=\"{dot:.1}\" r=\"3.5\" fill=\"{}\"/>", colour(who)));
            line(format!("<text x=\"{beside:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(words)));
            y += ROW;
        }
        y += GAP;
    }
    line("</svg>".to_owned());
    out
}

/// Between two lines of the scale: 1, 2 or 5 with zeros, and no more than ten of them.
fn round_step(span: f64) -> f64 {
    let mut step = 1.0;
    loop {
        for round in [step, 2.0 * step, 5.0 * step] {
            if round * 10.0 >= span {
                return round;
            }
        }
        step *= 10.0;
    }
}

fn colour(who: &str) -> &'static str {
    match who.split(' ').next().unwrap_or_default() {
        "fault" => "#c62828",
        "lease" => "#1565c0",
        "cluster" => "#6a1b9a",
        _ => "#2e7d32",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::round_step;

    #[test]
    fn the_scale_has_round_numbers_and_at_most_ten_of_them() {
        for (span, step) in [(1.0, 1.0), (10.0, 1.0), (11.0, 2.0), (6_469.0, 1_000.0), (52_000.0, 10_000.0)] {
            assert!((round_step(span) - step).abs() < 1e-9, "{span}");
        }
    }
}
