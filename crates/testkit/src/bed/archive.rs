//! What the cluster's archive holds, read from S3 as any other program would.

use super::{Bed, text};
use anyhow::{Context as _, ensure};
use pgherd_objectstore::{Location, ObjectStore as _, S3Config, S3Credentials, S3Store, list_all};
use std::io::Read as _;

/// No history file is longer, in bytes.
const HISTORY: u64 = 1 << 20;

impl Bed {
    /// The cluster's object store, by its own manifest.
    ///
    /// # Errors
    /// If the Cluster has no archive, or its Secret is missing.
    pub async fn store(&self) -> anyhow::Result<(S3Store, Location)> {
        let cluster = self.cluster().await?;
        let field = |path: &str| {
            let found = text(&cluster, &format!("/spec/backup/barmanObjectStore{path}"));
            ensure!(!found.is_empty(), "failed to find barmanObjectStore{path}");
            Ok(found)
        };
        let location = Location::parse(&field("/destinationPath")?, &self.place.cluster)?;
        let key = async |which: &str| {
            let name = field(&format!("/s3Credentials/{which}/name"))?;
            self.secret(&name, &field(&format!("/s3Credentials/{which}/key"))?).await
        };
        let config = S3Config {
            endpoint_url: Some(format!("http://{}", self.handle.status().await?.s3)),
            region: Some("us-east-1".to_owned()),
            credentials: S3Credentials::Given {
                access_key_id: key("accessKeyId").await?,
                secret_access_key: key("secretAccessKey").await?,
                session_token: None,
            },
            ..S3Config::new(&location.bucket)
        };
        Ok((S3Store::new(config), location))
    }

    /// The names of all files in the WAL archive, as they are there: with their suffixes.
    ///
    /// # Errors
    /// Of S3, or if the Cluster has no archive.
    pub async fn archived_files(&self) -> anyhow::Result<Vec<String>> {
        let (store, location) = self.store().await?;
        let objects = list_all(&store, &location.key("wals/")).await.context("failed to list the archive")?;
        Ok(objects.iter().filter_map(|object| object.key.rsplit('/').next().map(str::to_owned)).collect())
    }

    /// The text of a timeline's history file, as the archive has it.
    ///
    /// # Errors
    /// If it is not there.
    pub async fn archived_history(&self, timeline: u32) -> anyhow::Result<String> {
        let (store, location) = self.store().await?;
        let name = format!("{timeline:08X}.history");
        let objects = list_all(&store, &location.key("wals/")).await.context("failed to list the archive")?;
        let found =
            objects.iter().find(|object| object.key.rsplit('/').next().is_some_and(|file| file.starts_with(&name)));
        let key = &found.with_context(|| format!("{name} is not in the archive"))?.key;
        let bytes = store.get(key, HISTORY).await.with_context(|| format!("failed to read {key}"))?;
        decompressed(key, &bytes)
    }

    /// The names of the whole WAL segments in the archive.
    ///
    /// # Errors
    /// Of S3, or if the Cluster has no archive.
    pub async fn archived_segments(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.archived_files().await?.iter().filter_map(|file| segment_name(file)).collect())
    }
}

fn decompressed(key: &str, bytes: &[u8]) -> anyhow::Result<String> {
    let mut text = String::new();
    if std::path::Path::new(key).extension().is_some_and(|suffix| suffix == "gz") {
        flate2::read::GzDecoder::new(bytes).read_to_string(&mut text)?;
    } else {
        text = String::from_utf8(bytes.to_vec())?;
    }
    Ok(text)
}

/// The segment's name in an archive key, if it is one's: `.../000000010000000000000001.gz`.
#[must_use]
pub fn segment_name(key: &str) -> Option<String> {
    let name = key.rsplit('/').next()?;
    let stem = name.split('.').next()?;
    let suffix = name.strip_prefix(stem)?;
    let whole = stem.len() == 24 && stem.bytes().all(|digit| digit.is_ascii_hexdigit());
    (whole && matches!(suffix, "" | ".gz" | ".bz2" | ".zst" | ".lz4" | ".snappy" | ".xz")).then(|| stem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::segment_name;

    #[test]
    fn only_whole_segments_count_as_archived() {
        let name = "000000010000000000000001";
        assert_eq!(segment_name(&format!("db/c/wals/0000000100000000/{name}.gz")).as_deref(), Some(name));
        assert_eq!(segment_name(&format!("db/c/wals/0000000100000000/{name}")).as_deref(), Some(name));
        for other in
            ["00000002.history.gz", "000000010000000000000001.00000028.backup.gz", "000000010000000000000001.partial"]
        {
            assert_eq!(segment_name(&format!("db/c/wals/{other}")), None, "{other}");
        }
    }
}
