//! The chart: rendered in every mode of its values by the real Helm, held against the schemas of several versions of
//! Kubernetes, and installed, upgraded, rolled back and uninstalled.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test"
)]

mod alerts;
mod helm;
mod install;
mod posture;
mod render;
mod values;
