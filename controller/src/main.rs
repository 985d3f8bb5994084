//! The controller's program.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Box::pin(pgherd_controller::cli::Cli::parse().run()).await
}
