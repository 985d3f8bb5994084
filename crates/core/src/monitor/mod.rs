//! What queries of metrics need to have decided: on which versions one runs, in which databases, and what number a text of
//! postgres' is (CNPG, "Monitoring", user-defined metrics).

mod pattern;
mod range;
mod value;

pub use pattern::{is_pattern, matches};
pub use range::{Range, RangeError, server_version};
pub use value::{number, numbers};
