//! `controller plan`: the plan and its reasons for a live cluster, with nothing applied and nobody fenced.

use crate::caches::{Caches, Key, of};
use crate::cli::Output;
use crate::config::{Config, DEFAULT_MANAGER_IMAGE};
use crate::drift::manager_image_of;
use crate::memory::Remembered;
use crate::queue::Queue;
use crate::reconcile::Reconciler;
use crate::validity::judge;
use crate::watched::Scope;
use anyhow::{Context, anyhow};
use kube::Client;
use pgherd_core::plan::{Step, check};
use serde_json::json;
use std::fmt::Write;
use tokio::task::JoinSet;

/// Prints the plan for one cluster. Where no `manager_image` is given, pods are compared with what the newest of them
/// was made with: anything else would call every pod of a healthy cluster outdated.
///
/// # Errors
/// There is no such cluster, it was never valid, or the API server does not answer.
pub async fn print(client: Client, key: Key, manager_image: Option<String>, output: Output) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let (waker, queue) = Queue::new();
    // Nobody is woken: with the receiver gone, waking is a no-op.
    drop(queue);
    let scope = Scope(vec![key.namespace.clone()]);
    let caches = Caches::start(&client, &scope, &waker, &mut tasks);
    caches.ready().await.context("failed to list what there is")?;
    let stored = caches
        .cluster(&key)
        .ok_or_else(|| anyhow!("there is no cluster {} in namespace {}", key.name, key.namespace))?;
    let verdict =
        judge(&stored).map_err(|why| anyhow!("the cluster's spec is invalid, and none before it was valid: {why}"))?;
    let manager_image = manager_image
        .filter(|image| !image.is_empty())
        .or_else(|| manager_image_of(&of(&caches.pods, &key)))
        .unwrap_or_else(|| DEFAULT_MANAGER_IMAGE.to_owned());
    let reconciler = Reconciler::new(client, caches, Config { manager_image, ..Config::default() });
    let look = reconciler.look(&key, stored, verdict, &mut Remembered::default(), false).await?;
    let violations = check(&look.observed, &look.plan);
    let text = match output {
        Output::Json => {
            let value = json!({ "managerImage": reconciler.config.manager_image, "desired": look.desired,
                "observed": look.observed, "plan": look.plan, "violations": violations });
            serde_json::to_string_pretty(&value)?
        }
        Output::Text => {
            let mut text = String::new();
            writeln!(text, "phase: {} {}", look.plan.status.phase, look.plan.status.reason)?;
            writeln!(text, "steps:{}", if look.plan.steps.is_empty() { " none" } else { "" })?;
            for step in &look.plan.steps {
                writeln!(text, "  {}", describe(step)?)?;
            }
            writeln!(text, "reasons:{}", if look.plan.report.0.is_empty() { " none" } else { "" })?;
            for line in &look.plan.report.0 {
                writeln!(text, "  {line}")?;
            }
            for violation in &violations {
                writeln!(text, "REFUSED: {violation}")?;
            }
            text
        }
    };
    tasks.shutdown().await;
    tokio::io::AsyncWriteExt::write_all(&mut tokio::io::stdout(), format!("{}\n", text.trim_end()).as_bytes()).await?;
    Ok(())
}

fn describe(step: &Step) -> serde_json::Result<String> {
    serde_json::to_string(step)
}
