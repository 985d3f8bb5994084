//! What a Cluster asks of a recovery, as the decisions want it: validation and the manager read it here.

use super::{
    BackupSource, BarmanObjectStore, BootstrapRecovery, Cluster, ClusterSpec, LocalObjectReference, RecoveryTarget,
};
use crate::labels;
use core::str::FromStr;
use pgherd_core::backup::{self, Target, TargetTimeline};
use pgherd_core::timeline::TimelineId;

/// The application's database and its owner, whichever way the first database is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The database.
    pub database: String,
    /// The role that owns it.
    pub owner: String,
    /// The Secret with its password; `<cluster>-app` where it is not named.
    pub secret: Option<String>,
}

/// The recovery cannot be done as it is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// Neither of `backup` and `source`, or both.
    #[error("name either a backup or a source, and not both")]
    Source,
    /// `source` names no external cluster.
    #[error("source {0:?} is not the name of one of spec.externalClusters")]
    Unknown(String),
    /// The external cluster has no archive.
    #[error("external cluster {0:?} has no barmanObjectStore, from which alone a database is recovered")]
    NoArchive(String),
    /// More than one target.
    #[error("{0} and {1} are both set: a recovery stops at one target")]
    Targets(&'static str, &'static str),
    /// A field that cannot be read.
    #[error("{field} is {value:?}: {wanted}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it should say.
        wanted: &'static str,
    },
}

/// Where the archive is.
#[derive(Clone, Debug, PartialEq)]
pub enum Archive<'a> {
    /// Where this Backup's status says.
    OfBackup(&'a BackupSource),
    /// There, below this server name unless it says another.
    Store(&'a str, &'a BarmanObjectStore),
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

impl ClusterSpec {
    /// `bootstrap.recovery`, if that is how the first database is made.
    #[must_use]
    pub fn recovery(&self) -> Option<&BootstrapRecovery> {
        self.bootstrap.as_ref()?.recovery.as_ref()
    }

    /// The application's database, of `bootstrap.recovery` or `bootstrap.initdb`.
    #[must_use]
    pub fn application(&self) -> Application {
        let (database, owner, secret): (_, _, Option<LocalObjectReference>) = match self.recovery() {
            Some(recovery) => (recovery.database.clone(), recovery.owner.clone(), recovery.secret.clone()),
            None => {
                let initdb = self.initdb();
                (initdb.database, initdb.owner, initdb.secret)
            }
        };
        let database = database.filter(|name| !name.is_empty()).unwrap_or_else(|| "app".to_owned());
        let owner = owner.filter(|name| !name.is_empty()).unwrap_or_else(|| database.clone());
        Application { database, owner, secret: secret.map(|secret| secret.name) }
    }

    /// Where `bootstrap.recovery` recovers from.
    ///
    /// # Errors
    /// [`RecoveryError`]: it says nothing, or something that is not there.
    pub fn recovery_archive<'a>(&'a self, recovery: &'a BootstrapRecovery) -> Result<Archive<'a>, RecoveryError> {
        let named = recovery.backup.as_ref().filter(|backup| !backup.name.is_empty());
        match (named, given(recovery.source.as_ref())) {
            (Some(backup), None) => Ok(Archive::OfBackup(backup)),
            (None, Some(source)) => {
                let external = self.external_clusters.iter().find(|external| external.name == source);
                let external = external.ok_or_else(|| RecoveryError::Unknown(source.to_owned()))?;
                let store = external.barman_object_store.as_ref();
                Ok(Archive::Store(source, store.ok_or_else(|| RecoveryError::NoArchive(source.to_owned()))?))
            }
            (None, None) | (Some(_), Some(_)) => Err(RecoveryError::Source),
        }
    }
}

impl Cluster {
    /// Whether the retention policy is only to say what it would delete.
    #[must_use]
    pub fn retention_is_dry(&self) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(labels::RETENTION)).is_some_and(|text| text == "dry-run")
    }
}

impl BootstrapRecovery {
    /// Where to stop.
    ///
    /// # Errors
    /// As [`RecoveryTarget::asked`].
    pub fn target(&self) -> Result<backup::RecoveryTarget, RecoveryError> {
        self.recovery_target.as_ref().map_or_else(|| Ok(backup::RecoveryTarget::default()), RecoveryTarget::asked)
    }
}

fn read<T: FromStr>(field: &'static str, text: &str, wanted: &'static str) -> Result<T, RecoveryError> {
    text.parse().map_err(|_| RecoveryError::Field { field, value: text.to_owned(), wanted })
}

impl RecoveryTarget {
    /// The same, read.
    ///
    /// # Errors
    /// [`RecoveryError`] names the field.
    pub fn asked(&self) -> Result<backup::RecoveryTarget, RecoveryError> {
        let mut targets: Vec<(&'static str, Target)> = Vec::new();
        if let Some(text) = given(self.target_xid.as_ref()) {
            targets.push(("targetXID", Target::Xid(read("targetXID", text, "write the number of a transaction")?)));
        }
        if let Some(name) = self.target_name.as_deref().filter(|name| !name.is_empty()) {
            // MAXFNAMELEN of postgres.
            if name.len() > 63 || name.contains(['\n', '\r', '\0', '\'']) {
                let wanted = "write the name of a restore point, of at most 63 bytes";
                return Err(RecoveryError::Field { field: "targetName", value: name.to_owned(), wanted });
            }
            targets.push(("targetName", Target::Name(name.to_owned())));
        }
        if let Some(text) = given(self.target_lsn.as_ref()) {
            targets
                .push(("targetLSN", Target::Lsn(read("targetLSN", text, "write a position in WAL, as 16/B374D848")?)));
        }
        if let Some(text) = given(self.target_time.as_ref()) {
            let time = read("targetTime", text, "write a time, as 2026-11-23 10:15:00Z")?;
            targets.push(("targetTime", Target::Time(time)));
        }
        if self.target_immediate == Some(true) {
            targets.push(("targetImmediate", Target::Immediate));
        }
        if let [(first, _), (second, _), ..] = targets.as_slice() {
            return Err(RecoveryError::Targets(first, second));
        }
        let timeline = match given(self.target_tli.as_ref()) {
            None | Some("latest") => TargetTimeline::Latest,
            Some("current") => TargetTimeline::Current,
            Some(text) => {
                let wanted = "write a timeline's number, latest or current";
                let id: u32 = read("targetTLI", text, wanted)?;
                if id == 0 {
                    return Err(RecoveryError::Field { field: "targetTLI", value: text.to_owned(), wanted });
                }
                TargetTimeline::Id(TimelineId(id))
            }
        };
        let wanted = "write the folder of a backup below base/, as 20261123T202108";
        let backup = given(self.backup_id.as_ref()).map(|id| read("backupID", id, wanted)).transpose()?;
        let target = targets.pop().map_or(Target::Latest, |(_, target)| target);
        Ok(backup::RecoveryTarget { target, timeline, backup, exclusive: self.exclusive == Some(true) })
    }
}

#[cfg(test)]
mod tests {
    use crate::cluster::ClusterSpec;
    use serde_json::{Value, json};

    fn spec(recovery: &Value) -> ClusterSpec {
        let store = json!({"destinationPath": "s3://b/p"});
        serde_json::from_value(json!({
            "bootstrap": {"recovery": recovery},
            "externalClusters": [{"name": "old", "barmanObjectStore": store}, {"name": "bare"}],
        }))
        .unwrap()
    }

    fn target(target: &Value) -> Result<String, String> {
        let spec = spec(&json!({"source": "old", "recoveryTarget": target}));
        let read = spec.recovery().unwrap().target();
        read.map(|t| format!("{} {:?} {:?} {}", t.target, t.timeline, t.backup.map(String::from), t.exclusive))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_target_is_read_as_cnpg_writes_it() {
        for (value, expected) in [
            (json!({}), "the end of the archive Latest None false"),
            (
                json!({"targetTime": "2026-11-23 11:15:00.5+01", "exclusive": true}),
                "2026-11-23 10:15:00.500000+00:00 Latest None true",
            ),
            (json!({"targetLSN": "16/B374D848", "targetTLI": "3"}), "LSN 16/B374D848 Id(TimelineId(3)) None false"),
            (json!({"targetXID": "731", "targetTLI": "current"}), "transaction 731 Current None false"),
            (
                json!({"targetName": "before it", "backupID": "20261123T202108"}),
                "restore point \"before it\" Latest Some(\"20261123T202108\") false",
            ),
            (json!({"targetImmediate": true, "targetTLI": "latest"}), "the end of the backup Latest None false"),
        ] {
            assert_eq!(target(&value), Ok(expected.to_owned()));
        }
        for (value, said) in [
            (json!({"targetTime": "yesterday"}), "targetTime is \"yesterday\""),
            (json!({"targetLSN": "16"}), "targetLSN is \"16\""),
            (json!({"targetXID": "-1"}), "targetXID"),
            (json!({"targetTLI": "0"}), "targetTLI"),
            (json!({"backupID": "latest"}), "backupID"),
            (json!({"targetXID": "1", "targetImmediate": true}), "targetXID and targetImmediate are both set"),
            (json!({"targetName": "a\nb"}), "targetName"),
        ] {
            let error = target(&value).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn an_archive_is_a_backups_or_an_external_clusters() {
        let archive = |value: &Value| {
            let spec = spec(value);
            spec.recovery_archive(spec.recovery().unwrap()).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(archive(&json!({"source": "old"})), Ok(()));
        assert_eq!(archive(&json!({"backup": {"name": "b"}})), Ok(()));
        for (value, said) in [
            (json!({}), "either a backup or a source"),
            (json!({"source": "old", "backup": {"name": "b"}}), "not both"),
            (json!({"source": "new"}), "\"new\" is not the name"),
            (json!({"source": "bare"}), "has no barmanObjectStore"),
        ] {
            assert!(archive(&value).unwrap_err().contains(said), "{value}");
        }
    }

    #[test]
    fn the_application_is_that_of_the_bootstrap_that_is_used() {
        let app = spec(&json!({"source": "old", "database": "shop"})).application();
        assert_eq!((app.database.as_str(), app.owner.as_str(), app.secret), ("shop", "shop", None));
        let app = ClusterSpec::default().application();
        assert_eq!((app.database.as_str(), app.owner.as_str()), ("app", "app"));
    }
}
