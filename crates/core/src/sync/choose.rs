//! Whom commits should wait for: from the spec and the members as they are to V' and W'.

use super::setting::count;
use super::{SyncMember, SyncSetting, SyncSpec};

/// A member, as far as the choice goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fitness {
    /// Who.
    pub member: SyncMember,
    /// It is in another failure domain than the primary.
    pub apart: bool,
}

/// V' and W' for the members that are `fit` to acknowledge commits (they stream, they are to stay). Where those apart from
/// the primary are as many as a commit waits for, nobody else is named: what fails together must not be all that has a
/// commit. Else they come first, then by name, up to `maxStandbyNamesFromCluster`. Where fewer are fit than commits must
/// wait for, the present setting stays: whoever it names may have what nobody else has.
#[must_use]
pub fn choose(spec: &SyncSpec, fit: &[Fitness], present: &SyncSetting) -> SyncSetting {
    let mut ranked: Vec<&Fitness> = fit.iter().collect();
    ranked.sort_by_key(|one| (!one.apart, &one.member.name));
    ranked.dedup_by_key(|one| &one.member.name);
    let elsewhere = ranked.iter().filter(|one| one.apart).count();
    if spec.number > 0 && count(elsewhere) >= spec.number {
        ranked.truncate(elsewhere);
    }
    let most = spec.max_from_cluster.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let members: Vec<SyncMember> = ranked.into_iter().take(most).map(|one| one.member.clone()).collect();
    let outside = count(spec.pre.len().saturating_add(spec.post.len()));
    let there = count(members.len()).saturating_add(outside);
    let minimum = spec.minimum();
    let few = there < minimum;
    let members = if few { kept(&present.members, members, most) } else { members };
    SyncSetting {
        method: spec.method,
        needed: spec.number.min(there.max(minimum)),
        members,
        pre: spec.pre.clone(),
        post: spec.post.clone(),
    }
}

/// The present members, those who are fit as they are now.
fn kept(present: &[SyncMember], fit: Vec<SyncMember>, most: usize) -> Vec<SyncMember> {
    if present.is_empty() {
        return fit;
    }
    let now = |old: &SyncMember| fit.iter().find(|one| one.name == old.name).unwrap_or(old).clone();
    let mut members: Vec<SyncMember> = present.iter().map(now).collect();
    members.extend(fit.iter().filter(|one| present.iter().all(|old| old.name != one.name)).cloned());
    members.truncate(most);
    members
}
