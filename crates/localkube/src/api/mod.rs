//! A small Kubernetes API server as a library: the API of the test bed behind `pgherd local`.
//!
//! Purpose: the real manager, controller and `kubectl` talk to it as to any cluster. It stores objects with one global
//! resourceVersion in an append-only journal, serves list and watch, create, update, the patch formats, status and scale
//! subresources, custom resources with structural schemas, tables and discovery.
//!
//! RBAC is enforced where its caller says so, with the real server's rule that nobody gives more than he has.
//!
//! What it does not do: CEL rules are not evaluated, admission webhooks are stored and never called. It is a test bed, not
//! a production API.
//!
//! Neighbours: the node of this crate uses [`Store`] without HTTP and gives the hooks ([`ClusterIps`], [`PodLogs`]);
//! everyone else comes over HTTP. Pure parts (`fields`, `patch`, `schema`, `selector`, `table`, `lifecycle`, `builtin`) know
//! neither the store nor HTTP.
//!
//! Invariants: a change is in the journal before it is seen; versions only grow, also over restarts; a watch misses no
//! change or is told so (410).

mod builtin;
mod crd;
mod discovery;
mod error;
mod fault;
mod fields;
mod http;
mod lifecycle;
mod names;
pub(crate) mod object;
mod openapi;
mod patch;
mod rbac;
mod registry;
mod resource;
mod schema;
mod selector;
mod store;
mod table;
mod token;

pub use builtin::ClusterIps;
pub use error::{ApiError, Cause};
pub use fault::{Cut, FaultSwitch, Faults};
pub use http::{
    ApiConfig, ApiServer, Credentials, LogOptions, LogStream, PodLogs, ServerError, TlsError, load_or_create,
};
pub use lifecycle::DeleteOptions;
pub use object::Object;
pub use resource::{GroupResource, ResourceInfo};
pub use selector::LabelSelector;
pub use store::{ChangeKind, JournalError, Listed, Order, Store, Upstream, WatchStart, Watcher, Wish};
pub use token::Identity;
