//! pgherd-localkube.
