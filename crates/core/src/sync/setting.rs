//! One value of `synchronous_standby_names`, with the identity of each member that it names.

use super::Method;
use crate::identity::Incarnation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A member that commits wait for. Postgres knows it by its name (`application_name`), the record by its data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncMember {
    /// Pod name.
    pub name: String,
    /// Data directory.
    pub incarnation: Incarnation,
}

/// V' and W' of rule Q1. The default is asynchronous: no commit waits for anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncSetting {
    /// `ANY` or `FIRST`.
    pub method: Method,
    /// W': how many acknowledgements a commit waits for. With 0 the text is empty. It may be more than there are
    /// names: then commits wait until there are more.
    pub needed: u32,
    /// V': the members, in the order of the text.
    pub members: Vec<SyncMember>,
    /// Names outside the cluster, before the members: what they acknowledge nobody who may be elected has.
    pub pre: Vec<String>,
    /// Names outside the cluster, after the members.
    pub post: Vec<String>,
}

impl SyncSetting {
    /// The data directories of V'.
    #[must_use]
    pub fn incarnations(&self) -> BTreeSet<&Incarnation> {
        self.members.iter().map(|member| &member.incarnation).collect()
    }

    /// How many of the members, at the least, have acknowledged a commit that was let through: the names outside
    /// the cluster may have been all the others. It is also how many a barrier waits for.
    #[must_use]
    pub fn needed_of_members(&self) -> u32 {
        self.needed.saturating_sub(count(self.pre.len().saturating_add(self.post.len())))
    }
}

/// Sizes of lists as the protocol counts them.
pub(super) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
