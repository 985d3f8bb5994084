//! Who owns which fields of an object (`metadata.managedFields`), and server-side apply, which is decided by it.
//!
//! The rules are those of sigs.k8s.io/structured-merge-diff, which the real server uses. Pure functions on JSON.

mod apply;
mod cap;
mod compare;
mod conflict;
mod managers;
mod set;
mod shape;

#[cfg(test)]
mod tests;

pub use apply::apply;
pub use managers::{Managers, Writer, assigned, given, updated};
