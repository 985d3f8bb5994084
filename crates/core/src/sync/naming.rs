//! By which name a standby streams: postgres counts acknowledgements by name, the record by data directory.
//!
//! A member whose volume was lost has lost its fence with it. Under its old name what it acknowledges would release
//! commits of a primary that an election has already passed over, since that election counted its old directory
//! (holes 5 and 8 together). So it streams under another name, which no setting has, until the primary has published
//! a record that names its new directory: a publish that fails once another has taken the lease.

/// No pod has a name with this in it.
const UNCOUNTED: &str = "/new";

/// `application_name` of the receiver of `pod`.
#[must_use]
pub fn streaming_name(pod: &str, counted: bool) -> String {
    if counted { pod.to_owned() } else { format!("{pod}{UNCOUNTED}") }
}

/// The pod behind an `application_name`.
#[must_use]
pub fn member_name(application_name: &str) -> &str {
    application_name.strip_suffix(UNCOUNTED).unwrap_or(application_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_known_by_either_of_its_names() {
        assert_eq!(streaming_name("c-2", true), "c-2");
        assert_eq!(member_name(&streaming_name("c-2", false)), "c-2");
        assert_eq!(member_name("c-2"), "c-2");
    }
}
