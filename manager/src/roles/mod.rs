//! The roles that the manifest wants (`spec.managed.roles`) and the superuser's password, kept by the primary's manager:
//! when this instance becomes the primary, when the Cluster changes, and a few times a minute, since Secrets and roles
//! change without the Cluster. What is to be run is decided in `core`.

mod known;
mod password;
mod report;
mod superuser;
mod wanted;

use crate::context::Context;
use crate::duty::Duty;
use crate::effects::local;
use core::time::Duration;
use password::Settled;
use pgherd_core::roles::{Statement, statements};
use pgherd_postgres::bootstrap::SILENCE;
use pgherd_postgres::sql::Session;
use pgherd_proto::cluster::{Cluster, RoleConfiguration};
use pgherd_telemetry::chain;
use report::Report;

const STATEMENT_WITHIN: Duration = Duration::from_secs(10);

/// Which passwords are as their Secrets have them.
#[derive(Default)]
pub struct Roles {
    settled: Settled,
}

impl Duty for Roles {
    type Asked = Option<(Vec<RoleConfiguration>, bool, Option<String>)>;
    const WHAT: &'static str = "the roles are looked at";
    const PAUSE: Duration = Duration::from_secs(12);

    fn asked(cluster: Option<&Cluster>) -> Self::Asked {
        let spec = &cluster?.spec;
        let roles = spec.managed.as_ref().map(|managed| managed.roles.clone()).unwrap_or_default();
        let secret = spec.superuser_secret.as_ref().map(|secret| secret.name.clone());
        Some((roles, spec.enable_superuser_access, secret))
    }

    async fn look(&mut self, cx: &Context) -> Result<(), String> {
        look(cx, &mut self.settled).await
    }
}

/// One look at everything; what fails of one role keeps no other from being kept.
async fn look(cx: &Context, settled: &mut Settled) -> Result<(), String> {
    let cluster = cx.cluster_now().ok_or("the Cluster has not been read yet")?;
    let roles = cluster.spec.managed.as_ref().map(|managed| managed.roles.clone()).unwrap_or_default();
    let session = local(cx, "postgres").await.map_err(|e| chain(&e))?;
    if let Err(why) = superuser::keep(cx, &cluster, &session, settled).await {
        tracing::warn!(%why, "the superuser's password is not as the Cluster wants it");
    }
    let before = cluster.status.as_ref().and_then(|status| status.managed_roles_status.as_deref());
    if roles.is_empty() && before.is_none() {
        return Ok(());
    }
    let mut report = Report::default();
    for role in &roles {
        match keep(cx, role, &session, settled).await {
            Ok(version) => report.reconciled(&role.name, version),
            Err(why) => {
                tracing::warn!(role = %role.name, %why, "a role is not as the Cluster wants it");
                report.failed(&role.name, why);
            }
        }
    }
    report.others(known::names(&session).await?);
    report.write(cx, before).await
}

/// One role; answers the version of the Secret that its password is of.
async fn keep(
    cx: &Context,
    role: &RoleConfiguration,
    session: &Session,
    settled: &mut Settled,
) -> Result<Option<String>, String> {
    let known = known::read(session, &role.name).await?;
    let mut wanted = wanted::wanted(role)?;
    let mut version = None;
    if let Some(secret) = role.password_secret.as_ref().filter(|_| !wanted.absent) {
        let verifier = known.as_ref().map(|known| known.verifier.as_str()).unwrap_or_default();
        let (password, of) = password::wanted(cx, &secret.name, &role.name, verifier, settled).await?;
        wanted.password = password;
        version = Some(of);
    }
    let all = statements(&wanted, known.as_ref().map(|known| &known.role));
    if !all.is_empty() {
        run(session, &all).await?;
        let done: Vec<&str> = all.iter().map(|statement| statement.what).collect();
        tracing::info!(role = %role.name, done = %done.join(", "), "the role is as the Cluster wants it now");
    }
    if let Some(version) = &version {
        settled.note(&role.name, version);
    }
    Ok(version)
}

/// All of them or none: several statements in one text are one transaction.
async fn run(session: &Session, all: &[Statement]) -> Result<(), String> {
    // There are verifiers in it.
    let first = format!("{SILENCE}; SET synchronous_commit = local");
    session.batch("silence the log", &first, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    let text: Vec<&str> = all.iter().map(|statement| statement.sql.as_str()).collect();
    let what = if let [one] = all { one.what } else { "change the role" };
    session.batch(what, &text.join("; "), STATEMENT_WITHIN).await.map_err(|e| chain(&e))
}
