//! The two ways in which a cluster is put to the test, as data.

use crate::bed::{Bed, text};
use crate::wait::{self, Timeout};
use core::time::Duration;
use serde_json::{Value, json};

/// The phase of a Cluster whose manifest is refused.
const INVALID: &str = "Invalid cluster definition";

/// A configuration of the example's cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration {
    /// As the example is: replication is asynchronous.
    Asynchronous,
    /// `any 1`, required: nothing that was acknowledged may ever be lost.
    Synchronous,
}

impl Configuration {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Asynchronous, Self::Synchronous];

    /// As reports have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asynchronous => "asynchronous",
            Self::Synchronous => "synchronous",
        }
    }

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Makes the example's Cluster one of it.
    pub fn edit(self, cluster: &mut Value) {
        let wanted = match self {
            Self::Asynchronous => return,
            Self::Synchronous => json!({ "method": "any", "number": 1, "dataDurability": "required" }),
        };
        if let Some(postgresql) = cluster.pointer_mut("/spec/postgresql").and_then(Value::as_object_mut) {
            postgresql.insert("synchronous".to_owned(), wanted);
        }
    }

    /// Waits until a cluster of it lacks nothing and answers the primary, or until it says that it cannot be of this
    /// configuration, and why.
    ///
    /// # Errors
    /// [`Timeout`] with what it lacks still.
    pub async fn ready(self, bed: &Bed, within: Duration) -> Result<Result<String, String>, Timeout> {
        wait::until("a healthy cluster", within, async || {
            match bed.cluster().await {
                Ok(cluster) if self.refused(&cluster).is_some() => {
                    return Ok(Err(self.refused(&cluster).unwrap_or_default()));
                }
                _ => {}
            }
            bed.look().await.map(Ok).map_err(|error| format!("{error:#}"))
        })
        .await
    }

    /// Why a cluster is not of it: it is refused, or has fields that do nothing yet.
    #[must_use]
    pub fn refused(self, cluster: &Value) -> Option<String> {
        if text(cluster, "/status/phase") == INVALID {
            return Some(text(cluster, "/status/phaseReason"));
        }
        let conditions = cluster.pointer("/status/conditions")?.as_array()?;
        let field = |condition: &Value, name: &str| condition.get(name)?.as_str().map(str::to_owned);
        let unsupported = conditions.iter().find(|condition| {
            field(condition, "type").as_deref() == Some("UnsupportedFields")
                && field(condition, "status").as_deref() == Some("True")
        })?;
        let message = field(unsupported, "message")?;
        (self == Self::Synchronous && message.contains("synchronous")).then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_ignores_what_was_asked_for_is_not_of_the_configuration() {
        let mut cluster = json!({"spec": {"postgresql": {"parameters": {}}}});
        Configuration::Synchronous.edit(&mut cluster);
        assert_eq!(cluster.pointer("/spec/postgresql/synchronous/number"), Some(&json!(1)));
        assert_eq!(Configuration::Synchronous.refused(&cluster), None);
        let condition =
            json!({"type": "UnsupportedFields", "status": "True", "message": "spec.postgresql.synchronous"});
        cluster["status"] = json!({"conditions": [condition]});
        assert!(Configuration::Synchronous.refused(&cluster).is_some());
        assert_eq!(Configuration::Asynchronous.refused(&cluster), None);
        let invalid = json!({"status": {"phase": INVALID, "phaseReason": "not yet"}});
        assert_eq!(Configuration::Synchronous.refused(&invalid).as_deref(), Some("not yet"));
    }
}
