//! pgherd-proto.
