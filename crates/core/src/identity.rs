//! Who somebody is: an incarnation, never a name (invariant I11).

use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

text_id! {
    /// `metadata.uid` of a pod: two pods of one name are two members.
    PodUid
}
text_id! {
    /// One per manager process: a restarted container is somebody else.
    Nonce
}
text_id! {
    /// One per request to take a lease, so that its author can recognise his own take when the answer was lost.
    AttemptId
}
text_id! {
    /// One per data directory: new at each initdb, clone, rewind and restore.
    Incarnation
}

/// `system_identifier` of pg_controldata: one per initdb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SystemId(pub u64);

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
