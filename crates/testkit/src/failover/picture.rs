//! A trace as a picture: one lane for each process, time from left to right, one numbered mark for each event.

use super::trace::{Event, Trace};
use core::fmt::Write as _;
use std::collections::BTreeSet;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 190.0;
const LANE: f64 = 34.0;
const TOP: f64 = 60.0;
const LINE: f64 = 16.0;
const COLOURS: [&str; 6] = ["#3b6ea5", "#b5651d", "#4b8b3b", "#8e4585", "#a52a2a", "#5f6a6a"];

/// The picture of a trace, as SVG.
#[must_use]
pub fn picture(trace: &Trace) -> String {
    let lanes: Vec<&str> =
        trace.events.iter().map(|event| event.who.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    let edge = |pick: fn(f64, f64) -> f64| trace.events.iter().map(|event| event.at_s).reduce(pick).unwrap_or(0.0);
    let (from, to) = (edge(f64::min), edge(f64::max));
    let scale = (WIDTH - LEFT - 40.0) / (to - from).max(0.001);
    let x = |at: f64| (at - from).mul_add(scale, LEFT);
    let y = |who: &str| {
        f64::from(u32::try_from(lanes.iter().position(|lane| *lane == who).unwrap_or(0)).unwrap_or(0))
            .mul_add(LANE, TOP)
    };
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(0));
    let legend = count(lanes.len()).mul_add(LANE, TOP) + 30.0;
    let height = count(trace.events.len()).mul_add(LINE, legend) + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"20\" y=\"26\" font-size=\"15\">{}, {}: {:.3} s without an acknowledged row</text>\n",
        escaped(&trace.scenario),
        escaped(&trace.configuration),
        trace.gap_s
    );
    for (index, lane) in lanes.iter().enumerate() {
        let (colour, at) = (colour(index), y(lane));
        let _infallible = writeln!(
            svg,
            "<text x=\"20\" y=\"{:.1}\" fill=\"{colour}\">{}</text><line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ccc\"/>",
            at + 4.0,
            escaped(lane),
            WIDTH - 20.0
        );
    }
    for (number, event) in trace.events.iter().enumerate() {
        let Event { at_s, who, what } = event;
        let lane = lanes.iter().position(|lane| lane == who).unwrap_or(0);
        let (line, colour) = (count(number).mul_add(LINE, legend), colour(lane));
        let _infallible = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\" font-size=\"8\">{}</text>\
             <text x=\"20\" y=\"{line:.1}\" fill=\"{colour}\">{}  {at_s:+.3} s  {}: {}</text>",
            x(*at_s),
            y(who),
            x(*at_s) - 3.0,
            y(who) - 7.0,
            number + 1,
            number + 1,
            escaped(who),
            escaped(what)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn colour(lane: usize) -> &'static str {
    COLOURS.get(lane % COLOURS.len()).copied().unwrap_or("black")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_in_the_picture_and_text_cannot_break_it() {
        let event = |at_s, who: &str, what: &str| Event { at_s, who: who.to_owned(), what: what.to_owned() };
        let events = vec![event(0.0, "fault", "kill"), event(0.4, "c-2", "a < b & c")];
        let svg = picture(&Trace { scenario: "x".into(), gap_s: 0.5, events, ..Trace::default() });
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("a &lt; b &amp; c") && svg.contains("+0.400 s"), "{svg}");
    }
}
