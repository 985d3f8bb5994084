//! Everything of pgherd that crosses a process boundary: the API group `postgresql.cnpg.io/v1`, the managers'
//! HTTP, the lease, and the names of objects, labels, annotations and secret keys.
//!
//! Neighbours: [`pgherd_core`] has the values and the rules; the manager, the controller, the local API server
//! and the tools speak in the types of this crate. Field names are CNPG's wherever CNPG has the field, since the
//! tools that people already use read them. What is generated from here (CRDs, JSON schema, OpenAPI) is
//! committed, and `cargo run -p xtask -- check` holds it against the code.

pub mod backup;
pub mod cel;
pub mod cluster;
pub mod control;
pub mod database;
pub mod database_objects;
pub mod database_role;
pub mod definitions;
pub mod differences;
pub mod event;
pub mod failover_quorum;
pub mod finding;
pub mod image_catalog;
pub mod labels;
pub mod lease;
pub mod member;
pub mod names;
pub mod pooler;
pub mod publication;
pub mod queries;
pub mod reclaim;
pub mod scheduled_backup;
pub mod schema;
pub mod secrets;
pub mod status;
pub mod subscription;
mod suggest;
pub mod unsupported;
pub mod validate;
pub mod watching;
