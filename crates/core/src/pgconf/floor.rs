//! Parameters that a standby must not have less of than the primary whose WAL it replays (PostgreSQL documentation,
//! "Hot Standby", administrator's overview): it would not start, or would stop to replay.

use std::collections::BTreeMap;

/// Each with PostgreSQL's default.
pub const SENSITIVE: [(&str, u32); 5] = [
    ("max_connections", 100),
    ("max_locks_per_transaction", 64),
    ("max_prepared_transactions", 0),
    ("max_wal_senders", 10),
    ("max_worker_processes", 8),
];

/// The lines that raise `parameters` to what the control file says that the primary had; none where they are enough.
#[must_use]
pub fn raised(parameters: &BTreeMap<String, String>, control_file: &[(&str, u32)]) -> String {
    let line = |(name, least): &(&str, u32)| {
        let default = SENSITIVE.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| *value);
        let asked = parameters.get(*name).and_then(|value| value.parse().ok()).unwrap_or(default);
        (asked < *least).then(|| format!("{name} = {least}\n"))
    };
    control_file.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_keeps_what_its_primary_had_until_it_has_replayed_that_it_has_less() {
        let asked = BTreeMap::from([("max_connections".to_owned(), "80".to_owned())]);
        assert_eq!(raised(&asked, &[("max_connections", 100)]), "max_connections = 100\n");
        assert_eq!(raised(&asked, &[("max_connections", 80)]), "");
        assert_eq!(
            raised(&BTreeMap::new(), &[("max_connections", 100), ("max_worker_processes", 32)]),
            "max_worker_processes = 32\n"
        );
    }
}
