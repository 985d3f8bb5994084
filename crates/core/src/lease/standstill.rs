//! Clients that are all frozen: a new session answers, and nobody who is connected is served.

/// What the kernel says of the process behind a client's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// It can run.
    Runs,
    /// It was stopped (state `T` of proc(5)) and does not run until somebody lets it. A process under a debugger
    /// (`t`) is not meant: somebody sits before it.
    Stopped,
}

/// Whether a primary is of no use to those who are connected to it: there is somebody, and every one stands still.
/// Such an instance is no proof of a write path (hole 26): the lease is not renewed, and another takes over.
#[must_use]
pub fn stand_still(sessions: &[Session]) -> bool {
    !sessions.is_empty() && sessions.iter().all(|session| *session == Session::Stopped)
}

#[cfg(test)]
mod tests {
    use super::{Session, stand_still};

    #[test]
    fn clients_stand_still_only_if_there_are_any_and_all_of_them_do() {
        for (sessions, still) in [
            (&[][..], false),
            (&[Session::Runs], false),
            (&[Session::Stopped], true),
            (&[Session::Stopped, Session::Runs], false),
            (&[Session::Stopped, Session::Stopped], true),
        ] {
            assert_eq!(stand_still(sessions), still, "{sessions:?}");
        }
    }
}
