//! The controller's program.

use clap::Parser;
use tikv_jemallocator::Jemalloc;

/// Small objects of a thousand clusters, between bursts of large ones: with glibc's the process is twice as large.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Box::pin(pgherd_controller::cli::Cli::parse().run()).await
}
