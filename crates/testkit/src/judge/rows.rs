//! Rules about single attempts: acknowledged is there once, refused is not there, nothing is there twice, and money is
//! neither made nor lost.

use super::database::{Database, Held};
use super::{ACCOUNTS, ENDOWMENT};
use crate::history::{Did, Event, Outcome};
use std::collections::BTreeMap;

/// Attempts that are not where they must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misplaced {
    /// Acknowledged, and not there.
    pub lost: Vec<Event>,
    /// Refused, and there.
    pub refused: Vec<Event>,
    /// There more than once.
    pub twice: Vec<(i32, i64)>,
    /// There, and nobody attempted it.
    pub foreign: Vec<(i32, i64)>,
}

/// Holds every attempt against a database.
#[must_use]
pub fn misplaced(events: &[Event], database: &Database) -> Misplaced {
    let mut found = Misplaced::default();
    for held in [&database.rows, &database.transfers] {
        found.twice.extend(held.iter().filter(|(_, row)| row.times > 1).map(|(key, _)| *key));
    }
    let mut rows: BTreeMap<(i32, i64), &Held> = database.rows.iter().map(|(key, held)| (*key, held)).collect();
    let mut transfers: BTreeMap<(i32, i64), &Held> =
        database.transfers.iter().map(|(key, held)| (*key, held)).collect();
    for event in events {
        let there = match event.did {
            Did::Append { n } => rows.remove(&(event.client, n)).is_some(),
            Did::Transfer { n, .. } => transfers.remove(&(event.client, n)).is_some(),
            Did::Read { .. } => continue,
        };
        match (event.outcome, there) {
            (Outcome::Acknowledged, false) => found.lost.push(event.clone()),
            (Outcome::Refused, true) => found.refused.push(event.clone()),
            _ => {}
        }
    }
    found.foreign.extend(rows.into_keys().chain(transfers.into_keys()));
    found
}

/// What is wrong with the money.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Accounts whose balance is not what the transfers that are there make of it.
    pub accounts: Vec<i32>,
    /// Reads that saw another sum than there is.
    pub reads: u64,
}

/// Holds the accounts against the transfers, and every read against the sum.
#[must_use]
pub fn balance(events: &[Event], database: &Database) -> Balance {
    let wrong = |id: &i32| {
        let moved = database.moved.get(id).copied().unwrap_or(0);
        database.accounts.get(id).copied() != Some(ENDOWMENT + moved)
    };
    let sum = i64::from(ACCOUNTS) * ENDOWMENT;
    let astray = events.iter().filter(|event| matches!(event.did, Did::Read { total } if total != sum)).count();
    Balance { accounts: (1..=ACCOUNTS).filter(wrong).collect(), reads: u64::try_from(astray).unwrap_or(u64::MAX) }
}

/// Whether a loss is within a span of time in which the old volume could not be read.
#[must_use]
pub fn excused(event: &Event, spans: &[(u64, u64)]) -> bool {
    spans.iter().any(|(from, to)| (*from..=*to).contains(&event.ended))
}
