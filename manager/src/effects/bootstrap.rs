//! The first database: intent, initdb, roles, and its identifier on record.

use super::first_sql;
use super::start::local;
use super::volume::off_runtime;
use crate::config::POSTGRES_PORT;
use crate::context::Context;
use crate::recovery::{Asked, recover};
use core::time::Duration;
use k8s_openapi::api::core::v1::Secret;
use pgherd_core::identity::{Incarnation, SystemId};
use pgherd_core::instance::Outcome;
use pgherd_postgres::bootstrap::{Login, application_database, clear_password, cluster_roles};
use pgherd_postgres::dir::PartialKind;
use pgherd_postgres::initdb::{InitDb, initdb as run_initdb};
use pgherd_postgres::process::Postgres;
use pgherd_proto::cluster::{BootstrapInitDb, Cluster};
use pgherd_telemetry::chain;

const INITDB_WITHIN: Duration = Duration::from_secs(600);
const STATEMENT_WITHIN: Duration = Duration::from_secs(120);

/// Writes the intent, by compare-and-swap.
pub async fn claim(cx: &Context) -> Outcome {
    outcome(cx.announcer.claim_initialization().await.map_err(|e| chain(&e)))
}

/// initdb, or a recovery, into a directory of its own, renamed when it is whole.
pub async fn initdb(cx: &Context) -> Outcome {
    outcome(make(cx).await)
}

async fn make(cx: &Context) -> Result<(), String> {
    let cluster = cx.cluster_now().ok_or("the Cluster has not been read yet")?;
    match Asked::of(&cluster) {
        Some(asked) => recover(cx, &cluster, asked).await,
        None => create_empty(cx, &cluster).await,
    }
}

async fn create_empty(cx: &Context, cluster: &Cluster) -> Result<(), String> {
    let nonce = &cx.config.me.nonce;
    let into = cx.volume.partial_path(PartialKind::Initdb, nonce);
    let postgres =
        Postgres::locate(cx.major, &cx.config.pgdata, &cx.config.socket_dir(), POSTGRES_PORT).map_err(|e| chain(&e))?;
    let asked = cluster.spec.initdb();
    // Of a try that failed: initdb wants an empty place.
    let volume = cx.volume.clone();
    off_runtime(move || volume.remove_unfinished().map_err(|e| chain(&e))).await?;
    run_initdb(&cx.reaper, &postgres, &into, &how(&asked), INITDB_WITHIN).await.map_err(|e| chain(&e))?;
    if first_sql::is_asked(&asked) {
        Box::pin(first_sql::run(cx, cluster, &into)).await?;
    }
    cx.archiving.forget();
    let (volume, nonce) = (cx.volume.clone(), nonce.clone());
    off_runtime(move || volume.adopt(&into, &incarnation(), &nonce).map_err(|e| chain(&e)).map(drop)).await
}

/// What initdb is told.
fn how(asked: &BootstrapInitDb) -> InitDb {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let ours = InitDb::default();
    InitDb {
        encoding: given(&asked.encoding).unwrap_or(ours.encoding),
        lc_collate: given(&asked.locale_collate).unwrap_or(ours.lc_collate),
        lc_ctype: given(&asked.locale_ctype).unwrap_or(ours.lc_ctype),
        locale: given(&asked.locale),
        locale_provider: given(&asked.locale_provider),
        icu_locale: given(&asked.icu_locale),
        icu_rules: given(&asked.icu_rules),
        builtin_locale: given(&asked.builtin_locale),
        data_checksums: asked.data_checksums.unwrap_or(false),
        wal_segment_mib: asked.wal_segment_size.and_then(|size| u32::try_from(size).ok()).filter(|size| *size > 0),
        options: asked.options.clone(),
    }
}

/// A name for a data directory that no other has.
#[must_use]
pub fn incarnation() -> Incarnation {
    Incarnation(uuid::Uuid::new_v4().to_string())
}

/// Roles, grants, the application's role and database.
pub async fn roles(cx: &Context) -> Outcome {
    outcome(create(cx).await)
}

async fn create(cx: &Context) -> Result<(), String> {
    let cluster = cx.cluster_now().ok_or("the Cluster has not been read yet")?;
    let app = cluster.spec.application();
    let owner = owner_login(cx).await?;
    let session = local(cx, "postgres").await.map_err(|e| chain(&e))?;
    cluster_roles(&session, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    if matches!(Asked::of(&cluster), Some(Asked::Bootstrap(_))) {
        // Whoever knew the password of the cluster that this one was, does not know this one's.
        clear_password(&session, "postgres", STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    }
    application_database(&session, &owner, &app.database, STATEMENT_WITHIN).await.map_err(|e| chain(&e))
}

/// The application's role and its password, by its Secret.
///
/// # Errors
/// For people: the Secret cannot be read, or is another role's.
pub async fn owner_login(cx: &Context) -> Result<Login, String> {
    let app = cx.cluster_now().ok_or("the Cluster has not been read yet")?.spec.application();
    let secret = app.secret.unwrap_or_else(|| format!("{}-app", cx.config.cluster));
    login(cx, &secret, &app.owner).await
}

async fn login(cx: &Context, secret: &str, owner: &str) -> Result<Login, String> {
    let found: Secret =
        cx.api.secrets.get(secret).await.map_err(|e| format!("failed to read Secret {secret}: {}", chain(&e)))?;
    let data = found.data.unwrap_or_default();
    let text = |key: &str| data.get(key).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
    let password = text("password").ok_or_else(|| format!("Secret {secret} has no readable key `password`"))?;
    match text("username") {
        Some(name) if name != owner => {
            Err(format!("Secret {secret} is for user {name}, the cluster's owner is {owner}"))
        }
        _ => Ok(Login { name: owner.to_owned(), password }),
    }
}

/// Records the system identifier in the Cluster's status.
pub async fn publish(cx: &Context, id: SystemId) -> Outcome {
    outcome(cx.announcer.publish_system_id(id).await.map_err(|e| chain(&e)))
}

fn outcome(result: Result<(), String>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(why) => {
            tracing::warn!(%why, "the first database is not ready");
            Outcome::Failed(why)
        }
    }
}
