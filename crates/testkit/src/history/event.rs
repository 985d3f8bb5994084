//! The lines.

use pgherd_core::lsn::Lsn;
use serde::{Deserialize, Serialize};

/// One attempt of one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Who.
    pub client: i32,
    /// When it was sent.
    pub began: u64,
    /// When its end was known, or given up.
    pub ended: u64,
    /// What was attempted.
    #[serde(flatten)]
    pub did: Did,
    /// How it ended.
    pub outcome: Outcome,
    /// Who answered; absent where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Where>,
}

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Did {
    /// A row, through the service or straight to an instance.
    Append {
        /// Its number, unique for the client.
        n: i64,
    },
    /// Money from one account to another, in a transaction of several statements.
    Transfer {
        /// Its number, unique for the client.
        n: i64,
        /// Whence.
        source: i32,
        /// Whither.
        target: i32,
        /// How much.
        amount: i64,
    },
    /// All accounts, in one snapshot.
    Read {
        /// Their sum.
        total: i64,
    },
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was acknowledged: it must last.
    Acknowledged,
    /// Postgres refused it: it must not be there.
    Refused,
    /// The connection broke or was silent: it may be there or not.
    Unknown,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Where {
    /// The instance, by the address that postgres says is its own.
    pub instance: String,
    /// The timeline it wrote, by its own word; 0 for a standby, which writes none.
    pub timeline: u32,
    /// The lease's term of that instance and timeline, as far as the client knew; 0 if it did not.
    pub term: u64,
    /// Where in its WAL the row began.
    pub lsn: Lsn,
}

/// One version of the lease, as a client of the Kubernetes API saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When it was seen.
    pub seen: u64,
    /// The holder's pod, empty when released.
    pub holder: String,
    /// The holder's process.
    pub nonce: String,
    /// `open`, `recovering`, `promoting`, `released`.
    pub state: String,
    /// The term.
    pub term: u64,
    /// The timeline of that term.
    pub timeline: u32,
}
