//! initdb into a directory that is not yet `pgdata`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::Postgres;
use crate::reap::Reaper;
use crate::run::RunError;
use crate::sql::SUPERUSER;
use crate::version::Major;

/// What initdb is told (CNPG's `bootstrap.initdb`, with its defaults).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitDb {
    /// `encoding`.
    pub encoding: String,
    /// `localeCollate`.
    pub lc_collate: String,
    /// `localeCType`.
    pub lc_ctype: String,
    /// `locale`: of everything that the two before do not say.
    pub locale: Option<String>,
    /// `localeProvider`.
    pub locale_provider: Option<String>,
    /// `icuLocale`.
    pub icu_locale: Option<String>,
    /// `icuRules`.
    pub icu_rules: Option<String>,
    /// `builtinLocale`.
    pub builtin_locale: Option<String>,
    /// `dataChecksums`.
    pub data_checksums: bool,
    /// `walSegmentSize` in MiB; None for initdb's own 16.
    pub wal_segment_mib: Option<u32>,
    /// `options`, as given: they take the place of all the others.
    pub options: Vec<String>,
}

impl Default for InitDb {
    fn default() -> Self {
        Self {
            encoding: "UTF8".into(),
            lc_collate: "C".into(),
            lc_ctype: "C".into(),
            locale: None,
            locale_provider: None,
            icu_locale: None,
            icu_rules: None,
            builtin_locale: None,
            data_checksums: false,
            wal_segment_mib: None,
            options: Vec::new(),
        }
    }
}

/// Runs initdb into `into`, which must be absent or empty. initdb syncs all it writes.
pub async fn initdb(
    reaper: &Reaper,
    postgres: &Postgres,
    into: &Path,
    how: &InitDb,
    deadline: Duration,
) -> Result<(), RunError> {
    let mut command = Command::new(postgres.program("initdb"));
    command.arg("-D").arg(into).args(arguments(how, postgres.major));
    reaper.settled().await;
    reaper.run(&mut command, deadline).await?.successful().map(drop)
}

fn arguments(how: &InitDb, major: Major) -> Vec<String> {
    let mut arguments = vec![
        format!("--username={SUPERUSER}"),
        // Only until pg_hba.conf is rendered over it.
        "--auth-local=peer".into(),
        "--auth-host=scram-sha-256".into(),
    ];
    if !how.options.is_empty() {
        arguments.extend(how.options.iter().cloned());
        return arguments;
    }
    arguments.extend([
        format!("--encoding={}", how.encoding),
        format!("--lc-collate={}", how.lc_collate),
        format!("--lc-ctype={}", how.lc_ctype),
    ]);
    let named = [
        ("--locale", &how.locale),
        ("--locale-provider", &how.locale_provider),
        ("--icu-locale", &how.icu_locale),
        ("--icu-rules", &how.icu_rules),
        ("--builtin-locale", &how.builtin_locale),
    ];
    arguments.extend(named.into_iter().filter_map(|(option, value)| Some(format!("{option}={}", value.as_ref()?))));
    if how.data_checksums {
        arguments.push("--data-checksums".into());
    } else if major.traits().checksums_by_default {
        arguments.push("--no-data-checksums".into());
    }
    if let Some(mib) = how.wal_segment_mib {
        arguments.push(format!("--wal-segsize={mib}"));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_as_asked_on_every_major() {
        let off = InitDb::default();
        let on = InitDb { data_checksums: true, ..InitDb::default() };
        let has = |how, major, option: &str| arguments(how, major).iter().any(|argument| argument == option);
        assert!(has(&on, Major::OLDEST, "--data-checksums") && has(&on, Major::NEWEST, "--data-checksums"));
        assert!(has(&off, Major::NEWEST, "--no-data-checksums") && !has(&off, Major::OLDEST, "--no-data-checksums"));
    }

    #[test]
    fn each_field_is_an_option_and_options_take_the_place_of_all() {
        let how = InitDb {
            locale: Some("de_DE.UTF-8".into()),
            locale_provider: Some("icu".into()),
            icu_locale: Some("de".into()),
            wal_segment_mib: Some(64),
            ..InitDb::default()
        };
        let said = arguments(&how, Major::OLDEST);
        for option in [
            "--encoding=UTF8",
            "--lc-collate=C",
            "--locale=de_DE.UTF-8",
            "--locale-provider=icu",
            "--icu-locale=de",
            "--wal-segsize=64",
        ] {
            assert!(said.iter().any(|argument| argument == option), "{option}: {said:?}");
        }
        let said = arguments(&InitDb { options: vec!["-k".into(), "--locale=C".into()], ..how }, Major::NEWEST);
        assert_eq!(said, ["--username=postgres", "--auth-local=peer", "--auth-host=scram-sha-256", "-k", "--locale=C"]);
    }
}
