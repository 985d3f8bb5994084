//! `spec.backup.barmanObjectStore`: an S3 bucket in barman-cloud's layout.

use super::{AzureCredentials, Extra, GoogleCredentials, SecretKeySelector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An object store in barman-cloud's layout. Objects go below `<destinationPath>/<serverName>/`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BarmanObjectStore {
    /// `s3://bucket/prefix`.
    #[schemars(length(min = 1))]
    pub destination_path: String,
    /// URL of an S3-compatible server; it is then spoken to in path style. Default: AWS's, by the region.
    #[serde(rename = "endpointURL", default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// The authority that signed that server's certificate.
    #[serde(rename = "endpointCA", default, skip_serializing_if = "Option::is_none")]
    pub endpoint_ca: Option<SecretKeySelector>,
    /// The folder of this cluster below `destinationPath`. Default: the cluster's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Tags of every object: key and value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Tags of timelines' histories, instead of those.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub history_tags: BTreeMap<String, String>,
    /// How to sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_credentials: Option<S3Credentials>,
    /// How to sign in to Azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure_credentials: Option<Box<AzureCredentials>>,
    /// How to sign in to Google Cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google_credentials: Option<Box<GoogleCredentials>>,
    /// How WAL is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wal: Option<WalConfiguration>,
    /// How base backups are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataConfiguration>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How to sign in to S3: a key pair, or the role of the environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct S3Credentials {
    /// The access key's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<SecretKeySelector>,
    /// The access key's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<SecretKeySelector>,
    /// The token of a temporary key pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<SecretKeySelector>,
    /// The bucket's region. Default: from the environment, else asked of the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<SecretKeySelector>,
    /// Uses the role that the pod's service account or its node has.
    #[serde(rename = "inheritFromIAMRole")]
    pub inherit_from_iam_role: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How a WAL file is compressed (barman-cloud's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WalCompression {
    /// `.bz2`
    Bzip2,
    /// `.gz`
    Gzip,
    /// `.lz4`
    Lz4,
    /// `.snappy`
    Snappy,
    /// `.xz`
    Xz,
    /// `.zst`
    Zstd,
}

/// How a base backup is compressed (barman-cloud's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataCompression {
    /// `.bz2`
    Bzip2,
    /// `.gz`
    Gzip,
    /// `.lz4`
    Lz4,
    /// `.snappy`
    Snappy,
}

/// Encryption that the server is asked for (`x-amz-server-side-encryption`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Encryption {
    /// With a key of the server's.
    #[serde(rename = "AES256")]
    Aes256,
    /// With a key of AWS KMS.
    #[serde(rename = "aws:kms")]
    AwsKms,
}

impl Encryption {
    /// As manifests have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::AwsKms => "aws:kms",
        }
    }
}

/// How WAL is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WalConfiguration {
    /// Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<WalCompression>,
    /// Encryption on the server. Default: the bucket's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// How many WAL files are archived, or fetched ahead in a restore, at a time.
    #[schemars(range(min = 1))]
    pub max_parallel: i32,
    /// Options of `barman-cloud-wal-archive`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archive_additional_command_args: Vec<String>,
    /// Options of `barman-cloud-wal-restore`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restore_additional_command_args: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for WalConfiguration {
    fn default() -> Self {
        Self {
            compression: None,
            encryption: None,
            max_parallel: 1,
            archive_additional_command_args: Vec::new(),
            restore_additional_command_args: Vec::new(),
            extra: Extra::default(),
        }
    }
}

/// How base backups are stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DataConfiguration {
    /// Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<DataCompression>,
    /// Encryption on the server. Default: the bucket's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// How many parts are uploaded at a time.
    #[schemars(range(min = 1))]
    pub jobs: i32,
    /// Whether the first checkpoint of a backup is made at once, rather than spread out.
    pub immediate_checkpoint: bool,
    /// Options of `barman-cloud-backup`: of them `--jobs`, `--max-archive-size`, `--min-chunk-size`, `--max-bandwidth`,
    /// `--immediate-checkpoint` and `--name` are heeded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_command_args: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for DataConfiguration {
    fn default() -> Self {
        Self {
            compression: None,
            encryption: None,
            jobs: 2,
            immediate_checkpoint: false,
            additional_command_args: Vec::new(),
            extra: Extra::default(),
        }
    }
}
