//! pgherd-backup.
