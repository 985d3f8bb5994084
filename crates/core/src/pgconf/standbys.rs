//! `synchronous_standby_names` as text, and how a walsender shows that it goes by it (rule Q4).
//!
//! Each walsender has a copy of its own (`syncrep.c`). What it shows of it is its priority in the list,
//! `pg_stat_replication.sync_priority`: 0 when it is not listed, 1 with ANY, its place with FIRST. It releases
//! waiters by its own copy, and only while its own priority is above 0.

use super::quote::conf_value;
use crate::sync::{Method, SyncSetting};

/// What a commit waits for when nobody is listed, so that it waits (hole 10): a name that no instance has (CNPG's).
#[must_use]
pub fn nobody(cluster: &str) -> String {
    format!("ANY 1 ({})", quoted(&format!("{cluster}-placeholder")))
}

/// The value. Empty only where no commit is to wait.
#[must_use]
pub fn standby_names(setting: &SyncSetting, cluster: &str) -> String {
    if setting.needed == 0 {
        return String::new();
    }
    let names: Vec<String> = listed(setting).map(quoted).collect();
    if names.is_empty() {
        return nobody(cluster);
    }
    let method = match setting.method {
        Method::Any => "ANY",
        Method::First => "FIRST",
    };
    format!("{method} {} ({})", setting.needed, names.join(","))
}

/// The file that is included last, so that nothing in another one overrides it.
#[must_use]
pub fn synchronous_conf(names: &str) -> String {
    format!("synchronous_standby_names = {}\n", conf_value(names))
}

fn listed(setting: &SyncSetting) -> impl Iterator<Item = &str> {
    let members = setting.members.iter().map(|member| &member.name);
    setting.pre.iter().chain(members).chain(&setting.post).map(String::as_str)
}

/// As `syncrep_scanner.l` reads it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What a walsender says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It can release nobody by another setting than the one asked about.
    Follows,
    /// It still goes by an older one.
    Behind,
    /// It would show the same with an older one, by which it might release others: only its end tells.
    Untold,
}

/// What the priority `shown` by the walsender of `name` says, when `setting` was asked for and it may still have one
/// of `older`. Postgres compares names without case.
#[must_use]
pub fn sight(shown: i32, name: &str, setting: &SyncSetting, older: &[SyncSetting]) -> Sight {
    if shown == 0 {
        return Sight::Follows;
    }
    if shown != priority(setting, name) {
        return Sight::Behind;
    }
    let same_rule = |old: &SyncSetting| (old.method, old.needed) == (setting.method, setting.needed);
    let ambiguous = older.iter().any(|old| !same_rule(old) && priority(old, name) == shown);
    if ambiguous { Sight::Untold } else { Sight::Follows }
}

fn priority(setting: &SyncSetting, name: &str) -> i32 {
    if setting.needed == 0 {
        return 0;
    }
    let place = listed(setting).position(|listed| listed.eq_ignore_ascii_case(name));
    place.map_or(0, |place| match setting.method {
        Method::Any => 1,
        Method::First => i32::try_from(place).unwrap_or(i32::MAX).saturating_add(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::SyncMember;

    fn setting(method: Method, needed: u32, members: &[&str]) -> SyncSetting {
        let member =
            |name: &&str| SyncMember { name: (*name).to_owned(), incarnation: format!("i-{name}").as_str().into() };
        SyncSetting { method, needed, members: members.iter().map(member).collect(), pre: vec![], post: vec![] }
    }

    #[test]
    fn the_text_lists_names_in_quotes_and_is_empty_only_when_nobody_is_waited_for() {
        let any = setting(Method::Any, 1, &["c-2", "c-3"]);
        assert_eq!(standby_names(&any, "c"), r#"ANY 1 ("c-2","c-3")"#);
        let outside =
            SyncSetting { pre: vec!["a\"b".into()], post: vec!["z".into()], ..setting(Method::First, 2, &["c-2"]) };
        assert_eq!(standby_names(&outside, "c"), r#"FIRST 2 ("a""b","c-2","z")"#);
        assert_eq!(standby_names(&setting(Method::Any, 1, &[]), "c"), r#"ANY 1 ("c-placeholder")"#);
        assert_eq!(standby_names(&setting(Method::Any, 0, &["c-2"]), "c"), "");
        assert_eq!(synchronous_conf(r#"ANY 1 ("it's")"#), "synchronous_standby_names = 'ANY 1 (\"it''s\")'\n");
    }

    #[test]
    fn a_walsender_that_is_taken_off_the_list_follows_when_it_shows_no_priority() {
        let (before, after) = (setting(Method::Any, 1, &["c-2", "c-3"]), setting(Method::Any, 1, &["c-3"]));
        let older = [before];
        assert_eq!(sight(1, "c-2", &after, &older), Sight::Behind);
        assert_eq!(sight(0, "c-2", &after, &older), Sight::Follows);
        // The number and the method are what they were: whichever copy it has, it releases the same.
        assert_eq!(sight(1, "C-3", &after, &older), Sight::Follows);
    }

    #[test]
    fn another_number_or_method_does_not_show_where_the_priority_stays() {
        let older = [setting(Method::Any, 1, &["c-2", "c-3"])];
        assert_eq!(sight(1, "c-2", &setting(Method::Any, 2, &["c-2", "c-3"]), &older), Sight::Untold);
        assert_eq!(sight(1, "c-2", &setting(Method::First, 1, &["c-2", "c-3"]), &older), Sight::Untold);
        assert_eq!(sight(2, "c-3", &setting(Method::First, 1, &["c-2", "c-3"]), &older), Sight::Follows);
        assert_eq!(sight(1, "c-2", &setting(Method::Any, 1, &["c-2"]), &[SyncSetting::default()]), Sight::Follows);
    }
}
