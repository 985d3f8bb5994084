//! pgherd-pki.
