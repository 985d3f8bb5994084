//! What a FailoverQuorum says (CNPG's tools read it): the electable record, with the members' names in place of their data
//! directories. Nothing is decided from it.

use super::{Method, SyncSetting, record_of};
use crate::identity::Incarnation;
use crate::lease::{ElectableRecord, Term};

/// `status` of a FailoverQuorum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quorum {
    /// How postgres picks those whose acknowledgement counts.
    pub method: Method,
    /// The members that may have every acknowledged commit.
    pub names: Vec<String>,
    /// How many of them have one.
    pub number: u32,
}

/// What may be told of `setting`, which is in force. Nothing while the lease says anything else, too: then somebody may be
/// missing from the list who has acknowledged, or be on it who has not, and CNPG as well empties it meanwhile.
#[must_use]
pub fn mirrored(
    setting: &SyncSetting,
    records: &[ElectableRecord],
    term: Term,
    writer: &Incarnation,
) -> Option<Quorum> {
    let [only] = records else { return None };
    (*only == record_of(setting, term, writer) && only.needed > 0).then(|| Quorum {
        method: setting.method,
        names: setting.members.iter().map(|member| member.name.clone()).collect(),
        number: only.needed,
    })
}

#[cfg(test)]
mod tests {
    use super::super::SyncMember;
    use super::*;

    fn setting(needed: u32) -> SyncSetting {
        let member =
            |name: &str| SyncMember { name: name.to_owned(), incarnation: format!("i-{name}").as_str().into() };
        SyncSetting { needed, members: vec![member("c-2"), member("c-3")], ..SyncSetting::default() }
    }

    fn told(setting: &SyncSetting, records: &[ElectableRecord]) -> Option<Quorum> {
        mirrored(setting, records, Term(4), &"p".into())
    }

    #[test]
    fn the_mirror_has_the_names_of_the_members_once_record_and_setting_agree() {
        let record = record_of(&setting(1), Term(4), &"p".into());
        let quorum = told(&setting(1), std::slice::from_ref(&record)).unwrap();
        assert_eq!((quorum.names, quorum.number), (vec!["c-2".to_owned(), "c-3".to_owned()], 1));
        assert_eq!(told(&setting(2), std::slice::from_ref(&record)), None, "it is being tightened");
        let older = ElectableRecord { term: Term(3), ..record.clone() };
        assert_eq!(told(&setting(1), &[older, record]), None, "an older record binds elections as well");
        assert_eq!(told(&setting(1), &[]), None);
    }

    #[test]
    fn nobody_is_named_while_no_commit_waits() {
        let nobody = SyncSetting { members: Vec::new(), ..setting(0) };
        assert_eq!(told(&nobody, &[record_of(&nobody, Term(4), &"p".into())]), None);
    }
}
