//! Structural schemas of custom resources: pruning, defaulting and validation, each a pure function.
//!
//! CEL rules (`x-kubernetes-validations`) are accepted and not evaluated.

mod default;
mod prune;
mod validate;

#[cfg(test)]
mod tests;

pub use default::{apply_defaults, check_defaults};
pub use prune::prune;
pub use validate::validate;
