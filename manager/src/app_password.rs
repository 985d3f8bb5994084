//! The password of the application's role follows its Secret, as with CNPG: what the Secret says is set when this
//! instance becomes the primary, and whenever the Secret changes. A password that was changed in SQL alone is left alone
//! until then.

use crate::context::Context;
use crate::duty::Duty;
use crate::effects::{local, owner_login};
use core::time::Duration;
use pgherd_postgres::bootstrap::{Login, set_password};
use pgherd_postgres::scram;
use pgherd_postgres::sql::within;
use pgherd_proto::cluster::Cluster;
use pgherd_telemetry::chain;

const STATEMENT_WITHIN: Duration = Duration::from_secs(5);

/// What the Secret said when the role was last given its password.
#[derive(Default)]
pub struct AppPassword {
    settled: Option<Login>,
}

impl Duty for AppPassword {
    type Asked = ();
    const WHAT: &'static str = "the application's password is compared with its Secret";
    const PAUSE: Duration = Duration::from_secs(30);

    fn asked(_: Option<&Cluster>) {}

    async fn look(&mut self, cx: &Context) -> Result<(), String> {
        self.settled = Some(look(cx, self.settled.as_ref()).await?);
        Ok(())
    }
}

/// Sets the Secret's password where it has changed; answers what is settled now.
async fn look(cx: &Context, settled: Option<&Login>) -> Result<Login, String> {
    let wanted = owner_login(cx).await?;
    if settled == Some(&wanted) {
        return Ok(wanted);
    }
    let session = local(cx, "postgres").await.map_err(|e| chain(&e))?;
    let sql = "SELECT coalesce(rolpassword, '') FROM pg_authid WHERE rolname = $1";
    let asked = async { session.client().query_opt(sql, &[&wanted.name]).await };
    let row = within("read the application's verifier", STATEMENT_WITHIN, asked).await.map_err(|e| chain(&e))?;
    // A role that somebody dropped is not made again.
    let Some(row) = row else { return Ok(wanted) };
    let verifier: String = row.try_get(0).map_err(|e| chain(&e))?;
    if scram::is_of(&wanted.password, &verifier) != Some(true) {
        set_password(&session, &wanted, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
        tracing::info!(role = %wanted.name, "the role has the password of its Secret now");
    }
    Ok(wanted)
}
