//! The SQL of a bootstrap (`postInitSQL` and its like), run before anybody else can see the database: in the directory
//! that initdb has just made and that is not the data directory yet. What fails leaves nothing behind, and is begun anew;
//! what succeeds is never run again.

use super::bootstrap::owner_login;
use super::volume::off_runtime;
use crate::config::POSTGRES_PORT;
use crate::configuration::system_user;
use crate::context::Context;
use crate::recovery::{Said, stop};
use crate::store_settings::config_map;
use core::time::Duration;
use k8s_openapi::api::core::v1::Secret;
use pgherd_core::pgconf;
use pgherd_postgres::bootstrap::{application_database, cluster_roles, owner_role, run_text};
use pgherd_postgres::files::write_durable;
use pgherd_postgres::process::{Postgres, PostmasterHandle, StopMode};
use pgherd_postgres::sql::{Local, Session, SqlError};
use pgherd_proto::cluster::{BootstrapInitDb, Cluster, SqlRefs};
use pgherd_telemetry::chain;
use std::path::Path;

const LOOK_AGAIN: Duration = Duration::from_millis(50);
const STARTS_WITHIN: Duration = Duration::from_secs(120);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const STATEMENT_WITHIN: Duration = Duration::from_secs(120);
/// A user's text may fill a database.
const TEXT_WITHIN: Duration = Duration::from_secs(6 * 3600);

/// A text to run.
struct Text {
    /// As in the manifest.
    field: String,
    sql: String,
    /// It came out of a Secret: what postgres says of it may repeat a part of it.
    secret: bool,
}

/// The texts for each of the three databases.
struct Texts {
    postgres: Vec<Text>,
    template: Vec<Text>,
    application: Vec<Text>,
}

/// Whether there is anything to run.
pub(super) fn is_asked(initdb: &BootstrapInitDb) -> bool {
    let given = |refs: &Option<SqlRefs>| {
        refs.as_ref().is_some_and(|refs| !(refs.secret_refs.is_empty() && refs.config_map_refs.is_empty()))
    };
    let inline = [&initdb.post_init_sql, &initdb.post_init_template_sql, &initdb.post_init_application_sql];
    let elsewhere =
        [&initdb.post_init_sql_refs, &initdb.post_init_template_sql_refs, &initdb.post_init_application_sql_refs];
    inline.iter().any(|texts| !texts.is_empty()) || elsewhere.into_iter().any(given)
}

/// Runs all of it in `pgdata`, which initdb has made.
///
/// # Errors
/// For people: which text failed, and why.
pub(super) async fn run(cx: &Context, cluster: &Cluster, pgdata: &Path) -> Result<(), String> {
    let initdb = cluster.spec.initdb();
    // First of all: what is not there is nothing to start a postgres for.
    let texts = Texts {
        postgres: read(cx, "postInitSQL", &initdb.post_init_sql, initdb.post_init_sql_refs.as_ref()).await?,
        template: read(
            cx,
            "postInitTemplateSQL",
            &initdb.post_init_template_sql,
            initdb.post_init_template_sql_refs.as_ref(),
        )
        .await?,
        application: read(
            cx,
            "postInitApplicationSQL",
            &initdb.post_init_application_sql,
            initdb.post_init_application_sql_refs.as_ref(),
        )
        .await?,
    };
    let folder = cx.config.controller_dir.join("initdb");
    let (at, sockets) = (pgdata.to_owned(), folder.clone());
    off_runtime(move || make_ready(&at, &sockets)).await?;
    let said = Said::default();
    let handle = start(cx, cluster, pgdata, &folder, &said).await?;
    let done = work(cx, cluster, &texts, &handle, &folder, &said).await;
    // Whatever happened, nothing of it runs on.
    let mode = if done.is_ok() { StopMode::Fast } else { StopMode::Immediate };
    let stopped = stop(&handle, mode).await;
    done.and(stopped)
}

/// Only we get in, over a socket that nobody else knows of. Blocks.
fn make_ready(pgdata: &Path, folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|e| format!("failed to make {}: {e}", folder.display()))?;
    for (name, text) in
        [("pg_hba.conf", pgconf::hba::gated()), ("pg_ident.conf", pgconf::ident::render(&system_user(), &[]))]
    {
        write_durable(&pgdata.join(name), text.as_bytes(), 0o600).map_err(|e| chain(&e))?;
    }
    Ok(())
}

async fn start(
    cx: &Context,
    cluster: &Cluster,
    pgdata: &Path,
    sockets: &Path,
    said: &Said,
) -> Result<PostmasterHandle, String> {
    let postgres = Postgres::locate(cx.major, pgdata, sockets, POSTGRES_PORT).map_err(|e| chain(&e))?;
    let asked = cluster.spec.postgresql.clone().unwrap_or_default();
    let settings =
        pgconf::firstborn::settings(&asked.parameters, &asked.shared_preload_libraries, &sockets.to_string_lossy());
    let sink = said.sink(&cx.postgres_lines);
    let mut postmaster = postgres.start(&cx.reaper, &cx.lock, &settings, sink).await.map_err(|e| chain(&e))?;
    let handle = postmaster.handle();
    // Reads its output until its end.
    tokio::spawn(async move { drop(postmaster.wait().await) });
    Ok(handle)
}

/// In CNPG's order: roles, `postgres`, `template1`, the application's database, which is made of it.
async fn work(
    cx: &Context,
    cluster: &Cluster,
    texts: &Texts,
    handle: &PostmasterHandle,
    sockets: &Path,
    said: &Said,
) -> Result<(), String> {
    let app = cluster.spec.application();
    let owner = owner_login(cx).await?;
    let session = opened(handle, sockets, said).await?;
    cluster_roles(&session, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    owner_role(&session, &owner, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    each(&session, &texts.postgres).await?;
    if !texts.template.is_empty() {
        let template = connect(sockets, "template1").await.map_err(|e| chain(&e))?;
        each(&template, &texts.template).await?;
        // CREATE DATABASE waits until nobody is connected to its template any more.
        drop(template);
    }
    application_database(&session, &owner, &app.database, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    let own = connect(sockets, &app.database).await.map_err(|e| chain(&e))?;
    each(&own, &texts.application).await
}

async fn each(session: &Session, texts: &[Text]) -> Result<(), String> {
    for Text { field, sql, secret } in texts {
        tracing::info!(field, "running SQL of the bootstrap");
        let done = run_text(session, sql, TEXT_WITHIN).await;
        done.map_err(|error| format!("{field}: {}", if *secret { discreet(&error) } else { chain(&error) }))?;
    }
    Ok(())
}

/// Why, without a word of the text.
fn discreet(error: &SqlError) -> String {
    let code = error.state().map_or_else(String::new, |state| format!(" (SQLSTATE {})", state.code()));
    format!("{error}{code}")
}

/// The first session, as soon as there is one.
async fn opened(handle: &PostmasterHandle, sockets: &Path, said: &Said) -> Result<Session, String> {
    let trying = async {
        loop {
            match connect(sockets, "postgres").await {
                Ok(session) => return Ok(session),
                Err(_) if handle.ended().is_some() => {
                    // Its last words may still be on their way.
                    tokio::time::sleep(LOOK_AGAIN).await;
                    return Err(format!("postgres does not start for the SQL of the bootstrap: {}", said.why()));
                }
                Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    };
    let opened = tokio::time::timeout(STARTS_WITHIN, trying).await;
    opened.map_err(|_| "postgres takes no session for the SQL of the bootstrap".to_owned())?
}

async fn connect(socket_dir: &Path, database: &str) -> Result<Session, SqlError> {
    let to = Local { socket_dir, port: POSTGRES_PORT, database, application_name: "pgherd-manager" };
    Session::local(to, CONNECT_WITHIN).await
}

/// The texts of one field: inline ones, then those of Secrets, then those of ConfigMaps.
async fn read(cx: &Context, field: &str, inline: &[String], refs: Option<&SqlRefs>) -> Result<Vec<Text>, String> {
    let inline = inline.iter().enumerate();
    let mut texts: Vec<Text> = inline
        .map(|(index, sql)| Text { field: format!("{field}[{index}]"), sql: sql.clone(), secret: false })
        .collect();
    let Some(refs) = refs else { return Ok(texts) };
    for reference in &refs.secret_refs {
        let what = format!("{field}Refs: key {} of Secret {}", reference.key, reference.name);
        let found: Secret = cx.api.secrets.get(&reference.name).await.map_err(|e| format!("{what}: {}", chain(&e)))?;
        let value = found.data.and_then(|mut data| data.remove(&reference.key));
        let sql =
            value.and_then(|bytes| String::from_utf8(bytes.0).ok()).ok_or_else(|| format!("{what}: is no text"))?;
        texts.push(Text { field: what, sql, secret: true });
    }
    for reference in &refs.config_map_refs {
        let what = format!("{field}Refs: key {} of ConfigMap {}", reference.key, reference.name);
        let sql = config_map(&cx.api, reference).await.map_err(|why| format!("{what}: {why}"))?;
        texts.push(Text { field: what, sql, secret: false });
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sql_is_asked_for_by_any_of_the_six_fields() {
        let of = |value: serde_json::Value| is_asked(&serde_json::from_value(value).unwrap());
        assert!(!of(json!({ "postInitSQL": [], "postInitSQLRefs": {} })));
        for field in ["postInitSQL", "postInitTemplateSQL", "postInitApplicationSQL"] {
            assert!(of(json!({ field: ["SELECT 1"] })));
            assert!(of(json!({ format!("{field}Refs"): { "secretRefs": [{ "name": "a", "key": "b" }] } })));
            assert!(of(json!({ format!("{field}Refs"): { "configMapRefs": [{ "name": "a", "key": "b" }] } })));
        }
    }
}
