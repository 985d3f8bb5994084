//! The controller's program.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    pgherd_controller::cli::Cli::parse().run().await
}
