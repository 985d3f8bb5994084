//! `spec.postgresql.parameters`: which names and values a user may give, and which go together.

use crate::pgconf::fixed::{Reserved, reserved};
use std::collections::BTreeMap;

/// A parameter is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// No parameter can have that name.
    #[error(
        "{0:?} is no parameter name: use letters, digits, '_' and '$', with one '.' between an extension and its parameter"
    )]
    Name(String),
    /// Two spellings of one name.
    #[error("the parameter {0:?} is given twice: names compare without case")]
    Twice(String),
    /// The manager computes it.
    #[error("the parameter {0:?} is set by the manager: remove it")]
    Fixed(String),
    /// Another value would break the manager.
    #[error("the parameter {0:?} may not be changed: remove it")]
    Blocked(String),
    /// A configuration file cannot hold it.
    #[error("the value of {0:?} contains a NUL character: remove it")]
    Nul(String),
    /// Not a number, or out of postgres' range.
    #[error("the parameter {name:?} is {value:?}: it must be a whole number from {least} to {most}")]
    Number {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
    /// Standbys and the archive need more.
    #[error("wal_level is {value:?}: with {why} it must be replica or logical")]
    WalLevel {
        /// Its value.
        value: String,
        /// Who needs it.
        why: &'static str,
    },
    /// No such level.
    #[error("wal_level is {0:?}: it must be minimal, replica or logical")]
    NoSuchWalLevel(String),
    /// Not enough walsenders.
    #[error(
        "max_wal_senders is {given}: {instances} instances need at least {needed}, one per standby and two for backups and joins"
    )]
    WalSenders {
        /// Its value.
        given: u32,
        /// `spec.instances`.
        instances: u32,
        /// The least that works.
        needed: u32,
    },
    /// pg_rewind could not work.
    #[error("wal_log_hints is {0:?}: with more than one instance it must be on, so that an old primary can be rewound")]
    WalLogHints(String),
}

/// The syntax of a name: `[A-Za-z_][A-Za-z0-9_$]*`, twice with a dot between for an extension's.
///
/// # Errors
/// [`ParameterError::Name`].
pub fn parameter_name(name: &str) -> Result<(), ParameterError> {
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'$')
    };
    let good = match name.split_once('.') {
        None => word(name),
        Some((extension, parameter)) => word(extension) && word(parameter),
    };
    if good { Ok(()) } else { Err(ParameterError::Name(name.to_owned())) }
}

/// A value that a configuration file can hold.
///
/// # Errors
/// [`ParameterError::Nul`].
pub fn parameter_value(name: &str, value: &str) -> Result<(), ParameterError> {
    if value.contains('\0') { Err(ParameterError::Nul(name.to_owned())) } else { Ok(()) }
}

/// A name that is the user's to set.
///
/// # Errors
/// [`ParameterError::Fixed`] and [`ParameterError::Blocked`].
pub fn parameter_allowed(name: &str) -> Result<(), ParameterError> {
    match reserved(name) {
        Some(Reserved::Fixed) => Err(ParameterError::Fixed(name.to_owned())),
        Some(Reserved::Blocked) => Err(ParameterError::Blocked(name.to_owned())),
        None => Ok(()),
    }
}

/// Everything that is wrong with the names and values by themselves.
#[must_use]
pub fn check_each(parameters: &BTreeMap<String, String>) -> Vec<ParameterError> {
    let mut lower: Vec<String> = parameters.keys().map(|name| name.to_ascii_lowercase()).collect();
    lower.sort();
    let mut errors: Vec<ParameterError> = parameters
        .iter()
        .flat_map(|(name, value)| [parameter_name(name), parameter_allowed(name), parameter_value(name, value)])
        .filter_map(Result::err)
        .collect();
    let pairs = lower.iter().zip(lower.iter().skip(1));
    errors.extend(pairs.filter(|(a, b)| a == b).map(|(name, _)| ParameterError::Twice(name.clone())));
    errors
}

fn find<'a>(parameters: &'a BTreeMap<String, String>, wanted: &str) -> Option<&'a str> {
    parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
}

fn number(
    parameters: &BTreeMap<String, String>,
    name: &'static str,
    least: u32,
    most: u32,
) -> Result<Option<u32>, ParameterError> {
    let Some(value) = find(parameters, name) else { return Ok(None) };
    let wrong = || ParameterError::Number { name, value: value.to_owned(), least, most };
    value.parse().ok().filter(|n| (least..=most).contains(n)).map(Some).ok_or_else(wrong)
}

/// `max_connections`, if given: 1 to 262143, as postgres.
///
/// # Errors
/// [`ParameterError::Number`].
pub fn max_connections(parameters: &BTreeMap<String, String>) -> Result<Option<u32>, ParameterError> {
    number(parameters, "max_connections", 1, 262_143)
}

/// `max_wal_senders`, if given: enough for every standby, a base backup and a new standby.
///
/// # Errors
/// [`ParameterError::Number`] and [`ParameterError::WalSenders`].
pub fn max_wal_senders(parameters: &BTreeMap<String, String>, instances: u32) -> Result<Option<u32>, ParameterError> {
    let given = number(parameters, "max_wal_senders", 0, 262_143)?;
    let needed = if instances > 1 { instances.saturating_add(1) } else { 0 };
    match given {
        Some(given) if given < needed => Err(ParameterError::WalSenders { given, instances, needed }),
        given => Ok(given),
    }
}

/// `wal_level`: standbys and an archive cannot live on `minimal`.
///
/// # Errors
/// [`ParameterError::WalLevel`] and [`ParameterError::NoSuchWalLevel`].
pub fn wal_level(parameters: &BTreeMap<String, String>, instances: u32, archiving: bool) -> Result<(), ParameterError> {
    let Some(value) = find(parameters, "wal_level") else { return Ok(()) };
    let need = |why| ParameterError::WalLevel { value: value.to_owned(), why };
    match value.to_ascii_lowercase().as_str() {
        // `archive` and `hot_standby` are old names of replica that postgres still takes.
        "replica" | "logical" | "archive" | "hot_standby" => Ok(()),
        "minimal" if instances > 1 => Err(need("more than one instance")),
        "minimal" if archiving => Err(need("an archive")),
        "minimal" => match find(parameters, "max_wal_senders") {
            Some("0") => Ok(()),
            _ => Err(need("max_wal_senders above 0")),
        },
        _ => Err(ParameterError::NoSuchWalLevel(value.to_owned())),
    }
}

/// `wal_log_hints`: pg_rewind needs it (or checksums, which the API does not promise).
///
/// # Errors
/// [`ParameterError::WalLogHints`].
pub fn wal_log_hints(parameters: &BTreeMap<String, String>, instances: u32) -> Result<(), ParameterError> {
    match find(parameters, "wal_log_hints") {
        Some(value) if instances > 1 && !is_on(value) => Err(ParameterError::WalLogHints(value.to_owned())),
        _ => Ok(()),
    }
}

/// Postgres takes any unambiguous beginning of on, true, yes, and 1.
fn is_on(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    value == "1" || value == "on" || (!value.is_empty() && ("true".starts_with(&value) || "yes".starts_with(&value)))
}

/// Every rule of this module.
#[must_use]
pub fn check(parameters: &BTreeMap<String, String>, instances: u32, archiving: bool) -> Vec<ParameterError> {
    let together = [
        max_connections(parameters).err(),
        max_wal_senders(parameters, instances).err(),
        wal_level(parameters, instances, archiving).err(),
        wal_log_hints(parameters, instances).err(),
    ];
    check_each(parameters).into_iter().chain(together.into_iter().flatten()).collect()
}

#[cfg(test)]
#[path = "parameters_tests.rs"]
mod tests;
