//! The cluster's certificates: those that are made and those that the user brings, and what of them the instances use.
//!
//! Managers read one Secret, `<cluster>-instance-tls`, and it changes as a whole. Two planes are in it. What the managers
//! and the controller show each other is always of the cluster's own authority, so that nothing that a user brings can
//! keep an election from being held. What postgres shows and believes is of the user's, where there is one.

mod compose;
mod names;
mod sources;

pub use compose::compose;
pub use names::{CertificateNames, service_names};
pub use sources::{Sources, own, text, trust_changed};
