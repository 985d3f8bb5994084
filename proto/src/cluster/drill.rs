//! The restore drill: what is asked of it, what its pod says in the end, and what the Cluster's status keeps of it.

use super::{BootstrapRecovery, Cluster, Drill, DrillOrder, Proven, RecoveryError, RecoveryTarget};
use crate::labels;
use core::time::Duration;
use pgherd_core::backup;
use serde::{Deserialize, Serialize};

/// The last words of the pod, JSON in its termination message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DrillReport {
    /// What was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven: Option<Proven>,
    /// Why nothing was: names the object, the file or the relation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Bytes of a container's last words that are kept (Kubernetes: 4096). Cut off, they would say nothing.
const LONGEST: usize = 4000;

impl DrillReport {
    /// Nothing was proven.
    #[must_use]
    pub fn failed(why: &str) -> Self {
        Self { proven: None, error: Some(why.to_owned()) }
    }

    /// As JSON that fits into a termination message.
    #[must_use]
    pub fn words(&self) -> String {
        let mut report = self.clone();
        loop {
            let text = serde_json::to_string(&report).unwrap_or_default();
            let error = report.error.get_or_insert_with(|| "its result is too long to be told".to_owned());
            let length = error.chars().count();
            if text.len() <= LONGEST || length == 0 {
                return text;
            }
            *error = error.chars().take(length / 2).collect();
        }
    }
}

impl DrillOrder {
    /// What an annotation asks for: JSON with an `id`, or any other text, which is the id by itself.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let read = serde_json::from_str::<Self>(text).ok().filter(|order| order.id.is_some());
        Some(read.unwrap_or_else(|| Self { id: Some(text.to_owned()), ..Self::default() }))
    }

    /// Up to where, and from which backup.
    ///
    /// # Errors
    /// [`RecoveryError`] names the field.
    pub fn target(&self) -> Result<backup::RecoveryTarget, RecoveryError> {
        let asked = RecoveryTarget {
            backup_id: self.backup_id.clone(),
            target_time: self.to.clone(),
            ..RecoveryTarget::default()
        };
        BootstrapRecovery { recovery_target: Some(asked), ..BootstrapRecovery::default() }.target()
    }

    /// How long it may take.
    #[must_use]
    pub fn within(&self) -> Duration {
        let asked = self.timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        asked.map_or(backup::DRILL_WITHIN, Duration::from_secs)
    }
}

impl Cluster {
    fn annotated(&self, name: &str) -> Option<&str> {
        let text = self.metadata.annotations.as_ref()?.get(name)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The drill that somebody asks for.
    #[must_use]
    pub fn drill_request(&self) -> Option<DrillOrder> {
        self.annotated(labels::VERIFY).and_then(DrillOrder::parse)
    }

    /// When drills come by themselves, as cron has it, in UTC.
    #[must_use]
    pub fn drill_schedule(&self) -> Option<&str> {
        self.annotated(labels::VERIFY_SCHEDULE)
    }

    /// What a scheduled drill is to do; a request that says nothing of query or time has these too.
    #[must_use]
    pub fn drill_defaults(&self) -> DrillOrder {
        DrillOrder {
            query: self.annotated(labels::VERIFY_QUERY).map(str::to_owned),
            timeout_seconds: self.annotated(labels::VERIFY_TIMEOUT).and_then(|text| text.parse().ok()),
            ..DrillOrder::default()
        }
    }

    /// The last drill, or the one that goes on.
    #[must_use]
    pub fn drill(&self) -> Option<&Drill> {
        self.status.as_ref()?.recoverability.as_ref()?.drill.as_ref()
    }

    /// What was proven last.
    #[must_use]
    pub fn last_proven(&self) -> Option<&Proven> {
        self.status.as_ref()?.recoverability.as_ref()?.last_proven.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_fit_into_a_termination_message() {
        let report = DrillReport::failed("short");
        assert_eq!(serde_json::from_str::<DrillReport>(&report.words()).unwrap(), report);
        let long = DrillReport::failed(&"\u{1}ä\u{1F418}".repeat(5000)).words();
        assert!(long.len() <= LONGEST, "{}", long.len());
        assert!(serde_json::from_str::<DrillReport>(&long).unwrap().error.is_some_and(|error| error.len() > 500));
        let proven = DrillReport { proven: Some(Proven::default()), error: None };
        assert_eq!(serde_json::from_str::<DrillReport>(&proven.words()).unwrap(), proven);
    }

    #[test]
    fn a_request_is_json_or_whatever_was_written() {
        let plain = DrillOrder::parse("2026-11-28T02:00:00Z").unwrap();
        assert_eq!((plain.id.as_deref(), plain.query), (Some("2026-11-28T02:00:00Z"), None));
        let full = DrillOrder::parse(r#"{"id":"a","to":"2026-11-28 02:00:00Z","timeoutSeconds":60}"#).unwrap();
        assert_eq!((full.id.as_deref(), full.within()), (Some("a"), Duration::from_secs(60)));
        assert!(matches!(full.target().unwrap().target, backup::Target::Time(_)));
        let number = DrillOrder::parse("20261128").unwrap();
        assert_eq!((number.id.as_deref(), number.within()), (Some("20261128"), backup::DRILL_WITHIN));
        assert!(DrillOrder { to: Some("tomorrow".into()), ..DrillOrder::default() }.target().is_err());
        assert_eq!(DrillOrder::parse(" "), None);
    }
}
