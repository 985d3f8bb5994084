//! `shared_preload_libraries`: the user's, then those that a parameter of theirs calls for, as CNPG does; and the extensions
//! that go with them.

use std::collections::BTreeMap;

/// Libraries that are loaded as soon as one of their parameters is set.
const BY_PARAMETER: &[&str] = &["auto_explain", "pg_failover_slots", "pg_stat_statements", "pgaudit"];

/// Those of them that bring an extension (CNPG's `ManagedExtensions`).
const WITH_EXTENSION: &[&str] = &["pg_stat_statements", "pgaudit"];

fn is_called_for(library: &str, user: &BTreeMap<String, String>) -> bool {
    let mut prefixes = user.keys().filter_map(|name| name.split_once('.'));
    prefixes.any(|(prefix, _)| prefix.eq_ignore_ascii_case(library))
}

/// The extensions that a parameter of the user's calls for, to be there in every database.
#[must_use]
pub fn extensions(user: &BTreeMap<String, String>) -> Vec<&'static str> {
    WITH_EXTENSION.iter().copied().filter(|library| is_called_for(library, user)).collect()
}

/// The libraries in their order, each once; names in lists may not be quoted here, since none of ours needs it.
#[must_use]
pub fn libraries(wanted: &[String], user: &BTreeMap<String, String>) -> Vec<String> {
    let called_for = BY_PARAMETER.iter().filter(|library| is_called_for(library, user));
    let all = wanted.iter().map(String::as_str).chain(called_for.copied());
    let mut out: Vec<String> = Vec::new();
    for library in all.map(str::trim).filter(|library| !library.is_empty()) {
        if !out.iter().any(|known| known == library) {
            out.push(library.to_owned());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_calls_for_its_library_after_the_users_own() {
        let user = [("pgaudit.log", "ddl"), ("pg_stat_statements.max", "1"), ("work_mem", "1")];
        let user = user.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let wanted = ["timescaledb", "pgaudit", "", "timescaledb"].map(str::to_owned);
        assert_eq!(libraries(&wanted, &user), ["timescaledb", "pgaudit", "pg_stat_statements"]);
        assert_eq!(extensions(&user), ["pg_stat_statements", "pgaudit"]);
        assert!(libraries(&[], &BTreeMap::new()).is_empty());
        let without = [("auto_explain.log_min_duration".to_owned(), "1s".to_owned())].into();
        assert_eq!((libraries(&[], &without), extensions(&without)), (vec!["auto_explain".to_owned()], vec![]));
    }
}
