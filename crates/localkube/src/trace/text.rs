//! A timeline in lines.

use std::fmt::Write as _;

use super::{said, short, since_first};
use crate::daemon::Event;

/// One line an event: milliseconds since the first, who, what.
pub fn text(events: &[Event]) -> String {
    let mut out = String::new();
    let width = events.iter().map(|event| short(&event.who).len()).max().unwrap_or(0).max(16);
    for (at, event) in since_first(events) {
        // Writing to a string cannot fail.
        let _infallible = writeln!(out, "{at:>9.1} ms  {:<width$}  {}", short(&event.who), said(event));
    }
    out
}
