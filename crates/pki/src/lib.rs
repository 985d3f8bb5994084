//! The cluster's certificates: an authority of its own, leaves signed by it, their rotation, TLS settings.
//!
//! Neighbours: the controller makes and renews, the manager serves and dials with what it is given as PEM.
//! `now` is an argument. Keys are ECDSA P-256; TLS is 1.3 with ring.

mod authority;
mod fit;
mod leaf;
mod rotate;
mod sec1;
mod tls;

pub use authority::{Authority, PkiError};
pub use fit::{Unfit, fits_client, fits_server};
pub use leaf::{Leaf, Usage};
pub use rotate::{
    LIFETIME, RENEW_BEFORE, Validity, common_name, first_certificate, is_for_names, is_signed_by, renewal_due,
    split_certificates,
};
pub use tls::{ClientIdentity, TlsError, client_config, server_config};

#[cfg(test)]
mod tests;
