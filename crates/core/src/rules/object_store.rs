//! `backup.barmanObjectStore`: where it is, how to get in, how to write.

use crate::wal::{Compression, CompressionError};

/// Where an archive lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The bucket.
    pub bucket: String,
    /// The prefix in it, without slashes at its ends; empty for the bucket's root.
    pub prefix: String,
}

/// Which ways to authenticate a manifest names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// `s3Credentials.accessKeyId` is given.
    pub access_key_id: bool,
    /// `s3Credentials.secretAccessKey` is given.
    pub secret_access_key: bool,
    /// `s3Credentials.sessionToken` is given.
    pub session_token: bool,
    /// `s3Credentials.inheritFromIAMRole` is true.
    pub inherit_from_iam_role: bool,
}

/// How to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// With the keys of the Secrets that are named.
    Keys,
    /// With what the environment gives (an IAM role, a service account).
    Role,
}

/// An object store is not usable as it is described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectStoreError {
    /// Not an `s3://` URL.
    #[error("destinationPath is {0:?}: write s3://BUCKET/PREFIX (only S3 and what speaks its protocol is supported)")]
    Scheme(String),
    /// No S3 bucket has this name.
    #[error(
        "destinationPath names the bucket {0:?}: a bucket's name has 3 to 63 lower-case letters, digits, '.' and '-', with a letter or digit at both ends"
    )]
    Bucket(String),
    /// A prefix that another tool would read in another way.
    #[error("destinationPath has the prefix {0:?}: remove empty parts, '.' and '..', control characters, '?' and '#'")]
    Prefix(String),
    /// One of the two keys alone.
    #[error("s3Credentials has only one of accessKeyId and secretAccessKey: give both or neither")]
    HalfAKey,
    /// Both ways at once.
    #[error("s3Credentials has keys and inheritFromIAMRole: choose one of them")]
    TwoMethods,
    /// More tags than an object can have.
    #[error("{0} tags are given: an object of S3 has at most {MOST_TAGS}")]
    TooManyTags(usize),
    /// A tag that S3 refuses.
    #[error("the tag {0:?} is too long or empty: a key has 1 to 128 characters, a value at most 256")]
    Tag(String),
    /// No way in.
    #[error(
        "s3Credentials names no way to authenticate: give accessKeyId and secretAccessKey, or inheritFromIAMRole: true"
    )]
    NoMethod,
    /// A token without its keys.
    #[error("s3Credentials has sessionToken without accessKeyId and secretAccessKey: give all three")]
    TokenAlone,
    /// Not a compression.
    #[error("wal.compression is not known")]
    WalCompression(#[source] CompressionError),
    /// Not a compression that base backups can have.
    #[error("data.compression is {0:?}: choose gzip, bzip2, lz4 or snappy")]
    DataCompression(String),
    /// `maxParallel` below 1, or above what a pod should do.
    #[error("wal.maxParallel is {0}: it must be from 1 to {MOST_PARALLEL}")]
    MaxParallel(i64),
    /// Not a directory's name.
    #[error("serverName is {0:?}: it is one directory's name, without '/'")]
    ServerName(String),
    /// Not an HTTP URL.
    #[error("endpointURL is {0:?}: write http://HOST[:PORT] or https://HOST[:PORT]")]
    Endpoint(String),
}

/// Tags that an object can have.
const MOST_TAGS: usize = 10;
/// The most uploads at once: more would only take memory.
pub const MOST_PARALLEL: u32 = 64;

/// `destinationPath`: `s3://bucket/prefix`.
///
/// # Errors
/// [`ObjectStoreError::Scheme`], [`ObjectStoreError::Bucket`], [`ObjectStoreError::Prefix`].
pub fn destination(text: &str) -> Result<Destination, ObjectStoreError> {
    let path = text.strip_prefix("s3://").ok_or_else(|| ObjectStoreError::Scheme(text.to_owned()))?;
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'));
    let edges = edge(bucket.chars().next()) && edge(bucket.chars().next_back());
    if !(3..=63).contains(&bucket.len()) || !inner || !edges || bucket.contains("..") {
        return Err(ObjectStoreError::Bucket(bucket.to_owned()));
    }
    let trimmed = prefix.trim_matches('/');
    let odd = |part: &str| matches!(part, "" | "." | "..");
    let wrong = trimmed.contains(|c: char| c.is_control() || c == '?' || c == '#');
    if wrong || (!trimmed.is_empty() && trimmed.split('/').any(odd)) {
        return Err(ObjectStoreError::Prefix(prefix.to_owned()));
    }
    Ok(Destination { bucket: bucket.to_owned(), prefix: trimmed.to_owned() })
}

impl Destination {
    /// The root of a server's objects, with its trailing slash: `prefix/server/`.
    #[must_use]
    pub fn server_root(&self, server: &str) -> String {
        if self.prefix.is_empty() { format!("{server}/") } else { format!("{}/{server}/", self.prefix) }
    }
}

/// `s3Credentials`: exactly one way to authenticate.
///
/// # Errors
/// Says which half is missing, or that there are two ways, or none.
pub fn credentials(given: Credentials) -> Result<AuthMethod, ObjectStoreError> {
    let Credentials { access_key_id, secret_access_key, session_token, inherit_from_iam_role } = given;
    match (access_key_id, secret_access_key, inherit_from_iam_role) {
        (true, true, true) => Err(ObjectStoreError::TwoMethods),
        (true, true, false) => Ok(AuthMethod::Keys),
        (true, false, _) | (false, true, _) => Err(ObjectStoreError::HalfAKey),
        (false, false, _) if session_token => Err(ObjectStoreError::TokenAlone),
        (false, false, true) => Ok(AuthMethod::Role),
        (false, false, false) => Err(ObjectStoreError::NoMethod),
    }
}

/// `wal.compression`.
///
/// # Errors
/// [`ObjectStoreError::WalCompression`].
pub fn wal_compression(name: &str) -> Result<Compression, ObjectStoreError> {
    name.parse().map_err(ObjectStoreError::WalCompression)
}

/// `data.compression`.
///
/// # Errors
/// [`ObjectStoreError::DataCompression`].
pub fn data_compression(name: &str) -> Result<Compression, ObjectStoreError> {
    match name.parse() {
        Ok(c @ (Compression::Gzip | Compression::Bzip2 | Compression::Lz4 | Compression::Snappy)) => Ok(c),
        _ => Err(ObjectStoreError::DataCompression(name.to_owned())),
    }
}

/// `wal.maxParallel`.
///
/// # Errors
/// [`ObjectStoreError::MaxParallel`].
pub fn max_parallel(count: i64) -> Result<u32, ObjectStoreError> {
    let most = 1..=MOST_PARALLEL;
    u32::try_from(count).ok().filter(|n| most.contains(n)).ok_or(ObjectStoreError::MaxParallel(count))
}

/// `tags` and `historyTags`, by what S3 takes of them (S3 user guide, "Categorizing your storage using tags").
///
/// # Errors
/// [`ObjectStoreError::TooManyTags`], [`ObjectStoreError::Tag`].
pub fn tags<'a>(tags: impl ExactSizeIterator<Item = (&'a str, &'a str)>) -> Result<(), ObjectStoreError> {
    if tags.len() > MOST_TAGS {
        return Err(ObjectStoreError::TooManyTags(tags.len()));
    }
    for (key, value) in tags {
        if !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256 {
            return Err(ObjectStoreError::Tag(key.to_owned()));
        }
    }
    Ok(())
}

/// `serverName`.
///
/// # Errors
/// [`ObjectStoreError::ServerName`].
pub fn server_name(name: &str) -> Result<(), ObjectStoreError> {
    let wrong = matches!(name, "" | "." | "..") || name.contains(|c: char| c == '/' || c.is_control());
    if wrong { Err(ObjectStoreError::ServerName(name.to_owned())) } else { Ok(()) }
}

/// `endpointURL`.
///
/// # Errors
/// [`ObjectStoreError::Endpoint`].
pub fn endpoint(url: &str) -> Result<(), ObjectStoreError> {
    let host =
        url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).map(|rest| rest.trim_end_matches('/'));
    let good = host.is_some_and(|host| {
        !host.is_empty()
            && !host.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '?' | '#'))
    });
    if good { Ok(()) } else { Err(ObjectStoreError::Endpoint(url.to_owned())) }
}

#[cfg(test)]
#[path = "object_store_tests.rs"]
mod tests;
