//! pgherd-objectstore.
