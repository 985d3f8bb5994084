//! What becomes of something in postgres when its object in Kubernetes is deleted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `databaseReclaimPolicy` and its like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReclaimPolicy {
    /// It goes too.
    Delete,
    /// It stays.
    #[default]
    Retain,
}
