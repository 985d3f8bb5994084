//! Names and counts of a Cluster, and what may not change once it is there.

/// A Cluster's basics are not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// `spec.instances` below 1.
    #[error("instances is {0}: it must be 1 or more")]
    Instances(i64),
    /// `spec.instances` is more than pods can be numbered.
    #[error("instances is {0}: no more than {MOST_INSTANCES} are supported")]
    TooMany(i64),
    /// The name is longer than the services and pods derived from it allow.
    #[error(
        "the name {name:?} has {length} characters: {LONGEST_NAME} are the most, since pods and services add to it"
    )]
    NameLength {
        /// The name.
        name: String,
        /// Its length.
        length: usize,
    },
    /// The name is no DNS label.
    #[error(
        "the name {0:?} is no DNS label: use lower-case letters, digits and '-', starting with a letter and not ending with '-'"
    )]
    Name(String),
    /// A database or role name that postgres would cut or refuse.
    #[error("{field} {name:?} is no usable name: give 1 to {LONGEST_IDENTIFIER} bytes without control characters")]
    Identifier {
        /// The field.
        field: &'static str,
        /// Its value.
        name: String,
    },
    /// A role name that postgres or the manager keeps for itself.
    #[error("{field} may not be {name:?}: that role is the manager's or postgres' own; choose another")]
    ReservedRole {
        /// The field.
        field: &'static str,
        /// Its value.
        name: String,
    },
    /// `spec.imageName` has another PostgreSQL major than the data.
    #[error(
        "an image of PostgreSQL {new} cannot start what PostgreSQL {old} has written, and an upgrade to another major is \
         not supported: create a new Cluster of that major, and copy the data with pg_dump or logical replication"
    )]
    Major {
        /// The image's that is in force.
        old: u32,
        /// The new image's.
        new: u32,
    },
    /// A field that may not change did.
    #[error("{field} cannot change from {old:?} to {new:?}: create a new object instead")]
    Immutable {
        /// The field.
        field: &'static str,
        /// What it was.
        old: String,
        /// What it should become.
        new: String,
    },
}

/// The most instances of a Cluster.
pub const MOST_INSTANCES: u32 = 999;
/// The longest name of a Cluster, in characters (CNPG's limit).
pub const LONGEST_NAME: usize = 50;
/// The longest name of a database or role, in bytes (`NAMEDATALEN` - 1).
pub const LONGEST_IDENTIFIER: usize = 63;

/// `spec.instances`.
///
/// # Errors
/// [`ClusterError::Instances`] and [`ClusterError::TooMany`].
pub fn instances(count: i64) -> Result<u32, ClusterError> {
    match u32::try_from(count) {
        Ok(0) | Err(_) if count < 1 => Err(ClusterError::Instances(count)),
        Ok(count) if count <= MOST_INSTANCES => Ok(count),
        _ => Err(ClusterError::TooMany(count)),
    }
}

/// Whether `text` is an RFC 1035 label without the length limit: `[a-z]([-a-z0-9]*[a-z0-9])?`.
fn is_label(text: &str) -> bool {
    let inner = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    inner && text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('-')
}

/// Whether a Service can have this name: an RFC 1123 label, which older API servers want to begin with a letter.
#[must_use]
pub fn is_service_name(name: &str) -> bool {
    let inner = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    inner && (1..=63).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
}

/// `metadata.name` of a Cluster: a DNS label of at most 50 characters.
///
/// # Errors
/// [`ClusterError::Name`] and [`ClusterError::NameLength`].
pub fn cluster_name(name: &str) -> Result<(), ClusterError> {
    if name.len() > LONGEST_NAME {
        return Err(ClusterError::NameLength { name: name.to_owned(), length: name.len() });
    }
    if is_label(name) { Ok(()) } else { Err(ClusterError::Name(name.to_owned())) }
}

/// `bootstrap.initdb.database`.
///
/// # Errors
/// [`ClusterError::Identifier`].
pub fn database_name(field: &'static str, name: &str) -> Result<(), ClusterError> {
    let usable = !name.is_empty() && name.len() <= LONGEST_IDENTIFIER && !name.chars().any(char::is_control);
    if usable { Ok(()) } else { Err(ClusterError::Identifier { field, name: name.to_owned() }) }
}

/// `bootstrap.initdb.owner`: a role that clients may be.
///
/// # Errors
/// [`ClusterError::Identifier`] and [`ClusterError::ReservedRole`].
pub fn owner_name(field: &'static str, name: &str) -> Result<(), ClusterError> {
    database_name(field, name)?;
    let ours = ["postgres", "streaming_replica", "cnpg_pooler_pgbouncer", "cnpg_metrics_exporter", "public", "none"];
    if ours.contains(&name) || name.starts_with("pg_") {
        return Err(ClusterError::ReservedRole { field, name: name.to_owned() });
    }
    Ok(())
}

/// A field that may not change once the object is there, such as a ScheduledBackup's `spec.cluster.name`.
///
/// # Errors
/// [`ClusterError::Immutable`].
pub fn unchanged(field: &'static str, old: &str, new: &str) -> Result<(), ClusterError> {
    if old == new { Ok(()) } else { Err(ClusterError::Immutable { field, old: old.to_owned(), new: new.to_owned() }) }
}

/// The tag of an image. A registry has its port before a slash.
#[must_use]
pub fn image_tag(image: &str) -> Option<&str> {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    name.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'))
}

/// The PostgreSQL major in an image's tag, if that is how the tag begins (`:15`, `:15.3-bookworm`).
#[must_use]
pub fn image_major(image: &str) -> Option<u32> {
    let digits = image_tag(image)?.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Another image of a cluster that is there. One whose tag does not say its major is believed to be right.
///
/// # Errors
/// [`ClusterError::Major`].
pub fn image_change(old: &str, new: &str) -> Result<(), ClusterError> {
    major_change(image_major(old), image_major(new))
}

/// Another major of a cluster that is there, as far as both are known.
///
/// # Errors
/// [`ClusterError::Major`].
pub fn major_change(old: Option<u32>, new: Option<u32>) -> Result<(), ClusterError> {
    match (old, new) {
        (Some(old), Some(new)) if old != new => Err(ClusterError::Major { old, new }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_at_least_one_instance() {
        assert_eq!(instances(1), Ok(1));
        assert_eq!(instances(999), Ok(999));
        for count in [0, -1, i64::MIN] {
            assert_eq!(instances(count), Err(ClusterError::Instances(count)));
        }
        for count in [1000, i64::MAX] {
            assert_eq!(instances(count), Err(ClusterError::TooMany(count)));
        }
    }

    #[test]
    fn a_name_is_a_dns_label_of_at_most_50_characters() {
        for name in ["a", "phoenix-guardian-db", "a1", &"a".repeat(50)] {
            assert_eq!(cluster_name(name), Ok(()));
        }
        for name in ["", "-a", "a-", "1a", "A", "a.b", "a_b", "é"] {
            assert_eq!(cluster_name(name), Err(ClusterError::Name(name.to_owned())), "{name}");
        }
        assert!(matches!(cluster_name(&"a".repeat(51)), Err(ClusterError::NameLength { length: 51, .. })));
        assert!(["a", "db-outside", "1db"].into_iter().all(is_service_name));
        let long = "a".repeat(64);
        assert!(!["", "-a", "a-", "a.b", "A", "sch\u{f6}n", &long].into_iter().any(is_service_name));
    }

    #[test]
    fn an_image_may_change_within_its_major_and_no_further() {
        let digest = "repo/pg:15@sha256:0123";
        for (old, new) in [("pg:15", "pg:15.8-bookworm"), ("pg:15", "pg:latest"), ("pg", "pg:16"), (digest, "pg:15.2")]
        {
            assert_eq!(image_change(old, new), Ok(()), "{old} {new}");
        }
        for (old, new) in [("pg:15", "pg:16"), ("host:5000/pg:15.3", "host:5000/pg:14"), (digest, "pg:16@sha256:0")] {
            assert!(matches!(image_change(old, new), Err(ClusterError::Major { .. })), "{old} {new}");
        }
    }

    #[test]
    fn databases_and_owners_are_names_that_postgres_takes() {
        assert!(database_name("database", "My App").is_ok());
        for name in ["", "a\0", &"x".repeat(64)] {
            assert!(database_name("database", name).is_err());
        }
        for name in ["postgres", "streaming_replica", "pg_monitor"] {
            assert!(matches!(owner_name("owner", name), Err(ClusterError::ReservedRole { .. })));
        }
        assert!(owner_name("owner", "app").is_ok());
    }

    #[test]
    fn an_immutable_field_names_both_values() {
        assert!(unchanged("spec.cluster.name", "a", "a").is_ok());
        let error = unchanged("spec.cluster.name", "a", "b").unwrap_err().to_string();
        assert!(error.contains("spec.cluster.name") && error.contains("\"a\"") && error.contains("\"b\""));
    }
}
