//! What the user asks for: `spec.postgresql.synchronous`, or the older `minSyncReplicas`/`maxSyncReplicas`.

use serde::{Deserialize, Serialize};

/// How postgres picks those whose acknowledgement counts (`synchronous_standby_names`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// `ANY n (...)`: whichever acknowledge first.
    #[default]
    Any,
    /// `FIRST n (...)`: the first of the list that are connected.
    First,
}

/// What is done when there are not enough standbys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Commits wait.
    #[default]
    Required,
    /// Commits wait for as many as there are. While there are none, nobody but the primary's own volume may be
    /// elected.
    Preferred,
}

/// The synchronous replication that a user asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncSpec {
    /// `method`.
    pub method: Method,
    /// `number`: how many acknowledgements a commit waits for.
    pub number: u32,
    /// `maxSyncReplicas` gives `number`, and `minSyncReplicas` this: fewer than it are never waited for. Absent
    /// for `synchronous`, where `durability` says it.
    pub legacy_minimum: Option<u32>,
    /// `maxStandbyNamesFromCluster`: no more members than this are named.
    pub max_from_cluster: Option<u32>,
    /// `standbyNamesPre`: names outside the cluster, before the members.
    pub pre: Vec<String>,
    /// `standbyNamesPost`: names outside the cluster, after the members.
    pub post: Vec<String>,
    /// `dataDurability`.
    pub durability: Durability,
    /// `failoverQuorum`: mirror the electable record in a `FailoverQuorum` object, for tools. Elections are bound to the record
    /// in the lease in any case.
    pub failover_quorum: bool,
}

impl SyncSpec {
    /// No commit ever waits for fewer than this.
    #[must_use]
    pub fn minimum(&self) -> u32 {
        let by_durability = match self.durability {
            Durability::Required => self.number,
            Durability::Preferred => 0,
        };
        self.legacy_minimum.map_or(by_durability, |minimum| minimum.min(self.number))
    }
}
