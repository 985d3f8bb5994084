//! One HTTPS request to a manager, by its pod's IP address: how the controller asks the members, and how
//! they ask each other.
//!
//! It stands below `manager` and `controller` and knows neither; who is trusted and which certificate is shown
//! is in the TLS configuration that the caller brings (`pki`). Every request is bounded, in time from the dialling
//! to the last byte, and in the size of the answer; nothing of it outlives the future that it runs in.

mod call;
mod error;
mod exchange;
#[cfg(test)]
mod tests;

pub use call::{Call, ask, ask_json};
pub use error::{CallError, ExchangeError};
