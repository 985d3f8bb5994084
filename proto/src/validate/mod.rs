//! Everything that is to be said about a manifest before it is acted on: the rules of [`pgherd_core::rules`] on the
//! fields they are about, what does nothing here, and what the user should know.
//!
//! Used by `pgherd validate`; by `pgherd local up`, which refuses objects that are new and invalid; and by the
//! controller, which keeps the last valid spec in force while one is not. No API server asks: an edit of a cluster that
//! is there always reaches the controller, and what is wrong with it is said in the status.

mod advice;
mod bootstrap;
mod change;
mod cluster;
#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod documentation_tests;
mod managed;
mod manifest;
mod object_store;
mod objects;
mod people;
mod places;
mod pods;
mod references;
#[cfg(test)]
mod roundtrip_tests;
mod schedule;
mod synchronous;
#[cfg(test)]
mod tests;
mod volumes;

pub use change::change;
pub use cluster::cluster;
pub use manifest::{Checked, manifest, manifests};
pub use people::for_people;
pub use schedule::{backup, scheduled_backup};

use crate::finding::{Finding, Kind};

/// The findings of rules: each result that is an error, at its path.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn rule<T, E: std::error::Error>(&mut self, path: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.0.push(Finding::new(Kind::Invalid, path, chain(&error)))).ok()
    }

    fn invalid(&mut self, path: &str, message: &str) {
        self.0.push(Finding::new(Kind::Invalid, path, message));
    }

    fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    fn into_findings(mut self) -> Vec<Finding> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}

/// An error and what caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
