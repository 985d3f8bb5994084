//! Lease -> record.

use super::LeaseError;
use crate::labels;
use core::time::Duration;
use k8s_openapi::api::coordination::v1::Lease;
use pgherd_core::identity::{AttemptId, Nonce, PodUid};
use pgherd_core::lease::{Holder, HolderState, LeaseRecord, Term, Versioned};
use pgherd_core::timeline::TimelineId;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

type Annotations = BTreeMap<String, String>;

/// The record and the version it was read at.
///
/// # Errors
/// [`LeaseError`]: the Lease was never stored, or is not what a manager wrote.
pub fn read(lease: &Lease) -> Result<Versioned<LeaseRecord>, LeaseError> {
    let version = lease.metadata.resource_version.clone().filter(|version| !version.is_empty());
    Ok(Versioned { version: version.ok_or(LeaseError::Unversioned)?, value: read_record(lease)? })
}

/// The record alone.
///
/// # Errors
/// [`LeaseError`]: the Lease is not what a manager wrote.
pub fn read_record(lease: &Lease) -> Result<LeaseRecord, LeaseError> {
    let none = Annotations::new();
    let annotations = lease.metadata.annotations.as_ref().unwrap_or(&none);
    let identity = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).filter(|name| !name.is_empty());
    let Some(state) = text(annotations, labels::LEASE_STATE) else {
        return match identity {
            Some(holder) => Err(LeaseError::Foreign(holder)),
            // Without a state but with a term it was ours, and somebody has taken the state away.
            None if annotations.contains_key(labels::LEASE_TERM) => Err(LeaseError::Missing(labels::LEASE_STATE)),
            None => Ok(LeaseRecord::default()),
        };
    };
    let state: HolderState = parse_json(labels::LEASE_STATE, &format!("\"{state}\""))?;
    let holder = read_holder(annotations)?;
    let annotated = holder.as_ref().map(|holder| holder.name.clone());
    let expected = if state == HolderState::Released { None } else { annotated.clone() };
    if identity != expected || (state != HolderState::Released && holder.is_none()) {
        return Err(LeaseError::Contradiction { state, annotated, identity });
    }
    Ok(LeaseRecord {
        holder,
        attempt: AttemptId(text(annotations, labels::LEASE_ATTEMPT).unwrap_or_default().to_owned()),
        state,
        term: Term(parse_number(annotations, labels::LEASE_TERM)?),
        timeline: TimelineId(parse_number(annotations, labels::LEASE_TIMELINE)?),
        timeline_term: Term(parse_number_if_there(annotations, labels::LEASE_TIMELINE_TERM)?.unwrap_or_default()),
        takers: parse_optional(annotations, labels::LEASE_TAKERS)?.unwrap_or_default(),
        records: parse_optional(annotations, labels::LEASE_RECORDS)?.unwrap_or_default(),
        tail: parse_optional(annotations, labels::LEASE_TAIL)?,
        lineage: parse_optional(annotations, labels::LEASE_LINEAGE)?,
        lease_duration: duration(lease, state),
    })
}

/// Of the holder. In a released lease it is a word to other tools (`releasedLeaseDurationSeconds`).
fn duration(lease: &Lease, state: HolderState) -> Duration {
    let held = lease.spec.as_ref().filter(|_| state != HolderState::Released);
    let seconds = held.and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

fn read_holder(annotations: &Annotations) -> Result<Option<Holder>, LeaseError> {
    let Some(name) = text(annotations, labels::LEASE_HOLDER) else { return Ok(None) };
    let required = |key: &'static str| text(annotations, key).ok_or(LeaseError::Missing(key));
    Ok(Some(Holder {
        name: name.to_owned(),
        pod_uid: PodUid(required(labels::LEASE_HOLDER_POD_UID)?.to_owned()),
        nonce: Nonce(required(labels::LEASE_HOLDER_NONCE)?.to_owned()),
        address: annotations.get(labels::LEASE_ADDRESS).cloned().unwrap_or_default(),
    }))
}

fn text<'a>(annotations: &'a Annotations, name: &'static str) -> Option<&'a str> {
    annotations.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

fn parse_number<T>(annotations: &Annotations, name: &'static str) -> Result<T, LeaseError>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    parse_number_if_there(annotations, name)?.ok_or(LeaseError::Missing(name))
}

fn parse_number_if_there<T>(annotations: &Annotations, name: &'static str) -> Result<Option<T>, LeaseError>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let Some(value) = text(annotations, name) else { return Ok(None) };
    let parsed = value.parse().map(Some);
    parsed.map_err(|error| LeaseError::Malformed { name, value: value.to_owned(), source: Box::new(error) })
}

fn parse_optional<T: DeserializeOwned>(annotations: &Annotations, name: &'static str) -> Result<Option<T>, LeaseError> {
    text(annotations, name).map(|value| parse_json(name, value)).transpose()
}

fn parse_json<T: DeserializeOwned>(name: &'static str, value: &str) -> Result<T, LeaseError> {
    serde_json::from_str(value).map_err(|error| LeaseError::Malformed {
        name,
        value: value.to_owned(),
        source: Box::new(error),
    })
}
