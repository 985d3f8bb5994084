//! Names that are not the user's: roles, databases, tablespaces, variables of the environment, and image tags.

use super::cluster;
use super::majors::{self, MajorError};

/// A name cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// postgres' or the manager's role.
    #[error("the role name {0:?} is reserved: choose another")]
    Role(String),
    /// postgres' own database.
    #[error("the name {0} is reserved")]
    Database(String),
    /// Not a tablespace's name.
    #[error("{0:?} is no name of a tablespace: give 1 to 63 bytes that do not begin with pg_")]
    Tablespace(String),
    /// The manager sets it.
    #[error("the usage of the environment variable {0:?} is reserved for the manager")]
    Variable(String),
    /// Nobody could tell that it is another image.
    #[error("Can't use 'latest' as image tag as we can't detect upgrades")]
    Latest,
    /// The same.
    #[error("Can't use just the image sha as we can't detect upgrades: write a tag such as :15.8")]
    NoTag,
    /// The PostgreSQL version is not there.
    #[error("the tag {0:?} does not begin with a version of PostgreSQL, such as 15 or 15.8")]
    Tag(String),
    /// Too old, or too new.
    #[error(transparent)]
    Major(#[from] MajorError),
}

/// A role that may be managed.
///
/// # Errors
/// [`NameError::Role`].
pub fn role(name: &str) -> Result<(), NameError> {
    let ours = ["postgres", "streaming_replica"].contains(&name);
    if name.is_empty() || ours || name.starts_with("pg_") || name.starts_with("cnpg_") {
        return Err(NameError::Role(name.to_owned()));
    }
    Ok(())
}

/// A database that may be managed.
///
/// # Errors
/// [`NameError::Database`].
pub fn database(name: &str) -> Result<(), NameError> {
    if ["postgres", "template0", "template1"].contains(&name) {
        return Err(NameError::Database(name.to_owned()));
    }
    Ok(())
}

/// A tablespace.
///
/// # Errors
/// [`NameError::Tablespace`].
pub fn tablespace(name: &str) -> Result<(), NameError> {
    let fits = (1..=63).contains(&name.len()) && !name.to_ascii_lowercase().starts_with("pg_");
    if fits && !name.chars().any(char::is_control) { Ok(()) } else { Err(NameError::Tablespace(name.to_owned())) }
}

/// A variable in `env` (CNPG's list).
///
/// # Errors
/// [`NameError::Variable`].
pub fn variable(name: &str) -> Result<(), NameError> {
    let upper = name.to_ascii_uppercase();
    let ours = ["POD_NAME", "NAMESPACE", "CLUSTER_NAME"].contains(&upper.as_str());
    if ours || upper.starts_with("CNPG_") || upper.starts_with("PG") {
        return Err(NameError::Variable(name.to_owned()));
    }
    Ok(())
}

/// The tag of `imageName`: it says which PostgreSQL the image has, and changes when the image does.
///
/// # Errors
/// [`NameError::Latest`], [`NameError::NoTag`], [`NameError::Tag`], [`NameError::Major`].
pub fn image(image: &str) -> Result<u32, NameError> {
    match cluster::image_tag(image) {
        None => Err(NameError::NoTag),
        Some("latest") => Err(NameError::Latest),
        Some(tag) => {
            let major = cluster::image_major(image).ok_or_else(|| NameError::Tag(tag.to_owned()))?;
            Ok(majors::supported(major).map(|()| major)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_or_postgres_is_reserved() {
        for name in ["", "postgres", "streaming_replica", "pg_monitor", "cnpg_metrics_exporter"] {
            assert!(role(name).is_err(), "{name}");
        }
        assert!(role("app").is_ok() && role("my_pg_user").is_ok());
        assert!(database("app").is_ok() && database("template1").is_err());
        assert!(tablespace("fast").is_ok() && tablespace("PG_fast").is_err() && tablespace("").is_err());
        for name in ["PGDATA", "pguser", "CNPG_X", "pod_name", "NAMESPACE", "cluster_name"] {
            assert!(variable(name).is_err(), "{name}");
        }
        assert!(variable("AWS_REGION").is_ok());
    }

    #[test]
    fn a_tag_says_which_postgres_it_is() {
        for (name, major) in
            [("pg:15", 15), ("host:5000/pg:16.3-bookworm", 16), ("pg:18.1@sha256:0", 18), ("pg:14beta1", 14)]
        {
            assert_eq!(image(name), Ok(major), "{name}");
        }
        assert_eq!(image("pg:latest"), Err(NameError::Latest));
        for name in ["pg", "host:5000/pg", "pg@sha256:0", "host:5000/pg@sha256:0"] {
            assert_eq!(image(name), Err(NameError::NoTag), "{name}");
        }
        assert!(matches!(image("pg:stable"), Err(NameError::Tag(_))));
        assert!(matches!(image("pg:12.3"), Err(NameError::Major(MajorError::Unsupported(12)))));
    }
}
