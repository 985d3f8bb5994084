//! Who asks for a recovery: a new Cluster's `bootstrap.recovery`, or a restore of the same one in place.

use pgherd_core::backup::RecoveryTarget;
use pgherd_proto::cluster::{BootstrapRecovery, Cluster, RecoveryError, RestoreStatus};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// The first database of a new Cluster.
    Bootstrap(&'a BootstrapRecovery),
    /// The same Cluster, out of its own archive.
    InPlace(&'a RestoreStatus),
}

impl<'a> Asked<'a> {
    /// What makes the database now; nothing where initdb does.
    #[must_use]
    pub fn of(cluster: &'a Cluster) -> Option<Self> {
        let bootstrap = || cluster.spec.recovery().map(Asked::Bootstrap);
        cluster.restoring().map(Asked::InPlace).or_else(bootstrap)
    }

    /// Where to stop.
    ///
    /// # Errors
    /// [`RecoveryError`] names the field.
    pub fn target(self) -> Result<RecoveryTarget, RecoveryError> {
        match self {
            Asked::Bootstrap(asked) => asked.target(),
            Asked::InPlace(restore) => restore.recovery_target.asked(),
        }
    }

    /// Changes with whatever makes another recovery of it.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Asked::Bootstrap(asked) => serde_json::to_string(&asked.recovery_target).unwrap_or_default(),
            Asked::InPlace(restore) => {
                serde_json::to_string(&(&restore.id, &restore.recovery_target)).unwrap_or_default()
            }
        }
    }

    /// Why it is not done yet, with the way back where there is one.
    #[must_use]
    pub fn failed(self, cluster: &str, why: &str) -> String {
        match self {
            Asked::Bootstrap(_) => format!("bootstrap.recovery: {why}"),
            Asked::InPlace(_) => {
                format!("{why}. It is tried again; `pgherd restore {cluster} --undo` goes back to the old volumes")
            }
        }
    }
}
