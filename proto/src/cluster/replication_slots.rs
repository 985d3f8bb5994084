//! `spec.replicationSlots`: how much WAL is kept for whom, on every instance.

use super::Extra;
use core::time::Duration;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Replication slots on every instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicationSlots {
    /// The slots of the standbys.
    pub high_availability: HighAvailabilitySlots,
    /// Seconds between two times that a standby brings its copies of the slots up to date.
    #[schemars(range(min = 1))]
    pub update_interval: i32,
    /// The physical slots that users made.
    pub synchronize_replicas: SynchronizeReplicas,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The slots of the standbys: the primary keeps the WAL that a standby has not received yet, up to
/// `max_slot_wal_keep_size`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HighAvailabilitySlots {
    /// Whether there are such slots.
    pub enabled: bool,
    /// What their names begin with; the pod's name follows, with `_` for `-`. It may not change while enabled.
    #[schemars(regex(pattern = r"^[0-9a-z_]*$"))]
    pub slot_prefix: String,
    /// Whether logical slots are kept in step as well (PostgreSQL 17 with `sync_replication_slots`, or the
    /// extension `pg_failover_slots`).
    pub synchronize_logical_decoding: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The physical slots that users made on the primary: copied to every standby, so that they outlive a failover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SynchronizeReplicas {
    /// Whether they are copied.
    pub enabled: bool,
    /// Regular expressions: slots whose name one of them matches are not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_patterns: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for ReplicationSlots {
    fn default() -> Self {
        Self {
            high_availability: HighAvailabilitySlots::default(),
            update_interval: 30,
            synchronize_replicas: SynchronizeReplicas::default(),
            extra: Extra::default(),
        }
    }
}

impl Default for HighAvailabilitySlots {
    fn default() -> Self {
        Self {
            enabled: true,
            slot_prefix: "_cnpg_".to_owned(),
            synchronize_logical_decoding: false,
            extra: Extra::default(),
        }
    }
}

impl Default for SynchronizeReplicas {
    fn default() -> Self {
        Self { enabled: true, exclude_patterns: Vec::new(), extra: Extra::default() }
    }
}

impl ReplicationSlots {
    /// `updateInterval`.
    #[must_use]
    pub fn update_interval(&self) -> Duration {
        super::lease_timings::seconds(self.update_interval.max(1))
    }
}

impl SynchronizeReplicas {
    /// The patterns that are no regular expressions, each with why.
    #[must_use]
    pub fn unreadable(&self) -> Vec<String> {
        let said = |pattern: &String| Regex::new(pattern).err().map(|error| error.to_string());
        self.exclude_patterns.iter().filter_map(said).collect()
    }

    /// Whether a user's slot of that name stays where it is. A pattern that cannot be read excludes nothing:
    /// validation has refused it.
    #[must_use]
    pub fn excludes(&self, slot: &str) -> bool {
        self.exclude_patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).any(|found| found.is_match(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_absent_has_cnpgs_defaults() {
        let slots: ReplicationSlots = serde_json::from_value(json!({"highAvailability": {}})).unwrap();
        assert_eq!(slots, ReplicationSlots::default());
        assert!(slots.high_availability.enabled && slots.synchronize_replicas.enabled);
        assert_eq!((slots.high_availability.slot_prefix.as_str(), slots.update_interval), ("_cnpg_", 30));
    }

    #[test]
    fn a_pattern_matches_anywhere_in_the_name_as_in_cnpg() {
        let slots = |patterns: &[&str]| SynchronizeReplicas {
            exclude_patterns: patterns.iter().map(|p| (*p).to_owned()).collect(),
            ..SynchronizeReplicas::default()
        };
        assert!(slots(&["^x$", "backup"]).excludes("my_backup_slot"));
        assert!(!slots(&["^backup"]).excludes("my_backup_slot"));
        assert_eq!(slots(&["(", "ok"]).unreadable().len(), 1);
    }
}
