//! pgherd-postgres.
