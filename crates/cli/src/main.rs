//! `pgherd`: the tool for people. Hidden verbs first, since those must run before there are other threads.

mod args;
mod cluster;
mod env;
mod fault;
mod fault_args;
mod local;
mod logs;
mod output;
mod promote;
mod psql;
mod status;
mod validate;

use std::process::ExitCode;

use args::{Arguments, Verb};
use clap::Parser;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = pgherd_localkube::daemon::run_hidden(&words) {
        return code;
    }
    match run(Arguments::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("pgherd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Arguments { output, verb }: Arguments) -> anyhow::Result<u8> {
    let json = output.is_json();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match verb {
            Verb::Validate { files } => validate::run(&files, json),
            Verb::Local { verb } => local::run(verb, json).await,
            Verb::Status { cluster } => status::run(&cluster, json).await,
            Verb::Psql { cluster, superuser, pod, rest } => psql::run(&cluster, superuser, pod, rest).await,
            Verb::Logs { cluster, pod, follow, tail } => logs::run(&cluster, pod, follow, tail, json).await,
            Verb::Promote { cluster, instance } => promote::run(&cluster, &instance, json).await,
        }
    })
}
