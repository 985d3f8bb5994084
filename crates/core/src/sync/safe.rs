//! Rule Q1: which settings go with which records.

use super::SyncSetting;
use super::setting::count;
use crate::identity::Incarnation;
use crate::lease::{ElectableRecord, Term};
use std::collections::BTreeSet;

/// `W' - |V' \ V| >= W`: every commit that `setting` lets through is on at least W of the record's voters.
#[must_use]
pub fn safe(setting: &SyncSetting, record: &ElectableRecord) -> bool {
    let voters: BTreeSet<&Incarnation> = record.voters.iter().collect();
    let outside = setting.incarnations().difference(&voters).count();
    setting.needed_of_members().saturating_sub(count(outside)) >= record.needed
}

/// Rule Q1 over every record that may be stored: the last confirmed, and each one sent and unresolved (hole 4).
#[must_use]
pub fn safe_for_all<'a>(setting: &SyncSetting, records: impl IntoIterator<Item = &'a ElectableRecord>) -> bool {
    records.into_iter().all(|record| safe(setting, record))
}

/// The record that says what `setting` promises, once it is in force and its barrier was acknowledged.
#[must_use]
pub fn record_of(setting: &SyncSetting, term: Term, writer: &Incarnation) -> ElectableRecord {
    record(term, writer, setting.incarnations(), setting.needed_of_members())
}

/// The record to publish before a setting that is not safe: weaker than each of `records`, so that what they say
/// of the past holds for it, and one that each of `settings` is safe with. `None` without any record, since then
/// nothing is promised that could be weakened.
#[must_use]
pub fn loosened(
    records: &[ElectableRecord],
    settings: &[SyncSetting],
    term: Term,
    writer: &Incarnation,
) -> Option<ElectableRecord> {
    let needed = records.iter().map(|record| record.needed);
    let least = needed.chain(settings.iter().map(SyncSetting::needed_of_members)).min()?;
    if records.is_empty() {
        return None;
    }
    let named = settings.iter().flat_map(SyncSetting::incarnations);
    let voters = records.iter().flat_map(|record| &record.voters).chain(named).collect();
    Some(record(term, writer, voters, least))
}

/// With W = 0 nobody but the writer is electable, whoever is named: then nobody is.
fn record(term: Term, writer: &Incarnation, voters: BTreeSet<&Incarnation>, needed: u32) -> ElectableRecord {
    let voters = if needed == 0 {
        Vec::new()
    } else {
        // The writer is not its own voter.
        voters.into_iter().filter(|voter| *voter != writer).cloned().collect()
    };
    ElectableRecord { term, writer: writer.clone(), voters, needed }
}
