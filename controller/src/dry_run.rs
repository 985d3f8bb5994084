//! `controller plan`: the plan and its reasons for a live cluster, with nothing applied and nobody fenced.

use crate::caches::{Caches, Key};
use crate::catalog;
use crate::cli::Output;
use crate::clock;
use crate::config::{Config, DEFAULT_MANAGER_IMAGE};
use crate::drift::manager_image_of;
use crate::memory::Remembered;
use crate::queue::Queue;
use crate::reconcile::{Look, Reconciler};
use crate::validity::judge;
use crate::watched::Scope;
use anyhow::{Context, anyhow};
use kube::Client;
use pgherd_core::plan::{Step, Violation, check};
use pgherd_proto::cluster::Cluster;
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Prints the plan for one cluster. Where no `manager_image` is given, pods are compared with what the newest of them
/// was made with: anything else would call every pod of a healthy cluster outdated.
///
/// # Errors
/// There is no such cluster, it was never valid, or the API server does not answer.
pub async fn print(client: Client, key: Key, manager_image: Option<String>, output: Output) -> anyhow::Result<()> {
    let planned = Box::pin(planned(client, key, manager_image, None)).await?;
    let text = match output {
        Output::Json => serde_json::to_string_pretty(&planned.json())?,
        Output::Text => planned.text()?,
    };
    tokio::io::AsyncWriteExt::write_all(&mut tokio::io::stdout(), format!("{}\n", text.trim_end()).as_bytes()).await?;
    Ok(())
}

/// What would be done, were the controller to look now.
pub struct Planned {
    look: Look,
    manager_image: String,
    violations: Vec<Violation>,
}

/// Looks and plans, for the cluster as it is stored, or as `edited` wants it: its spec and its annotations.
///
/// # Errors
/// There is no such cluster, it was never valid, or the API server does not answer.
pub async fn planned(
    client: Client,
    key: Key,
    manager_image: Option<String>,
    edited: Option<Cluster>,
) -> anyhow::Result<Planned> {
    let mut tasks = JoinSet::new();
    let (waker, queue) = Queue::new();
    // Nobody is woken: with the receiver gone, waking is a no-op.
    drop(queue);
    let scope = Scope(vec![key.namespace.clone()]);
    let caches = Caches::start(&client, &scope, &waker, &mut tasks);
    caches.ready().await.context("failed to list what there is")?;
    let stored = match (caches.cluster(&key), edited) {
        (Some(stored), None) => stored,
        (Some(stored), Some(edited)) => Arc::new(applied(&stored, edited)),
        (None, Some(edited)) => Arc::new(edited),
        (None, None) => return Err(anyhow!("there is no cluster {} in namespace {}", key.name, key.namespace)),
    };
    let mut memory = Remembered::default();
    let chosen = catalog::chosen(&client, &stored, &mut memory, clock::now()).await;
    let verdict = judge(&stored, chosen.as_ref())
        .map_err(|why| anyhow!("the cluster's spec is invalid, and none before it was valid: {why}"))?;
    let manager_image = manager_image
        .filter(|image| !image.is_empty())
        .or_else(|| manager_image_of(&caches.pods.of(&key)))
        .unwrap_or_else(|| DEFAULT_MANAGER_IMAGE.to_owned());
    let reconciler = Reconciler::new(client, caches, Config { manager_image, ..Config::default() });
    let look = reconciler.look(&key, stored, verdict, &mut memory, false).await?;
    let violations = check(&look.observed, &look.plan);
    tasks.shutdown().await;
    Ok(Planned { look, manager_image: reconciler.config.manager_image, violations })
}

/// The stored cluster as it would be once the manifest is applied.
fn applied(stored: &Cluster, edited: Cluster) -> Cluster {
    let mut after = stored.clone();
    after.spec = edited.spec;
    after.metadata.annotations.get_or_insert_default().extend(edited.metadata.annotations.unwrap_or_default());
    after
}

impl Planned {
    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let Planned { look, manager_image, violations } = self;
        json!({ "managerImage": manager_image, "desired": look.desired, "observed": look.observed, "plan": look.plan,
            "violations": violations })
    }

    /// For people.
    ///
    /// # Errors
    /// A step cannot be written as JSON.
    pub fn text(&self) -> anyhow::Result<String> {
        let plan = &self.look.plan;
        let mut text = String::new();
        writeln!(text, "phase: {} {}", plan.status.phase, plan.status.reason)?;
        if let Some(why) = &self.look.verdict.invalid {
            writeln!(text, "the spec would be refused, and the last valid one stay in force: {why}")?;
        }
        writeln!(text, "steps:{}", if plan.steps.is_empty() { " none" } else { "" })?;
        for step in &plan.steps {
            writeln!(text, "  {}", describe(step)?)?;
        }
        writeln!(text, "reasons:{}", if plan.report.0.is_empty() { " none" } else { "" })?;
        for line in &plan.report.0 {
            writeln!(text, "  {line}")?;
        }
        for violation in &self.violations {
            writeln!(text, "REFUSED: {violation}")?;
        }
        Ok(text)
    }
}

fn describe(step: &Step) -> serde_json::Result<String> {
    serde_json::to_string(step)
}
