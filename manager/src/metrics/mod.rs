//! `/metrics`: CNPG's names, so that existing dashboards and alerts go on working, and a few of our own.
//!
//! Rendered by a pure function from the same view that the probes answer from. A number that is not known is
//! left out, never shown as zero.

mod backup;
mod cnpg;
mod own;
mod registry;
mod replication;
mod text;
mod wal;

use crate::http::View;

pub use registry::Registry;
pub use text::{Exposition, Histogram, Kind, float};

/// The whole page in Prometheus' text format.
#[must_use]
pub fn render(view: &View, registry: &Registry) -> String {
    let mut page = Exposition::default();
    cnpg::collector(&mut page, view);
    wal::wal(&mut page, view);
    replication::replication(&mut page, view);
    cnpg::archiver(&mut page, view);
    backup::backups(&mut page, view);
    own::instance(&mut page, view, registry);
    page.into_text()
}

#[cfg(test)]
mod tests;
