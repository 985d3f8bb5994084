//! What is done to a cluster, and when: from a seed alone. Who is the primary then is seen when it is done.

use super::dice::Dice;
use super::kinds::{KINDS, Kind, Needs, Whom};
use serde::{Deserialize, Serialize};

/// The role of the pod that a fault is put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Who holds the lease then.
    Primary,
    /// One of the others.
    Standby,
    /// Nobody: the fault is everybody's.
    Everybody,
}

/// One fault to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Milliseconds after the clients began.
    pub at: u64,
    /// How long it lasts, in milliseconds; 0 is over at once.
    pub lasts: u64,
    /// The kind's name.
    pub kind: String,
    /// On whom.
    pub role: Role,
    /// For the choice among standbys and for the fault's own numbers.
    pub seed: u64,
}

/// No fault comes earlier, in milliseconds.
const FIRST: u64 = 3_000;
/// None comes later.
const LAST: u64 = 40_000;

/// How much likelier a fault of a disk, or of a clock, is where there can be any at all.
const WHERE_ONE_CAN: u64 = 4;

/// One of so many seeds has volumes that can fail.
const WITH_DISKS: u64 = 3;
/// Of those so many have WAL with the data, and the next so many on volumes of its own: an odd seed and an even one,
/// since configurations take turns.
const IN_A_ROW: u64 = 2;
/// What seeds leave, divided by [`WITH_DISKS`], that have pods with clocks of their own.
const WITH_CLOCKS: u64 = 2;

/// Volumes that can fail, which are file systems of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disks {
    /// There are none.
    #[default]
    None,
    /// An instance has one, for everything.
    One,
    /// An instance has one for its data and one for its WAL.
    WalApart,
}

/// What a run's cluster is made of, as far as it decides which faults there can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Which volumes can fail.
    pub disks: Disks,
    /// Commits wait for a standby, whatever happens.
    pub required: bool,
    /// Pods have clocks of their own.
    pub clocks: bool,
}

impl Terms {
    /// Those of a seed, where commits wait for a standby or do not.
    #[must_use]
    pub const fn of(seed: u64, required: bool) -> Self {
        let disks = match (seed % WITH_DISKS, seed / WITH_DISKS / IN_A_ROW % 2) {
            (0, 0) => Disks::One,
            (0, _) => Disks::WalApart,
            _ => Disks::None,
        };
        Self { disks, required, clocks: seed % WITH_DISKS == WITH_CLOCKS }
    }

    fn weight(self, kind: &Kind) -> u64 {
        let (can, times) = match kind.needs {
            Needs::Nothing => (true, 1),
            Needs::Required => (self.required, 1),
            Needs::Disks => (self.disks != Disks::None, WHERE_ONE_CAN),
            Needs::WalVolumes => (self.disks == Disks::WalApart, WHERE_ONE_CAN),
            Needs::Clocks => (self.clocks, WHERE_ONE_CAN),
            Needs::ClocksAndRequired => (self.clocks && self.required, WHERE_ONE_CAN),
        };
        if can { kind.weight * times } else { 0 }
    }
}

/// The schedule of a seed: three to six faults of at least two kinds, the first of which takes a primary away, and one at
/// most that takes data away.
#[must_use]
pub fn schedule(seed: u64, terms: Terms) -> Vec<Planned> {
    let mut dice = Dice::new(seed);
    let count = dice.between(3, 7);
    let mut planned: Vec<Planned> = Vec::new();
    let mut ruined = false;
    while planned.len() < usize::try_from(count).unwrap_or(3) {
        let first = planned.is_empty();
        let last_of_one_kind =
            planned.len() == 2 && planned.windows(2).all(|two| matches!(two, [a, b] if a.kind == b.kind));
        let weight = |kind: &Kind| {
            let taken = last_of_one_kind && planned.iter().any(|one| one.kind == kind.name);
            let unfit = first && (!kind.deposes() || kind.whom == Whom::Standby);
            if taken || unfit || (ruined && kind.ruins) { 0 } else { terms.weight(kind) }
        };
        let Some(kind) = dice.weighted(KINDS, weight) else { break };
        ruined |= kind.ruins;
        let role = match kind.whom {
            Whom::Everybody => Role::Everybody,
            Whom::Primary => Role::Primary,
            Whom::Standby => Role::Standby,
            Whom::Pod if first || dice.percent(55) => Role::Primary,
            Whom::Pod => Role::Standby,
        };
        let at = if first { dice.between(FIRST, 12_000) } else { dice.between(FIRST, LAST) };
        let lasts = kind.lasts.map_or(0, |(from, to)| dice.between(from, to));
        planned.push(Planned { at, lasts, kind: kind.name.to_owned(), role, seed: dice.roll() });
    }
    planned.sort_by_key(|one| one.at);
    planned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::kinds::kind;
    use std::collections::BTreeSet;

    const ALL: Terms = Terms { disks: Disks::WalApart, required: true, clocks: true };

    #[test]
    fn a_seed_brings_one_schedule_and_another_seed_another() {
        assert_eq!(schedule(5, ALL), schedule(5, ALL));
        assert_ne!(schedule(5, ALL), schedule(6, ALL));
    }

    #[test]
    fn every_schedule_has_three_faults_of_two_kinds_takes_a_primary_away_and_ruins_once_at_most() {
        let mut seen = BTreeSet::new();
        for seed in 0..2_000 {
            let planned = schedule(seed, ALL);
            let kinds: BTreeSet<_> = planned.iter().map(|one| one.kind.clone()).collect();
            let deposes = |one: &Planned| one.role == Role::Primary && kind(&one.kind).unwrap().deposes();
            assert!(planned.len() >= 3 && kinds.len() >= 2, "seed {seed}: {planned:?}");
            assert!(planned.iter().any(deposes), "seed {seed}: {planned:?}");
            assert!(planned.iter().all(|one| one.at >= FIRST && one.at < LAST), "seed {seed}: {planned:?}");
            let ruins = planned.iter().filter(|one| kind(&one.kind).unwrap().ruins).count();
            assert!(ruins <= 1, "seed {seed}: {planned:?}");
            seen.extend(kinds);
        }
        assert_eq!(seen.len(), KINDS.len(), "a kind that never comes");
    }

    #[test]
    fn disks_and_clocks_fail_and_primaries_lose_their_volumes_only_where_they_can() {
        let needs = |terms| {
            let of = move |seed| schedule(seed, terms).into_iter().map(|one| kind(&one.kind).unwrap().needs);
            (0..300).flat_map(of).collect::<Vec<_>>()
        };
        assert!(needs(Terms::default()).iter().all(|needs| *needs == Needs::Nothing));
        let one = Terms { disks: Disks::One, ..Terms::default() };
        let disks = needs(one);
        assert!(disks.contains(&Needs::Disks) && !disks.contains(&Needs::WalVolumes));
        assert!(!disks.contains(&Needs::Required));
        let apart = needs(Terms { disks: Disks::WalApart, ..Terms::default() });
        assert!(apart.contains(&Needs::Disks) && apart.contains(&Needs::WalVolumes));
        let clocks = Terms { clocks: true, ..Terms::default() };
        assert!(needs(Terms { required: true, ..clocks }).contains(&Needs::ClocksAndRequired));
        let clocks = needs(clocks);
        assert!(clocks.contains(&Needs::Clocks) && !clocks.contains(&Needs::Disks));
        assert!(!clocks.contains(&Needs::ClocksAndRequired), "a machine that stood still may have written on");
        let runs = (0..300).filter(|seed| {
            let planned = schedule(*seed, one);
            planned.iter().any(|one| kind(&one.kind).unwrap().needs == Needs::Disks)
        });
        assert!(runs.count() > 200, "where disks can fail, they do in most runs");
    }

    #[test]
    fn every_third_seed_has_disks_that_can_fail_half_of_them_with_wal_apart_and_another_third_has_clocks() {
        let of = |rest: u64| (0..12).map(move |nth| Terms::of(nth * 3 + rest, false));
        assert!(of(0).all(|terms| terms.disks != Disks::None && !terms.clocks));
        assert!(of(1).all(|terms| terms == Terms::default()));
        assert!(of(2).all(|terms| terms == Terms { clocks: true, ..Terms::default() }));
        let apart = |seed: &u64| Terms::of(*seed, false).disks == Disks::WalApart;
        let (even, odd): (Vec<u64>, Vec<u64>) = (0..36).filter(apart).partition(|seed| seed.is_multiple_of(2));
        assert_eq!((even.len(), odd.len()), (3, 3), "each configuration has its share");
    }

    #[test]
    fn faults_overlap() {
        let overlapping = |planned: &[Planned]| planned.windows(2).any(|two| two[0].at + two[0].lasts > two[1].at);
        let many = (0..100).filter(|seed| overlapping(&schedule(*seed, Terms::default()))).count();
        assert!(many > 40, "{many} of 100");
    }
}
