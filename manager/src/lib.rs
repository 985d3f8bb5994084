//! pgherd-manager.

pub mod http;
pub mod metrics;
pub mod sampler;
