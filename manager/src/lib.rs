//! pgherd-manager.
