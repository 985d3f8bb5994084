//! Rules of built-in kinds: types and unknown fields, defaults, validation and what may not change.

mod check;
mod defaults;
mod pod;
mod service;
mod typed;

#[cfg(test)]
mod tests;

pub use check::{check_create, check_update};
pub use defaults::apply_defaults;
pub use service::{ClusterIps, prepare_service};
pub use typed::{event_as_core, event_as_events, normalise, normalise_metadata};
