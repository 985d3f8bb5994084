//! From the slots that there are to the slots that there should be.

use crate::lsn::Lsn;

/// What the user wants (`spec.replicationSlots`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `highAvailability.enabled`.
    pub enabled: bool,
    /// `highAvailability.slotPrefix`.
    pub prefix: String,
    /// `synchronizeReplicas.enabled`.
    pub copy_users: bool,
}

/// A physical slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotFact {
    /// Its name.
    pub name: String,
    /// The oldest WAL that it keeps; absent while it keeps none.
    pub restart: Option<Lsn>,
    /// Somebody streams through it.
    pub active: bool,
    /// It fell behind by more than `max_slot_wal_keep_size`: its WAL is gone, and it cannot be used again.
    pub lost: bool,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotStep {
    /// Make it, keeping WAL from now on.
    Create(String),
    /// Let go of what is before this.
    Advance(String, Lsn),
    /// Remove it.
    Drop(String),
}

/// The slot of an instance: the prefix and the pod's name, with `_` for `-` (CNPG's rule).
#[must_use]
pub fn slot_name(prefix: &str, pod: &str) -> String {
    format!("{prefix}{}", pod.replace('-', "_"))
}

impl Policy {
    fn is_ours(&self, slot: &str) -> bool {
        // With an empty prefix every slot would be ours, and a user's would be dropped.
        !self.prefix.is_empty() && slot.starts_with(&self.prefix)
    }
}

/// What a primary does: one slot for each other instance, none for those that are gone, a new one for a lost one.
#[must_use]
pub fn on_primary(policy: &Policy, me: &str, instances: &[String], have: &[SlotFact]) -> Vec<SlotStep> {
    let others = instances.iter().filter(|name| policy.enabled && *name != me);
    let wanted: Vec<String> = others.map(|name| slot_name(&policy.prefix, name)).collect();
    let mut steps = Vec::new();
    for slot in have.iter().filter(|slot| !slot.active) {
        let gone = policy.is_ours(&slot.name) && !wanted.contains(&slot.name);
        if gone || (slot.lost && wanted.contains(&slot.name)) {
            steps.push(SlotStep::Drop(slot.name.clone()));
        }
    }
    let usable = |name: &String| have.iter().any(|slot| slot.name == *name && (slot.active || !slot.lost));
    steps.extend(wanted.into_iter().filter(|name| !usable(name)).map(SlotStep::Create));
    steps
}

/// What a standby does: after the primary's slots, all but its own; a user's unless it is `excluded`. Slots that
/// the primary does not have any more are dropped.
#[must_use]
pub fn on_standby(
    policy: &Policy,
    me: &str,
    primary: &[SlotFact],
    have: &[SlotFact],
    excluded: impl Fn(&str) -> bool,
) -> Vec<SlotStep> {
    let own = slot_name(&policy.prefix, me);
    let mine_to_keep = |name: &str| {
        let ours = policy.is_ours(name);
        name != own && if ours { policy.enabled } else { policy.copy_users && !excluded(name) }
    };
    let wanted: Vec<&SlotFact> = primary.iter().filter(|slot| !slot.lost && mine_to_keep(&slot.name)).collect();
    let mut steps = Vec::new();
    for slot in have.iter().filter(|slot| !slot.active) {
        let of_the_primary = wanted.iter().any(|other| other.name == slot.name);
        let to_be_there = of_the_primary && !slot.lost;
        let ours_to_drop = policy.is_ours(&slot.name) || (policy.copy_users && !excluded(&slot.name));
        if !to_be_there && ours_to_drop {
            steps.push(SlotStep::Drop(slot.name.clone()));
        }
    }
    for slot in wanted {
        let present = have.iter().find(|mine| mine.name == slot.name && (mine.active || !mine.lost));
        if present.is_none() {
            steps.push(SlotStep::Create(slot.name.clone()));
        }
        if let Some(to) = slot.restart
            && present.is_none_or(|mine| mine.restart.is_some_and(|at| at < to))
        {
            steps.push(SlotStep::Advance(slot.name.clone(), to));
        }
    }
    steps
}

/// How many megabytes of WAL a slot may keep (`max_slot_wal_keep_size`) unless the user says otherwise: a quarter of
/// the volume that WAL is on, so that a standby that is away cannot fill it; at least four segments. CNPG and
/// postgres set no limit.
#[must_use]
pub fn cap_megabytes(volume_bytes: u64) -> u64 {
    const LEAST: u64 = 64;
    (volume_bytes / 4 / (1 << 20)).max(LEAST)
}
