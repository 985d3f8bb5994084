//! A client's session: who answers, and the statements that carry it into every row.

use super::knowledge::Knowledge;
use crate::history::{Outcome, Where};
use core::time::Duration;
use pgherd_core::lsn::Lsn;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::Severity;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};

/// For a connection.
const CONNECT: Duration = Duration::from_millis(500);
/// For an answer: longer than a synchronous standby's hiccup, shorter than a lease.
pub const ANSWER: Duration = Duration::from_secs(2);

/// Who answers, in one row: the instance's address, the timeline that it writes.
const WHO: &str = "SELECT host(inet_server_addr()), CASE WHEN pg_is_in_recovery() THEN NULL \
                   ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END";
/// The timeline and the position as the statement itself sees them.
const HERE: &str = "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int, pg_current_wal_insert_lsn()";

/// The tables, made once.
pub const TABLES: &str = "
    CREATE TABLE chaos_rows (client int NOT NULL, n bigint NOT NULL, instance text NOT NULL, timeline int NOT NULL,
                             term bigint NOT NULL, lsn pg_lsn NOT NULL);
    CREATE TABLE chaos_transfers (client int NOT NULL, n bigint NOT NULL, source int NOT NULL, target int NOT NULL,
                                  amount bigint NOT NULL, instance text NOT NULL, timeline int NOT NULL,
                                  term bigint NOT NULL, lsn pg_lsn NOT NULL);
    CREATE TABLE chaos_accounts (id int PRIMARY KEY, balance bigint NOT NULL);";

/// An open session.
pub struct Session {
    /// To ask.
    pub client: Client,
    /// The pod that answers.
    pub instance: String,
    /// The timeline that it writes; 0 for a standby.
    pub timeline: u32,
    knowledge: Knowledge,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// Connects, and finds out who answers; `None` if nobody does in time, or nobody who is known.
    pub async fn open(config: &Config, knowledge: &Knowledge) -> Option<Self> {
        let opened = timeout(CONNECT, async {
            let (client, connection) = config.connect(NoTls).await.ok()?;
            let driver = tokio::spawn(async move {
                // Its end shows in the client's next call.
                let _ = connection.await;
            });
            let unknown = || {
                driver.abort();
                None
            };
            let Ok(row) = client.query_one(WHO, &[]).await else { return unknown() };
            let (Ok(address), Ok(digits)) = (row.try_get::<_, String>(0), row.try_get::<_, Option<String>>(1)) else {
                return unknown();
            };
            let Some(instance) = knowledge.pod_at(&address) else { return unknown() };
            let timeline = digits.and_then(|digits| u32::from_str_radix(&digits, 16).ok()).unwrap_or(0);
            Some(Self { client, instance, timeline, knowledge: knowledge.clone(), driver })
        });
        opened.await.ok().flatten()
    }

    /// The statement that adds a row: client, number, instance, term.
    ///
    /// # Errors
    /// Of postgres.
    pub async fn append(&self) -> Result<Statement, tokio_postgres::Error> {
        let text = format!(
            "INSERT INTO chaos_rows (client, n, instance, term, timeline, lsn) SELECT $1, $2, $3, $4, {HERE} \
             RETURNING timeline, lsn::text"
        );
        self.client.prepare(&text).await
    }

    /// The statement that notes a transfer: client, number, instance, term, source, target, amount.
    ///
    /// # Errors
    /// Of postgres.
    pub async fn transfer(&self) -> Result<Statement, tokio_postgres::Error> {
        let text = format!(
            "INSERT INTO chaos_transfers (client, n, instance, term, source, target, amount, timeline, lsn) \
             SELECT $1, $2, $3, $4, $5, $6, $7, {HERE} RETURNING timeline, lsn::text"
        );
        self.client.prepare(&text).await
    }

    /// The term of the instance as far as it is known; a row that is written while it is not carries 0.
    #[must_use]
    pub fn term(&self) -> i64 {
        i64::try_from(self.knowledge.term_of(&self.instance, self.timeline)).unwrap_or(0)
    }

    /// Where a row that was returned is.
    #[must_use]
    pub fn place(&self, row: &Row) -> Option<Where> {
        let timeline = u32::try_from(row.try_get::<_, i32>(0).ok()?).ok()?;
        let lsn: Lsn = row.try_get::<_, String>(1).ok()?.parse().ok()?;
        let term = self.knowledge.term_of(&self.instance, timeline);
        Some(Where { instance: self.instance.clone(), timeline, term, lsn })
    }
}

/// What an error says about the statement: an answer of postgres' own is a refusal, unless it is that the session or the
/// server ends, which may come after a commit (a flush of WAL that fails is a PANIC, and its record may be on disk all the
/// same); silence and a broken connection say nothing.
#[must_use]
pub fn outcome_of(error: &tokio_postgres::Error) -> Outcome {
    let Some(said) = error.as_db_error() else { return Outcome::Unknown };
    let code = said.code().code();
    let may_follow_a_commit = ["57", "08", "XX"].iter().any(|class| code.starts_with(class));
    if said.parsed_severity() == Some(Severity::Error) && !may_follow_a_commit {
        Outcome::Refused
    } else {
        Outcome::Unknown
    }
}
