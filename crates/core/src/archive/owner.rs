//! Whose an archive is: it belongs to one database system, and no other one writes to it or deletes from it.

use crate::identity::SystemId;

/// What a person can do about an archive of another system, in one sentence.
pub const GIVE_IT_ITS_OWN: &str =
    "this archive is another cluster's: give this one a serverName or destinationPath of its own";

/// The archive is another database system's. Trying again is useless until this one is given another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the archive belongs to database system {owner}, and this one is {own}: {}", GIVE_IT_ITS_OWN)]
pub struct Foreign {
    /// Whose it is.
    pub owner: SystemId,
    /// Who asked.
    pub own: SystemId,
}

/// Whether the database system `own` may write to an archive and delete from it. `owner` is the system of the first
/// segment that is there; without one it is nobody's yet.
///
/// # Errors
/// [`Foreign`].
pub fn admit(owner: Option<SystemId>, own: SystemId) -> Result<(), Foreign> {
    match owner {
        Some(owner) if owner != own => Err(Foreign { owner, own }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_open_to_its_own_system_and_an_empty_one_to_anybody() {
        let (one, another) = (SystemId(7), SystemId(8));
        assert_eq!(admit(None, one), Ok(()));
        assert_eq!(admit(Some(one), one), Ok(()), "rebuilt, or restored in place");
        let refused = admit(Some(one), another).unwrap_err();
        assert_eq!(refused, Foreign { owner: one, own: another });
        let said = refused.to_string();
        assert!(said.contains("belongs to database system 7, and this one is 8"), "{said}");
        assert!(said.contains("a serverName or destinationPath of its own"), "{said}");
    }
}
