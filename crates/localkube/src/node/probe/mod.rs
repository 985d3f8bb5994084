//! Probes: what the kubelet asks containers, and what it makes of the answers.

mod count;
mod request;
mod run;

pub use count::{Counter, Verdict};
pub use request::AnyCertificate;
pub use run::{ProbeKind, ProbeResult, run};
