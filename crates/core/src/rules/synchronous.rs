//! `spec.postgresql.synchronous`, `minSyncReplicas`, `maxSyncReplicas`, and the replication slots: what may be asked
//! for. The rules and their texts are CNPG's (its webhook and the CEL rules of its CRD), where it has them.

/// What is asked for cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SynchronousError {
    /// `number` below 1.
    #[error("The number of synchronous replicas should be greater than zero")]
    NoNumber,
    /// As many as there are, or more.
    #[error(
        "Invalid synchronous configuration: the number of synchronous replicas must be less than the total number of \
         instances and the provided standby names."
    )]
    TooMany,
    /// Names of others, and `preferred`.
    #[error("dataDurability set to 'preferred' requires empty 'standbyNamesPre' and empty 'standbyNamesPost'")]
    PreferredWithNames,
    /// Others alone could acknowledge a commit, so that nobody could be elected.
    #[error(
        "Invalid failoverQuorum configuration: spec.postgresql.synchronous.number must be greater than the total \
         number of instances in spec.postgresql.synchronous.standbyNamesPre and \
         spec.postgresql.synchronous.standbyNamesPost to allow automatic failover."
    )]
    NoQuorum,
    /// The quorum was asked for, and there is nothing to take it of.
    #[error("Invalid failoverQuorum configuration: synchronous replication configuration is required.")]
    QuorumOfNothing,
    /// A name that nobody could have.
    #[error("{0:?} is no application name: give 1 to 63 printable ASCII characters")]
    Name(String),
    /// A name that is an instance's, or is there twice.
    #[error("{0:?} is listed already: each name stands in synchronous_standby_names once")]
    NameTwice(String),
    /// Both ways of saying where machines are.
    #[error("podFailureDomainKeys and nodeFailureDomainKeys are mutually exclusive: keep one of them")]
    BothDomains,
    /// Both ways of asking.
    #[error("Can't have both legacy synchronous replica configuration and new one")]
    BothForms,
    /// `maxSyncReplicas` below 0.
    #[error("maxSyncReplicas must be a non negative integer")]
    MostNegative,
    /// As many as there are, or more.
    #[error("maxSyncReplicas must be lower than the number of instances")]
    MostTooMany,
    /// `minSyncReplicas` below 0.
    #[error("minSyncReplicas must be a non negative integer")]
    LeastNegative,
    /// More than `maxSyncReplicas`.
    #[error("minSyncReplicas cannot be greater than maxSyncReplicas")]
    LeastAboveMost,
    /// A constraint without labels.
    #[error("Can't enable syncReplicaConstraints without passing labels for comparison inside nodeLabelsAntiAffinity")]
    NoLabels,
    /// No slot could have that name.
    #[error("slotPrefix {0:?} may only contain lower case letters, numbers, and the underscore character")]
    SlotPrefix(String),
    /// The slots of the old prefix would keep WAL for ever.
    #[error("Cannot change replication slot prefix while highAvailability is enabled")]
    SlotPrefixChanged,
    /// `updateInterval` below 1.
    #[error("updateInterval is {0}: it must be 1 or more")]
    UpdateInterval(i64),
}

/// `synchronous.number`: at least one, and one less than there are names, `others` of which are the user's.
///
/// # Errors
/// [`SynchronousError::NoNumber`] and [`SynchronousError::TooMany`].
pub fn number(number: i64, instances: u32, others: usize) -> Result<u32, SynchronousError> {
    let count = u32::try_from(number).ok().filter(|count| *count > 0).ok_or(SynchronousError::NoNumber)?;
    let names = u64::from(instances).saturating_add(u64::try_from(others).unwrap_or(u64::MAX));
    if u64::from(count) < names { Ok(count) } else { Err(SynchronousError::TooMany) }
}

/// `dataDurability: preferred` is about the instances: the manager cannot tell whether others are healthy.
///
/// # Errors
/// [`SynchronousError::PreferredWithNames`].
pub fn durability(preferred: bool, others: usize) -> Result<(), SynchronousError> {
    if preferred && others > 0 { Err(SynchronousError::PreferredWithNames) } else { Ok(()) }
}

/// `failoverQuorum`: at least one of those that acknowledge must be an instance.
///
/// # Errors
/// [`SynchronousError::NoQuorum`].
pub fn failover_quorum(active: bool, number: u32, others: usize) -> Result<(), SynchronousError> {
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    if active && number <= others { Err(SynchronousError::NoQuorum) } else { Ok(()) }
}

/// A name in `standbyNamesPre` or `standbyNamesPost`: what postgres keeps of an `application_name` (63 bytes of
/// printable ASCII), and not `*`, which would be every client that replicates.
///
/// # Errors
/// [`SynchronousError::Name`].
pub fn standby_name(name: &str) -> Result<(), SynchronousError> {
    let fits = !name.is_empty() && name.len() <= 63 && name.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if fits && name.trim() != "*" { Ok(()) } else { Err(SynchronousError::Name(name.to_owned())) }
}

/// All of the user's names: none twice, and none that an instance of `cluster` has or will have.
///
/// # Errors
/// [`SynchronousError::NameTwice`]. Postgres compares names without case.
pub fn standby_names<'a>(names: impl IntoIterator<Item = &'a str>, cluster: &str) -> Result<(), SynchronousError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        let lower = name.to_ascii_lowercase();
        let serial = lower.strip_prefix(&cluster.to_ascii_lowercase()).and_then(|rest| rest.strip_prefix('-'));
        let instance = serial.is_some_and(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()));
        if instance || !seen.insert(lower) {
            return Err(SynchronousError::NameTwice(name.to_owned()));
        }
    }
    Ok(())
}

/// Failure domains are named by labels of pods, or by labels of nodes.
///
/// # Errors
/// [`SynchronousError::BothDomains`].
pub fn failure_domains(pod_keys: usize, node_keys: usize) -> Result<(), SynchronousError> {
    if pod_keys > 0 && node_keys > 0 { Err(SynchronousError::BothDomains) } else { Ok(()) }
}

/// The older form and the newer one exclude each other.
///
/// # Errors
/// [`SynchronousError::BothForms`].
pub fn one_form(newer: bool, least: i64, most: i64) -> Result<(), SynchronousError> {
    if newer && (least > 0 || most > 0) { Err(SynchronousError::BothForms) } else { Ok(()) }
}

/// `maxSyncReplicas`.
///
/// # Errors
/// [`SynchronousError::MostNegative`] and [`SynchronousError::MostTooMany`].
pub fn most(most: i64, instances: u32) -> Result<u32, SynchronousError> {
    let count = u32::try_from(most).map_err(|_| SynchronousError::MostNegative)?;
    if count < instances { Ok(count) } else { Err(SynchronousError::MostTooMany) }
}

/// `minSyncReplicas`.
///
/// # Errors
/// [`SynchronousError::LeastNegative`] and [`SynchronousError::LeastAboveMost`].
pub fn least(least: i64, most: i64) -> Result<u32, SynchronousError> {
    let count = u32::try_from(least).map_err(|_| SynchronousError::LeastNegative)?;
    if i64::from(count) > most { Err(SynchronousError::LeastAboveMost) } else { Ok(count) }
}

/// `syncReplicaElectionConstraint`.
///
/// # Errors
/// [`SynchronousError::NoLabels`].
pub fn election_constraint(enabled: bool, labels: usize) -> Result<(), SynchronousError> {
    if enabled && labels == 0 { Err(SynchronousError::NoLabels) } else { Ok(()) }
}

/// `replicationSlots.highAvailability.slotPrefix`: what postgres takes in the name of a slot.
///
/// # Errors
/// [`SynchronousError::SlotPrefix`].
pub fn slot_prefix(prefix: &str) -> Result<(), SynchronousError> {
    let fits = prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits { Ok(()) } else { Err(SynchronousError::SlotPrefix(prefix.to_owned())) }
}

/// The prefix stays while the slots are enabled.
///
/// # Errors
/// [`SynchronousError::SlotPrefixChanged`].
pub fn slot_prefix_change(enabled: bool, old: &str, new: &str) -> Result<(), SynchronousError> {
    if enabled && old != new { Err(SynchronousError::SlotPrefixChanged) } else { Ok(()) }
}

/// `replicationSlots.updateInterval`, in seconds.
///
/// # Errors
/// [`SynchronousError::UpdateInterval`].
pub fn update_interval(seconds: i64) -> Result<(), SynchronousError> {
    if seconds >= 1 { Ok(()) } else { Err(SynchronousError::UpdateInterval(seconds)) }
}

#[cfg(test)]
#[path = "synchronous_tests.rs"]
mod tests;
