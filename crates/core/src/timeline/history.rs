//! `.history` files: which timelines a timeline descends from, and where each was left.
//!
//! Format and checks as `readTimeLineHistory` in `access/transam/timeline.c`: one line per ancestor,
//! `id <TAB> switch point <TAB> reason`, oldest first; empty lines and `#` comments are skipped.

use super::TimelineId;
use crate::lsn::{Lsn, LsnError};
use core::fmt;
use serde::{Deserialize, Serialize};

/// An ancestor, and where its child left it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Switch {
    /// The ancestor.
    pub timeline: TimelineId,
    /// The first byte that is not the ancestor's, but its child's.
    pub lsn: Lsn,
    /// Why, for people; one line.
    pub reason: String,
}

/// A timeline and its ancestors: ids ascend, switch points never go back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct History {
    timeline: TimelineId,
    ancestors: Vec<Switch>,
}

/// The text is not the history of that timeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A line has no timeline id or no switch point.
    #[error("failed to read line {line} of a timeline history: expected an id, a switch point and a reason")]
    Line {
        /// From 1.
        line: usize,
    },
    /// A switch point is not an LSN.
    #[error("failed to read the switch point in line {line} of a timeline history")]
    SwitchPoint {
        /// From 1.
        line: usize,
        /// What was wrong with it.
        #[source]
        source: LsnError,
    },
    /// An ancestor's id is not above the one before it.
    #[error("timeline {0} comes after one with an id as high or higher")]
    Order(TimelineId),
    /// An ancestor was left before it began.
    #[error("timeline {0} would end before it begins")]
    Backwards(TimelineId),
    /// An ancestor's id is not below the timeline's own.
    #[error("timeline {ancestor} cannot be an ancestor of timeline {timeline}")]
    NotAnAncestor {
        /// The highest ancestor.
        ancestor: TimelineId,
        /// The timeline whose history this should be.
        timeline: TimelineId,
    },
    /// Timeline 0 does not exist.
    #[error("there is no timeline 0")]
    Zero,
}

impl History {
    /// The history of timeline 1, or of any timeline without ancestors (there is no file for it).
    #[must_use]
    pub fn of_first(timeline: TimelineId) -> Self {
        Self { timeline, ancestors: Vec::new() }
    }

    /// Checks a history.
    ///
    /// # Errors
    /// [`HistoryError`] if no promotions could have led to it.
    pub fn new(timeline: TimelineId, ancestors: Vec<Switch>) -> Result<Self, HistoryError> {
        if timeline.0 == 0 || ancestors.iter().any(|a| a.timeline.0 == 0) {
            return Err(HistoryError::Zero);
        }
        for (earlier, later) in ancestors.iter().zip(ancestors.iter().skip(1)) {
            if later.timeline <= earlier.timeline {
                return Err(HistoryError::Order(later.timeline));
            }
            if later.lsn < earlier.lsn {
                return Err(HistoryError::Backwards(later.timeline));
            }
        }
        match ancestors.last() {
            Some(last) if last.timeline >= timeline => {
                Err(HistoryError::NotAnAncestor { ancestor: last.timeline, timeline })
            }
            _ => Ok(Self { timeline, ancestors }),
        }
    }

    /// Reads the file `TTTTTTTT.history` of `timeline`, without ancestors that were never reached ([`Self::mended`]).
    ///
    /// # Errors
    /// [`HistoryError`] says which line is wrong; an empty file is timeline 1's.
    pub fn parse(timeline: TimelineId, text: &str) -> Result<Self, HistoryError> {
        Self::new(timeline, reached(lines(text)?)?)
    }

    /// What the file should say, where it names an ancestor that was left before it began.
    ///
    /// A standby takes the newest timeline for its target as soon as it finds the history, which may be long before it
    /// is there; where that timeline's primary is lost meanwhile and the standby is promoted, postgres takes the target
    /// for the parent (`writeTimeLineHistory` is called with `recoveryTargetTLI`). Nobody can follow such a history: the
    /// timeline that was really left would be served beyond its end.
    ///
    /// # Errors
    /// [`HistoryError`] as [`Self::parse`].
    pub fn mended(timeline: TimelineId, text: &str) -> Result<Option<String>, HistoryError> {
        let all = lines(text)?;
        let named = all.len();
        let read = Self::new(timeline, reached(all)?)?;
        Ok((read.ancestors.len() < named).then(|| read.render()))
    }

    /// The file's content, as postgres writes it.
    #[must_use]
    pub fn render(&self) -> String {
        self.to_string()
    }

    /// The timeline that this is the history of.
    #[must_use]
    pub fn timeline(&self) -> TimelineId {
        self.timeline
    }

    /// Its ancestors, oldest first.
    #[must_use]
    pub fn ancestors(&self) -> &[Switch] {
        &self.ancestors
    }

    /// The history after a promotion at `lsn` that made timeline `child`.
    ///
    /// # Errors
    /// [`HistoryError`] if `child` is not a higher id, or `lsn` lies before the last switch.
    pub fn promoted(&self, child: TimelineId, lsn: Lsn, reason: &str) -> Result<Self, HistoryError> {
        let mut ancestors = self.ancestors.clone();
        ancestors.push(Switch { timeline: self.timeline, lsn, reason: one_line(reason) });
        Self::new(child, ancestors)
    }
}

fn lines(text: &str) -> Result<Vec<Switch>, HistoryError> {
    let numbered = (1..).zip(text.lines().map(str::trim));
    let said = numbered.filter(|(_, content)| !content.is_empty() && !content.starts_with('#'));
    said.map(|(line, content)| parse_line(line, content)).collect()
}

/// Leaves out who was left before it began: what was left at that point is the ancestor that the point lies on.
fn reached(ancestors: Vec<Switch>) -> Result<Vec<Switch>, HistoryError> {
    let mut reached: Vec<Switch> = Vec::with_capacity(ancestors.len());
    let mut highest = TimelineId(0);
    for mut left in ancestors {
        if left.timeline <= highest {
            return Err(HistoryError::Order(left.timeline));
        }
        highest = left.timeline;
        while let Some(before) = reached.pop_if(|before| before.lsn > left.lsn) {
            left.timeline = before.timeline;
        }
        reached.push(left);
    }
    Ok(reached)
}

fn parse_line(line: usize, content: &str) -> Result<Switch, HistoryError> {
    let (id, rest) = content.split_once(char::is_whitespace).ok_or(HistoryError::Line { line })?;
    let rest = rest.trim_start();
    let (point, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let digits = id.bytes().all(|b| b.is_ascii_digit());
    let timeline = digits.then(|| id.parse().ok()).flatten().map(TimelineId).ok_or(HistoryError::Line { line })?;
    let lsn = point.parse().map_err(|source| HistoryError::SwitchPoint { line, source })?;
    Ok(Switch { timeline, lsn, reason: one_line(reason) })
}

/// A reason may not end its line early, nor carry blanks that would be lost on the way back.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Switch { timeline, lsn, reason } in &self.ancestors {
            writeln!(f, "{timeline}\t{lsn}\t{reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
pub(crate) mod tests;
