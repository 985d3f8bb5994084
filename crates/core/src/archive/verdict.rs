//! What an answer of the store to a create-only put means (I5: the archive only grows).

/// How the store answered a put that must not replace anything (`If-None-Match: *`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutAnswer {
    /// Stored, and acknowledged.
    Created,
    /// 412: an object of that name is there.
    Exists,
    /// 409: another write to that name is under way, perhaps our own earlier one.
    Conflict,
    /// Anything else: nobody knows whether it was stored.
    Failed,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterPut {
    /// The file is safe.
    Archived,
    /// Compare what is stored with the file, then [`judge`].
    Compare,
    /// Put it again, after a pause. It is create-only, so that a put whose answer was lost does no harm.
    Retry,
}

/// What is stored under the name of a file, compared by its uncompressed content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The same content.
    Equal,
    /// Other content.
    Different,
    /// Nothing: it was deleted since, or the other write came to nothing.
    Absent,
    /// It could not be read.
    Unknown,
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The file is safe: postgres may recycle it.
    Archived,
    /// Another cluster, or another timeline of the same id, writes here: fail, alarm, replace nothing.
    Refuse,
    /// Put it again, after a pause.
    Retry,
}

/// What follows from the answer to a put.
#[must_use]
pub fn after_put(answer: PutAnswer) -> AfterPut {
    match answer {
        PutAnswer::Created => AfterPut::Archived,
        PutAnswer::Exists => AfterPut::Compare,
        PutAnswer::Conflict | PutAnswer::Failed => AfterPut::Retry,
    }
}

/// What follows from a comparison.
#[must_use]
pub fn judge(stored: Stored) -> Verdict {
    match stored {
        Stored::Equal => Verdict::Archived,
        Stored::Different => Verdict::Refuse,
        Stored::Absent | Stored::Unknown => Verdict::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_acknowledgement_or_equal_content_is_success() {
        assert_eq!(after_put(PutAnswer::Created), AfterPut::Archived);
        assert_eq!(after_put(PutAnswer::Exists), AfterPut::Compare);
        assert_eq!(after_put(PutAnswer::Conflict), AfterPut::Retry);
        assert_eq!(after_put(PutAnswer::Failed), AfterPut::Retry);
        assert_eq!(judge(Stored::Equal), Verdict::Archived);
    }

    #[test]
    fn i5_the_archive_only_grows_other_content_is_refused_and_never_replaced() {
        assert_eq!(judge(Stored::Different), Verdict::Refuse);
        assert_eq!(judge(Stored::Absent), Verdict::Retry);
        assert_eq!(judge(Stored::Unknown), Verdict::Retry);
    }
}
