//! The cluster's network: a network namespace of its own with a bridge, a runtime whose threads live in it, services as TCP
//! proxies that follow readiness, and the only openings to the host, on 127.0.0.1.
//!
//! A socket belongs to the namespace of the thread that made it. The daemon has therefore two runtimes: the cluster's, on
//! which nearly everything runs, and the host's, which only makes sockets ([`host::HostSide`]).

pub mod address;
mod error;
pub mod forward;
pub mod host;
pub mod hosts;
pub mod link;
pub mod namespace;
pub mod proxy;
pub mod relay;
pub mod services;
pub mod valve;

pub use error::NetError;
