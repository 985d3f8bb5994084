//! The superuser's password (`enableSuperuserAccess`): its Secret's where it is on, none where it is off.

use super::{STATEMENT_WITHIN, Settled, known, password, run};
use crate::context::Context;
use pgherd_core::roles::{Password, Statement};
use pgherd_core::sql::literal;
use pgherd_postgres::bootstrap::clear_password;
use pgherd_postgres::sql::{SUPERUSER, Session};
use pgherd_proto::cluster::Cluster;
use pgherd_proto::names::secret_superuser;
use pgherd_telemetry::chain;

pub(super) async fn keep(
    cx: &Context,
    cluster: &Cluster,
    session: &Session,
    settled: &mut Settled,
) -> Result<(), String> {
    let Some(known) = known::read(session, SUPERUSER).await? else { return Ok(()) };
    if !cluster.spec.enable_superuser_access {
        if known.role.has_password {
            clear_password(session, SUPERUSER, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
            tracing::info!("the superuser has no password any more");
        }
        return Ok(());
    }
    let given = cluster.spec.superuser_secret.as_ref().map(|secret| secret.name.clone());
    let secret = given.unwrap_or_else(|| secret_superuser(&cx.config.cluster));
    let (wanted, version) = password::wanted(cx, &secret, SUPERUSER, &known.verifier, settled).await?;
    if let Password::Verifier(verifier) = wanted {
        let sql = format!("ALTER ROLE {SUPERUSER} PASSWORD {}", literal(&verifier));
        run(session, &[Statement { sql, what: "set the superuser's password" }]).await?;
        tracing::info!("the superuser has the password of its Secret now");
    }
    settled.note(SUPERUSER, &version);
    Ok(())
}
