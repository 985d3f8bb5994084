//! The house's own tools: what is generated from the code, and the checks that no compiler makes.
//!
//! `cargo run -p xtask -- generate` writes the CRDs, the JSON schema and the OpenAPI page; `-- check` holds them
//! against the code, and the tree against the rules of `CONTRIBUTING.md`.

mod check;
mod generate;
mod openapi;
mod tree;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The house's own tools.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes what is generated from the code.
    Generate,
    /// Checks what is generated, the dependencies, the purity of core, the files' sizes and the list of fields.
    Check,
}

fn main() -> anyhow::Result<ExitCode> {
    let root = tree::root();
    match Cli::parse().command {
        Command::Generate => {
            for (path, changed) in generate::write(&root)? {
                println!("{} {}", if changed { "wrote" } else { "kept " }, path.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Check => Ok(if check::run(&root)? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
    }
}
