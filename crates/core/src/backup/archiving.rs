//! What failing WAL archiving means for a backup, which is worth nothing without its WAL.

use core::time::Duration;

/// A backup waits for so long for archiving to work, before it is begun and after it was copied. CNPG waits ten times a
/// minute before it begins one, and leaves it there.
pub const ARCHIVING_WITHIN: Duration = Duration::from_secs(600);

/// Why WAL archiving fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchivingFailure<'a> {
    /// For people.
    pub why: &'a str,
    /// The archive refuses what it is given: it is another cluster's, or has other content under that name. Waiting does
    /// not help.
    pub lasting: bool,
}

/// Whether a Backup may be begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing is known to be wrong.
    Open,
    /// Its phase is `walArchivingFailing`.
    Hold {
        /// Why, and what to do, for people.
        why: String,
    },
    /// It has waited long enough.
    Fail {
        /// Why, for people.
        why: String,
    },
}

/// Decides for a Backup that has been held up for so long. `failing` is what the condition `ContinuousArchiving` says
/// where it is False.
#[must_use]
pub fn judge_archiving(failing: Option<ArchivingFailure<'_>>, held: Duration) -> Gate {
    let minutes = ARCHIVING_WITHIN.as_secs() / 60;
    match failing {
        None => Gate::Open,
        Some(failure) if failure.lasting => Gate::Fail { why: format!("not begun: {}", archive_refuses(failure.why)) },
        Some(failure) if held >= ARCHIVING_WITHIN => {
            let why = failure.why;
            Gate::Fail { why: format!("not begun, since WAL archiving did not work for {minutes} minutes: {why}") }
        }
        Some(failure) => Gate::Hold { why: archiving_fails(failure.why) },
    }
}

/// What a Backup says that fails since the archive will not have the WAL.
#[must_use]
pub fn archive_refuses(why: &str) -> String {
    format!(
        "the archive refuses this cluster's WAL, without which a backup is worth nothing; waiting does not help. {why}"
    )
}

/// What a Backup says while it waits for archiving to work again.
#[must_use]
pub fn archiving_fails(failure: &str) -> String {
    let minutes = ARCHIVING_WITHIN.as_secs() / 60;
    format!(
        "WAL archiving does not work, and a backup is worth nothing without its WAL: mend what archiving names here, and \
         the backup goes on by itself; it fails after {minutes} minutes. {failure}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAY: Option<ArchivingFailure<'_>> = Some(ArchivingFailure { why: "403 AccessDenied", lasting: false });

    #[test]
    fn a_backup_is_begun_unless_archiving_is_known_to_fail() {
        assert_eq!(judge_archiving(None, ARCHIVING_WITHIN), Gate::Open);
    }

    #[test]
    fn where_archiving_fails_it_is_held_up_told_what_to_do_and_failed_after_ten_minutes() {
        let just = ARCHIVING_WITHIN.saturating_sub(Duration::from_secs(1));
        let Gate::Hold { why } = judge_archiving(AWAY, just) else { panic!("it is not held") };
        assert!(why.contains("mend") && why.ends_with("403 AccessDenied"), "{why}");
        let Gate::Fail { why } = judge_archiving(AWAY, ARCHIVING_WITHIN) else { panic!("it waits for ever") };
        assert!(why.contains("10 minutes") && why.ends_with("403 AccessDenied"), "{why}");
    }

    #[test]
    fn where_the_archive_refuses_it_fails_at_once_and_says_so() {
        let refused = ArchivingFailure { why: "00000002: it belongs to database system 8", lasting: true };
        let Gate::Fail { why } = judge_archiving(Some(refused), Duration::ZERO) else { panic!("it waits") };
        assert!(why.contains("not begun") && why.ends_with("it belongs to database system 8"), "{why}");
    }
}
