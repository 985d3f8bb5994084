//! The HTTP face of the store.

mod answer;
mod apply;
mod auth;
mod body;
mod listener;
mod pages;
mod paths;
mod protobuf;
mod query;
mod resources;
mod reviews;
mod scale;
mod server;
mod streams;
mod tls;

pub use server::{ApiConfig, ApiServer, LogOptions, LogStream, PodLogs, ServerError};
pub use tls::{Credentials, TlsError, load_or_create};
