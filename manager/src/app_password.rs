//! The password of the application's role follows its Secret, as with CNPG: what the Secret says is set when this
//! instance becomes the primary, and whenever the Secret changes. A password that was changed in SQL alone is left alone
//! until then.

use crate::context::Context;
use crate::effects::{local, owner_login};
use crate::http::InstanceSnapshot;
use core::time::Duration;
use pgherd_core::cluster::MemberPhase;
use pgherd_postgres::bootstrap::{Login, set_password};
use pgherd_postgres::scram;
use pgherd_postgres::sql::within;
use pgherd_telemetry::chain;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// Between two looks at the Secret; half as long again at most, so that the clusters of an API server do not keep step.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// A new primary has more urgent things to do first, and the password is as good as ever the same.
const AFTER_A_CHANGE: Duration = Duration::from_secs(1);
const STATEMENT_WITHIN: Duration = Duration::from_secs(5);

fn serves(now: &InstanceSnapshot) -> bool {
    now.phase == MemberPhase::Primary
}

/// Works until it is dropped.
pub async fn follow(cx: Arc<Context>, mut snapshots: watch::Receiver<Arc<InstanceSnapshot>>) {
    let mut settled: Option<Login> = None;
    loop {
        let primary = serves(&snapshots.borrow_and_update());
        if primary && cx.running().is_some() && !cx.leaving.load(Ordering::Relaxed) {
            match look(&cx, settled.as_ref()).await {
                Ok(login) => settled = Some(login),
                Err(why) => tracing::debug!(%why, "the application's password is not compared with its Secret yet"),
            }
        } else {
            settled = None;
        }
        let role_changes = snapshots.wait_for(|now| serves(now) != primary);
        let pause = LOOK_AGAIN.mul_f64(1.0 + rand::random::<f64>() / 2.0);
        match tokio::time::timeout(pause, role_changes).await.map(|change| change.is_ok()) {
            Ok(false) => return,
            Ok(true) => tokio::time::sleep(AFTER_A_CHANGE).await,
            Err(_) => {}
        }
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
