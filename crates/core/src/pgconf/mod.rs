//! PostgreSQL's configuration as text: a pure function of what the user wants, where things lie, and the role.
//!
//! `postgresql.conf` of initdb stays as it is, but for three lines at its end ([`render::with_includes`]): it
//! includes `custom.conf` (parameters) and `override.conf` (replication), as CNPG does, and last of all
//! `synchronous.conf` ([`standbys`]).

pub mod conninfo;
pub mod defaults;
pub mod firstborn;
pub mod fixed;
pub mod floor;
pub mod hba;
pub mod ident;
pub mod ldap;
pub mod parse;
pub mod preload;
pub mod quote;
pub mod recovery;
pub mod render;
pub mod standbys;

pub use conninfo::Upstream;
pub use fixed::{Reserved, reserved};
pub use render::{ArchiveMode, Facts, Inputs, Paths, RenderError, Rendered, Role, render};
