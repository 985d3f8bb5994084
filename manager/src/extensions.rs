//! The extensions that parameters call for (`pgaudit.*`, `pg_stat_statements.*`): made in every database, as CNPG does.
//! None is dropped when the parameters go: somebody may have made it.

use crate::context::Context;
use crate::duty::Duty;
use crate::effects::local;
use core::time::Duration;
use pgherd_core::pgconf::preload::extensions;
use pgherd_postgres::sql::within;
use pgherd_proto::cluster::Cluster;
use pgherd_telemetry::chain;
use std::collections::BTreeSet;

const STATEMENT_WITHIN: Duration = Duration::from_secs(10);
const DATABASES: &str = "SELECT oid, datname FROM pg_catalog.pg_database WHERE datallowconn ORDER BY oid";

/// What is where it is wanted, as far as this primary has looked.
#[derive(Default)]
pub struct Extensions {
    settled: BTreeSet<(u32, &'static str)>,
    complained: BTreeSet<(u32, &'static str)>,
}

impl Duty for Extensions {
    type Asked = Vec<&'static str>;
    const WHAT: &'static str = "the extensions that parameters call for";
    const PAUSE: Duration = Duration::from_secs(20);

    fn asked(cluster: Option<&Cluster>) -> Self::Asked {
        let postgresql = cluster.and_then(|cluster| cluster.spec.postgresql.as_ref());
        postgresql.map(|postgresql| extensions(&postgresql.parameters)).unwrap_or_default()
    }

    async fn look(&mut self, cx: &Context) -> Result<(), String> {
        let wanted = Self::asked(cx.cluster_now().as_deref());
        if wanted.is_empty() {
            return Ok(());
        }
        for (oid, database) in databases(cx).await? {
            let missing: Vec<_> =
                wanted.iter().filter(|name| !self.settled.contains(&(oid, **name))).copied().collect();
            if missing.is_empty() {
                continue;
            }
            for (name, made) in make(cx, &database, &missing).await? {
                match made {
                    Ok(()) => {
                        self.settled.insert((oid, name));
                    }
                    // Its library may not be loaded before a restart, or not be in the image.
                    Err(why) if self.complained.insert((oid, name)) => {
                        tracing::warn!(%database, extension = name, %why, "an extension is not there; it is tried again");
                    }
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }
}

async fn databases(cx: &Context) -> Result<Vec<(u32, String)>, String> {
    let session = local(cx, "postgres").await.map_err(|e| chain(&e))?;
    let asked = session.client().query(DATABASES, &[]);
    let rows = within("list the databases", STATEMENT_WITHIN, asked).await.map_err(|e| chain(&e))?;
    let read = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    read.collect::<Result<_, tokio_postgres::Error>>().map_err(|e| chain(&e))
}

/// Each by itself. Objects of its own are in `public`, whatever the database's own path is.
async fn make(
    cx: &Context,
    database: &str,
    names: &[&'static str],
) -> Result<Vec<(&'static str, Result<(), String>)>, String> {
    let session = local(cx, database).await.map_err(|e| chain(&e))?;
    // No standby has to have it before the next is made; whoever takes over looks again.
    let first = "SET synchronous_commit = local; SET search_path = public";
    session.batch("begin with the extensions", first, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    let mut done = Vec::new();
    for name in names {
        let sql = format!("CREATE EXTENSION IF NOT EXISTS {name}");
        let made = session.batch("create an extension", &sql, STATEMENT_WITHIN).await;
        done.push((*name, made.map_err(|error| chain(&error))));
    }
    Ok(done)
}
