//! pgherd-tests.
