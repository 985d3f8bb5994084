//! What a restore drill comes to, by what each of its checks found.

use super::{Target, Timestamp};

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// All is well; what is to be said of it besides.
    Clean(String),
    /// It could not be made here, which is no fault of the backup's: why.
    NotMade(String),
    /// Something is wrong: what, by name.
    Wrong(String),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Where it was to stop.
    pub target: Target,
    /// When the backup ended.
    pub backup_end: Timestamp,
    /// The last commit that was replayed.
    pub last_commit: Option<Timestamp>,
    /// The checks after it, each with its name.
    pub checks: Vec<(&'static str, Checked)>,
}

/// The moment that is proven to be restorable.
///
/// # Errors
/// For people: everything that is wrong.
pub fn judge_drill(found: &Findings) -> Result<Timestamp, String> {
    let mut wrong: Vec<String> = Vec::new();
    for (name, checked) in &found.checks {
        if let Checked::Wrong(what) = checked {
            wrong.push(format!("{name}: {what}"));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    Ok(match found.target {
        // Postgres itself sees to it that it is reached.
        Target::Time(time) => time.utc(),
        _ => found.last_commit.max(Some(found.backup_end)).unwrap_or(found.backup_end).utc(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(at: i64) -> Timestamp {
        Timestamp::from_seconds(at * 60)
    }

    fn found() -> Findings {
        Findings {
            target: Target::Latest,
            backup_end: minute(10),
            last_commit: Some(minute(12)),
            checks: vec![("pg_checksums", Checked::Clean(String::new()))],
        }
    }

    #[test]
    fn the_moment_is_the_last_commit_or_the_backups_end_or_the_time_that_was_asked_for() {
        assert_eq!(judge_drill(&found()), Ok(minute(12)));
        assert_eq!(judge_drill(&Findings { last_commit: None, ..found() }), Ok(minute(10)));
        assert_eq!(judge_drill(&Findings { last_commit: Some(minute(9)), ..found() }), Ok(minute(10)));
        let timed = Findings { target: Target::Time(minute(13)), ..found() };
        assert_eq!(judge_drill(&timed), Ok(minute(13)));
    }

    #[test]
    fn a_check_that_cannot_be_made_is_no_failure_and_every_wrong_one_is_named() {
        let with = |checks| Findings { checks, ..found() };
        let not_made = with(vec![("pg_checksums", Checked::NotMade("off".into()))]);
        assert_eq!(judge_drill(&not_made), Ok(minute(12)));
        let wrong = with(vec![
            ("pg_checksums", Checked::Wrong("base/5/16384, block 3".into())),
            ("query", Checked::Wrong("it answered false".into())),
        ]);
        assert_eq!(judge_drill(&wrong).unwrap_err(), "pg_checksums: base/5/16384, block 3; query: it answered false");
    }
}
