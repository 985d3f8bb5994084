//! The rule about a recovery from the archive alone: it ends with what the cluster ended with.

use super::database::{Database, Key};
use crate::history::{Did, Event, Outcome};

/// Acknowledged attempts that the cluster kept and a recovery from its archive does not bring back.
#[must_use]
pub fn unrestored(events: &[Event], kept: &Database, restored: &Database) -> Vec<Event> {
    let lacks = |event: &&Event| {
        let key: Option<(Key, _, _)> = match event.did {
            Did::Append { n } => Some(((event.client, n), &kept.rows, &restored.rows)),
            Did::Transfer { n, .. } => Some(((event.client, n), &kept.transfers, &restored.transfers)),
            Did::Read { .. } => None,
        };
        key.is_some_and(|(key, kept, restored)| kept.contains_key(&key) && !restored.contains_key(&key))
    };
    events.iter().filter(|event| event.outcome == Outcome::Acknowledged).filter(lacks).cloned().collect()
}
