//! What postgres knows of its roles.

use super::STATEMENT_WITHIN;
use pgherd_core::roles::{Attributes, Known};
use pgherd_postgres::sql::{Session, within};
use pgherd_telemetry::chain;

const ROLE: &str = "SELECT rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolinherit, rolreplication, rolbypassrls, \
    rolconnlimit, \
    CASE WHEN isfinite(rolvaliduntil) THEN extract(epoch FROM rolvaliduntil)::bigint END, \
    coalesce(shobj_description(oid, 'pg_authid'), ''), coalesce(rolpassword, ''), \
    ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_authid g ON g.oid = m.roleid WHERE m.member = a.oid) \
    FROM pg_authid a WHERE rolname = $1";
/// But for those that postgres brings.
const NAMES: &str = "SELECT rolname::text FROM pg_authid WHERE rolname !~ '^pg_' ORDER BY 1";

/// A role, and what is kept of its password: a secret.
pub(super) struct Read {
    pub role: Known,
    pub verifier: String,
}

pub(super) async fn read(session: &Session, name: &str) -> Result<Option<Read>, String> {
    let asked = async { session.client().query_opt(ROLE, &[&name]).await };
    let row = within("read a role", STATEMENT_WITHIN, asked).await.map_err(|e| chain(&e))?;
    let Some(row) = row else { return Ok(None) };
    let made = || -> Result<Read, tokio_postgres::Error> {
        let verifier: String = row.try_get(10)?;
        let in_roles: Vec<String> = row.try_get(11)?;
        let limit: i32 = row.try_get(7)?;
        let role = Known {
            attributes: Attributes {
                login: row.try_get(0)?,
                superuser: row.try_get(1)?,
                createdb: row.try_get(2)?,
                createrole: row.try_get(3)?,
                inherit: row.try_get(4)?,
                replication: row.try_get(5)?,
                bypassrls: row.try_get(6)?,
            },
            connection_limit: i64::from(limit),
            valid_until: row.try_get(8)?,
            comment: row.try_get(9)?,
            in_roles: in_roles.into_iter().collect(),
            has_password: !verifier.is_empty(),
        };
        Ok(Read { role, verifier })
    };
    made().map(Some).map_err(|e| chain(&e))
}

pub(super) async fn names(session: &Session) -> Result<Vec<String>, String> {
    let asked = async { session.client().query(NAMES, &[]).await };
    let rows = within("list the roles", STATEMENT_WITHIN, asked).await.map_err(|e| chain(&e))?;
    rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|e| chain(&e))
}
