//! How many owners an object has at most: beyond it, the oldest updates become one entry (`capUpdateManagers` of the real
//! server, k8s.io/apimachinery `managedfields/internal/capmanagers.go`).

use std::collections::BTreeMap;

use super::managers::{Entry, Managers, Operation};

/// Updates beyond this many are merged. Applies are never.
const LIMIT: usize = 10;
/// Who owns what was merged.
const ANCIENT: &str = "ancient-changes";

/// Merges the oldest updates, those of one API version each, until there are no more than the limit. Two versions are not
/// merged, so that with very many of them there can be more.
pub(super) fn capped(mut all: Managers) -> Managers {
    all.0.retain(|entry| !entry.fields.is_empty());
    let (mut updates, applies): (Vec<Entry>, Vec<Entry>) =
        all.0.into_iter().partition(|entry| entry.operation == Operation::Update);
    let mut excess = updates.len().saturating_sub(LIMIT);
    updates.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut oldest: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<Entry> = Vec::with_capacity(updates.len());
    for entry in updates {
        let into = oldest.get(&entry.api_version).filter(|_| excess > 0).and_then(|at| kept.get_mut(*at));
        if let Some(into) = into {
            into.fields = std::mem::take(&mut into.fields).union(&entry.fields);
            ANCIENT.clone_into(&mut into.manager);
            into.subresource.clear();
            into.time = entry.time;
            excess = excess.saturating_sub(1);
        } else {
            oldest.entry(entry.api_version.clone()).or_insert(kept.len());
            kept.push(entry);
        }
    }
    Managers(kept.into_iter().chain(applies).collect())
}

/// Oldest first; those of one second by who they are.
fn key(entry: &Entry) -> (&str, &str, &str, &str) {
    (&entry.time, &entry.manager, &entry.api_version, &entry.subresource)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::set::FieldSet;
    use super::*;

    fn entry(manager: &str, operation: Operation, second: usize) -> Entry {
        Entry {
            manager: manager.to_owned(),
            operation,
            subresource: String::new(),
            api_version: "v1".to_owned(),
            time: format!("2026-01-01T00:00:{second:02}Z"),
            fields: FieldSet::from_json(&json!({"f:data": {format!("f:{manager}"): {}}})),
        }
    }

    fn names(all: &Managers) -> Vec<&str> {
        all.0.iter().map(|entry| entry.manager.as_str()).collect()
    }

    #[test]
    fn the_oldest_updates_become_one_and_applies_stay_as_they_are() {
        let applies = (0..12).map(|n| entry(&format!("apply-{n}"), Operation::Apply, 0));
        let updates = (0..12).map(|n| entry(&format!("update-{n}"), Operation::Update, n + 1));
        let all = capped(Managers(applies.chain(updates).collect()));
        assert_eq!(all.0.iter().filter(|entry| entry.operation == Operation::Apply).count(), 12);
        let expected = ["ancient-changes", "update-3", "update-4", "update-5", "update-6", "update-7", "update-8"];
        assert_eq!(names(&all)[..7], expected);
        assert_eq!(
            all.0[0].fields.to_json(),
            json!({"f:data": {"f:update-0": {}, "f:update-1": {}, "f:update-2": {}}})
        );
        assert_eq!(all.0[0].time, "2026-01-01T00:00:03Z", "of the newest in it");

        let mut next = all;
        next.0.push(entry("update-12", Operation::Update, 13));
        let next = capped(next);
        assert_eq!(names(&next)[..2], ["ancient-changes", "update-4"]);
        assert_eq!(next.0.iter().filter(|entry| entry.operation == Operation::Update).count(), LIMIT);
        assert_eq!(capped(next.clone()), next, "nothing more to merge");
    }

    #[test]
    fn ten_updates_stay_and_versions_are_not_mixed() {
        let ten = Managers((0..10).map(|n| entry(&format!("m{n}"), Operation::Update, n)).collect());
        assert_eq!(capped(ten.clone()), ten);
        let mut eleven = ten;
        eleven.0.push(entry("late", Operation::Update, 30));
        for (number, old) in eleven.0.iter_mut().enumerate().take(2) {
            old.api_version = format!("v{}", number + 2);
        }
        let all = capped(eleven);
        assert_eq!(names(&all)[..3], ["m0", "m1", "ancient-changes"], "m2 and m3 are of one version");
        assert_eq!(all.0.len(), 10);
    }
}
