//! pgherd-telemetry.
