//! `bootstrap.initdb`, and the locale of a Database: what goes together, and which PostgreSQL has it (initdb's and
//! CREATE DATABASE's documentation).

/// initdb would refuse it, or could not be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitDbError {
    /// A field of another provider.
    #[error("{field} is only available when localeProvider is set to `{provider}`")]
    Provider {
        /// The field.
        field: &'static str,
        /// The provider that has it.
        provider: &'static str,
    },
    /// No such provider.
    #[error("localeProvider is {0:?}: choose libc, icu or builtin")]
    NoSuchProvider(String),
    /// That PostgreSQL does not have it.
    #[error("{field} is available from PostgreSQL {since}, and the image has {major}")]
    TooOld {
        /// The field.
        field: &'static str,
        /// The first that has it.
        since: u32,
        /// The image's.
        major: u32,
    },
    /// A locale that could break out of a line.
    #[error("{field} is {value:?}: give a name without control characters")]
    Text {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// The manager says it.
    #[error("options has {0:?}: the manager says that itself; remove it")]
    Reserved(String),
}

/// The fields about a locale, as they are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locale<'a> {
    /// `localeProvider`.
    pub provider: Option<&'a str>,
    /// `icuLocale` is given.
    pub icu_locale: bool,
    /// `icuRules` is given.
    pub icu_rules: bool,
    /// `builtinLocale` is given.
    pub builtin_locale: bool,
}

impl Locale<'_> {
    /// Whether each field is of the provider that is chosen: the name of the first that is not, with its provider.
    #[must_use]
    pub fn stranger(&self) -> Option<(&'static str, &'static str)> {
        [
            ("builtinLocale", "builtin", self.builtin_locale),
            ("icuLocale", "icu", self.icu_locale),
            ("icuRules", "icu", self.icu_rules),
        ]
        .into_iter()
        .find(|(_, provider, given)| *given && self.provider != Some(*provider))
        .map(|(field, provider, _)| (field, provider))
    }
}

/// The fields about a locale, for an image of `major` if that is known.
///
/// # Errors
/// [`InitDbError::NoSuchProvider`], [`InitDbError::Provider`], [`InitDbError::TooOld`].
pub fn locale(locale: Locale<'_>, major: Option<u32>) -> Result<(), InitDbError> {
    if let Some(provider) = locale.provider.filter(|provider| !["libc", "icu", "builtin"].contains(provider)) {
        return Err(InitDbError::NoSuchProvider(provider.to_owned()));
    }
    if let Some((field, provider)) = locale.stranger() {
        return Err(InitDbError::Provider { field, provider });
    }
    let since = [
        ("localeProvider", 17, locale.provider == Some("builtin")),
        ("icuRules", 16, locale.icu_rules),
        ("localeProvider", 15, locale.provider.is_some()),
    ];
    let too_old = since.into_iter().find(|(_, since, given)| *given && major.is_some_and(|major| major < *since));
    match (too_old, major) {
        (Some((field, since, _)), Some(major)) => Err(InitDbError::TooOld { field, since, major }),
        _ => Ok(()),
    }
}

/// A locale's or an encoding's name.
///
/// # Errors
/// [`InitDbError::Text`].
pub fn text(field: &'static str, value: &str) -> Result<(), InitDbError> {
    if value.chars().any(char::is_control) {
        return Err(InitDbError::Text { field, value: value.to_owned() });
    }
    Ok(())
}

/// `options`: what the manager must say itself would be said twice.
///
/// # Errors
/// [`InitDbError::Reserved`].
pub fn options(options: &[String]) -> Result<(), InitDbError> {
    let ours =
        ["-D", "--pgdata", "-U", "--username", "-A", "--auth", "--auth-host", "--auth-local", "--pwfile", "-W", "-X"];
    let reserved = options.iter().find(|option| {
        let name = option.split_once('=').map_or(option.as_str(), |(name, _)| name);
        ours.contains(&name) || name == "--waldir" || name == "--pwprompt"
    });
    reserved.map_or(Ok(()), |option| Err(InitDbError::Reserved(option.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_a_provider_needs_it_and_a_postgres_that_has_it() {
        let icu = Locale { provider: Some("icu"), icu_locale: true, ..Locale::default() };
        assert_eq!(locale(icu, Some(15)), Ok(()));
        assert_eq!(locale(icu, None), Ok(()));
        assert!(matches!(locale(icu, Some(14)), Err(InitDbError::TooOld { since: 15, major: 14, .. })));
        assert!(matches!(
            locale(Locale { icu_rules: true, ..icu }, Some(15)),
            Err(InitDbError::TooOld { since: 16, field: "icuRules", .. })
        ));
        let alone = Locale { builtin_locale: true, ..Locale::default() };
        assert_eq!(locale(alone, None), Err(InitDbError::Provider { field: "builtinLocale", provider: "builtin" }));
        let other = Locale { provider: Some("libc"), icu_locale: true, ..Locale::default() };
        assert!(matches!(locale(other, None), Err(InitDbError::Provider { field: "icuLocale", .. })));
        let odd = Locale { provider: Some("glibc"), ..Locale::default() };
        assert!(matches!(locale(odd, None), Err(InitDbError::NoSuchProvider(_))));
    }

    #[test]
    fn what_the_manager_says_itself_is_no_option() {
        let of = |option: &str| options(&[option.to_owned()]);
        assert!(of("--allow-group-access").is_ok() && of("-k").is_ok());
        for option in ["-D", "--pgdata=/tmp", "--username=me", "--auth-host=trust", "--waldir=/wal"] {
            assert!(matches!(of(option), Err(InitDbError::Reserved(_))), "{option}");
        }
    }
}
