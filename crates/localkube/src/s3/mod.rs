//! S3 for the cluster: a folder served in this process, or a real endpoint of the host; before either a switch that turns
//! it off, slows it down, or makes it answer errors.

mod embedded;
mod faulty;
mod gate;

pub use embedded::{S3Error, serve_folder};
pub use gate::{Behind, S3Fault, S3Gate};
