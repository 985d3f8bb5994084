//! The manager: a shell around `pgherd_core::instance`.
//!
//! One driver owns the machine. Watches of the API, the sampler, the HTTP server and the monitors of processes send
//! it events; it carries out the commands that come back, one effect family a file in `effects`. The archive works
//! beside it on a socket of its own. If this process dies, everything of its pod dies with it: it is PID 1.

pub mod alter_system;
pub mod app;
pub mod app_password;
pub mod archive;
pub mod archiving;
pub mod backups;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod cluster_api;
pub mod condition;
pub mod config;
pub mod configuration;
pub mod context;
pub mod drill;
pub mod driver;
pub mod duty;
pub mod effects;
pub mod events;
pub mod extensions;
pub mod holder_tail;
pub mod http;
pub mod ldap;
pub mod leftovers;
pub mod link;
pub mod metrics;
pub mod panics;
pub mod preview;
pub mod publish;
pub mod queries;
pub mod quorum;
pub mod recovery;
pub mod retention;
mod roles;
pub mod sampler;
pub mod slots;
pub mod spare_session;
pub mod store_settings;
pub mod synchrony;
pub mod tasks;
pub mod watchdog;
