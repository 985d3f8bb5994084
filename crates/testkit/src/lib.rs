//! pgherd-testkit.
