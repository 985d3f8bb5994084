//! pgherd-controller.
