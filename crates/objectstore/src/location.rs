//! `destinationPath` of a Cluster: which bucket, and where in it.

/// A place in a bucket: where one server's `wals/` and `base/` lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket's name.
    pub bucket: String,
    /// `<path>/<serverName>`, without slashes at either end.
    pub root: String,
}

/// The text is no `destinationPath` that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Only S3 is spoken so far.
    #[error("failed to use destinationPath {0:?}: it has to start with s3://")]
    Scheme(String),
    /// `s3://` alone.
    #[error("failed to use destinationPath {0:?}: it names no bucket")]
    NoBucket(String),
    /// A server name that would leave its folder.
    #[error("failed to use serverName {0:?}: it has to be a single name without '/'")]
    Server(String),
}

impl Location {
    /// Reads `s3://bucket/path` (CNPG's `barmanObjectStore.destinationPath`) and appends the server name as
    /// barman-cloud does.
    pub fn parse(destination: &str, server: &str) -> Result<Self, LocationError> {
        let rest = destination.strip_prefix("s3://").ok_or_else(|| LocationError::Scheme(destination.to_owned()))?;
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(LocationError::NoBucket(destination.to_owned()));
        }
        if server.is_empty() || server.contains('/') || server == "." || server == ".." {
            return Err(LocationError::Server(server.to_owned()));
        }
        let path = path.trim_matches('/');
        let root = if path.is_empty() { server.to_owned() } else { format!("{path}/{server}") };
        Ok(Self { bucket: bucket.to_owned(), root })
    }

    /// The whole key of something below the root.
    #[must_use]
    pub fn key(&self, below: &str) -> String {
        format!("{}/{below}", self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_bucket_and_a_root_for_the_server() {
        for (destination, bucket, root) in
            [("s3://b", "b", "c"), ("s3://b/", "b", "c"), ("s3://b/prod", "b", "prod/c"), ("s3://b/a/b/", "b", "a/b/c")]
        {
            let got = Location::parse(destination, "c").expect("valid");
            assert_eq!((got.bucket.as_str(), got.root.as_str()), (bucket, root), "{destination}");
        }
    }

    #[test]
    fn a_destination_that_names_no_bucket_is_refused() {
        assert!(matches!(Location::parse("s3:///x", "c"), Err(LocationError::NoBucket(_))));
        assert!(matches!(Location::parse("gs://x", "c"), Err(LocationError::Scheme(_))));
        assert!(matches!(Location::parse("s3://x", "../c"), Err(LocationError::Server(_))));
    }
}
