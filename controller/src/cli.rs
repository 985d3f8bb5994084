//! What the controller is asked on the command line.

use crate::admission::Webhook;
use crate::caches::Key;
use crate::config::{Config, DEFAULT_MANAGER_IMAGE, Election};
use crate::run::Settings;
use crate::watched::Scope;
use crate::{dry_run, run};
use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use kube::Client;
use pgherd_core::cluster::DRAIN_TAINTS;
use pgherd_proto::names::STATUS_PORT;
use pgherd_telemetry::{LogSetup, Shape};
use std::net::SocketAddr;

/// The controller of pgherd.
#[derive(Debug, Parser)]
#[command(name = "controller", version, about)]
pub struct Cli {
    /// error, warning, info, debug or trace.
    #[arg(long, global = true, default_value = "info", env = "PGHERD_LOG_LEVEL")]
    log_level: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch all clusters and give them what they lack.
    Run(RunArgs),
    /// Show what would be done for one cluster, and why. Changes nothing, fences nobody.
    Plan(PlanArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Serve /healthz and /readyz here.
    #[arg(long)]
    health: Option<SocketAddr>,
    /// Serve /metrics here.
    #[arg(long)]
    metrics: Option<SocketAddr>,
    /// Image with the manager's binary.
    #[arg(long, env = "OPERATOR_IMAGE_NAME", default_value = DEFAULT_MANAGER_IMAGE)]
    manager_image: String,
    /// Port of the managers' status.
    #[arg(long, hide = true, default_value_t = STATUS_PORT)]
    status_port: u16,
    /// Taints of nodes, beside a cordon, that say that a primary there is to hand over (CNPG's variable).
    #[arg(long, env = "DRAIN_TAINTS", value_delimiter = ',', default_values_t = DRAIN_TAINTS.map(str::to_owned))]
    drain_taints: Vec<String>,
    /// Namespaces whose clusters are looked after; all where none is named (CNPG's variable).
    #[arg(long, env = "WATCH_NAMESPACE", value_delimiter = ',')]
    watch_namespace: Vec<String>,
    /// Of several controllers let one work, by a lease; the others are ready to take over.
    #[arg(long)]
    leader_elect: bool,
    /// The namespace that it runs in (CNPG's variable).
    #[arg(long, env = "OPERATOR_NAMESPACE", default_value = "default")]
    operator_namespace: String,
    /// Serve the validating webhook here, over TLS.
    #[arg(long)]
    webhook: Option<SocketAddr>,
    /// The Service that leads to the webhook; the Secret of its certificate has the same name.
    #[arg(long, default_value = "pgherd-webhook")]
    webhook_service: String,
    /// The ValidatingWebhookConfiguration that is told whom to believe.
    #[arg(long)]
    webhook_configuration: Option<String>,
    /// Seconds between two looks at the webhook's certificate.
    #[arg(long, hide = true, default_value_t = 60)]
    webhook_every: u64,
}

impl RunArgs {
    fn split(self) -> (Config, Settings) {
        let Self { health, metrics, manager_image, status_port, drain_taints, .. } = self;
        let Self { watch_namespace, leader_elect, operator_namespace, .. } = self;
        let Self { webhook, webhook_service, webhook_configuration, webhook_every, .. } = self;
        let namespaces = watch_namespace.into_iter().map(|one| one.trim().to_owned()).filter(|one| !one.is_empty());
        // The name of a pod outlives its container: what was its predecessor's is not its own.
        let name = || format!("{}_{}", std::env::var("POD_NAME").unwrap_or_default(), uuid::Uuid::new_v4());
        let webhook = webhook.map(|address| Webhook {
            address,
            service: webhook_service,
            namespace: operator_namespace.clone(),
            configuration: webhook_configuration,
            every: core::time::Duration::from_secs(webhook_every),
        });
        let election = leader_elect.then(|| Election { namespace: operator_namespace, name: name() });
        let settings = Settings { health, metrics, scope: Scope(namespaces.collect()), webhook, election };
        (Config { manager_image, status_port, drain_taints }, settings)
    }
}

#[derive(Debug, Args)]
struct PlanArgs {
    /// The cluster.
    cluster: String,
    /// Its namespace.
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Nothing is ever applied by this command; the flag says so aloud.
    #[arg(long)]
    dry_run: bool,
    /// Image with the manager's binary, as the running controller was told. Without it, the one that the newest pod was
    /// made with: what the controller's own environment says is not known in a shell.
    #[arg(long, env = "OPERATOR_IMAGE_NAME")]
    manager_image: Option<String>,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// Whatever keeps it from starting; a running controller goes on through errors.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self { log_level, command } = self;
        let shape = if matches!(command, Command::Run(_)) { Shape::Json } else { Shape::Text };
        let setup =
            LogSetup { shape, level: log_level, logger: "controller".to_owned(), pod: std::env::var("POD_NAME").ok() };
        let log = pgherd_telemetry::set_up(setup).context("failed to set up the log")?;
        let client = Client::try_default().await.context("failed to find the API server: is KUBECONFIG set?")?;
        let result = match command {
            Command::Run(args) => {
                let (config, settings) = args.split();
                Box::pin(run::run(client, config, settings)).await
            }
            Command::Plan(PlanArgs { cluster, namespace, dry_run: _, manager_image, output }) => {
                Box::pin(dry_run::print(client, Key { namespace, name: cluster }, manager_image, output)).await
            }
        };
        log.flush(core::time::Duration::from_secs(1));
        result
    }
}
