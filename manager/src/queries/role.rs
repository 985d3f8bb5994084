//! The role that asks: made where a database system came from somewhere that had none.

use crate::context::Context;
use crate::duty::Duty;
use crate::effects::local;
use core::time::Duration;
use pgherd_postgres::bootstrap::{METRICS_USER, cluster_roles};
use pgherd_postgres::sql::within;
use pgherd_proto::cluster::Cluster;
use pgherd_telemetry::chain;

const STATEMENT_WITHIN: Duration = Duration::from_secs(5);

/// Whether this primary has seen it.
#[derive(Default)]
pub struct MetricsRole {
    seen: bool,
}

impl Duty for MetricsRole {
    type Asked = ();
    const WHAT: &'static str = "the role that asks for metrics";
    const PAUSE: Duration = Duration::from_secs(60);

    fn asked(_: Option<&Cluster>) {}

    async fn look(&mut self, cx: &Context) -> Result<(), String> {
        if self.seen {
            return Ok(());
        }
        let session = local(cx, "postgres").await.map_err(|e| chain(&e))?;
        let sql = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1";
        let asked = async { session.client().query_opt(sql, &[&METRICS_USER]).await };
        let found = within("look for the role of the metrics", STATEMENT_WITHIN, asked).await.map_err(|e| chain(&e))?;
        if found.is_none() {
            cluster_roles(&session, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
            tracing::info!(role = METRICS_USER, "the role that asks for metrics is there now");
        }
        self.seen = true;
        Ok(())
    }
}
