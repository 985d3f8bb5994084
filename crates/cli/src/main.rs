//! `pgherd`: the tool for people. Hidden verbs first, since those must run before there are other threads.

mod annotate;
mod args;
mod backup;
mod certificate;
mod cluster;
mod destroy;
mod env;
mod fault;
mod fault_args;
mod fencing;
mod force;
mod hibernate;
mod instance;
mod local;
mod logs;
mod maintenance;
mod migrate;
mod migrate_look;
#[cfg(test)]
mod migrate_tests;
mod output;
mod plan;
mod promote;
mod psql;
mod redact;
mod report;
mod restart;
mod restore;
mod restore_args;
mod restore_text;
mod shell;
mod status;
mod validate;
mod verify;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use args::{Arguments, BackupVerb, Verb};
use clap::{CommandFactory, FromArgMatches};
use instance::InstanceArguments;
use pgherd_proto::cluster::DrillOrder;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = pgherd_localkube::daemon::run_hidden(&words) {
        return code;
    }
    let name = called();
    let matches = Arguments::command().bin_name(name).get_matches();
    let outcome = Arguments::from_arg_matches(&matches).map_err(anyhow::Error::from).and_then(run);
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What people type to reach this program: under the name `kubectl-pgherd` it is a plugin of kubectl.
fn called() -> &'static str {
    name_of(std::env::args_os().next().as_deref())
}

/// The file that a shell completes for.
fn called_file() -> &'static str {
    if called() == "pgherd" { "pgherd" } else { "kubectl-pgherd" }
}

fn name_of(program: Option<&OsStr>) -> &'static str {
    let file = program.map(Path::new).and_then(Path::file_name).and_then(OsStr::to_str);
    if file.is_some_and(|file| file.starts_with("kubectl-")) { "kubectl pgherd" } else { "pgherd" }
}

fn run(Arguments { output, verb }: Arguments) -> anyhow::Result<u8> {
    let shape = output;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match verb {
            Verb::Validate(arguments) => validate::run(&arguments, shape),
            Verb::Local { verb } => local::run(verb, shape).await,
            Verb::Status { cluster, watch } => status::run(&cluster, watch, shape).await,
            Verb::Psql { cluster, superuser, pod, rest } => psql::run(&cluster, superuser, pod, rest).await,
            Verb::Logs { cluster, pod, follow, tail } => logs::run(&cluster, pod, follow, tail, shape).await,
            Verb::Backup {
                verb: Some(BackupVerb::Verify { cluster, backup_id, to, query, timeout, wait }), ..
            } => {
                let order = DrillOrder {
                    backup_id,
                    to,
                    query,
                    timeout_seconds: timeout.map(i64::from),
                    ..DrillOrder::default()
                };
                verify::run(&cluster, order, wait, shape).await
            }
            Verb::Backup { cluster, backup_name, target, wait, verb: None } => {
                backup::run(&cluster, backup_name, target, wait, shape).await
            }
            Verb::Restore { cluster, what } => restore::run(&cluster, &what, shape).await,
            Verb::Promote { wanted, named, force, accept_loss } => {
                let instance = named.or(wanted.instance);
                let (found, instance) = instance::find_one(&InstanceArguments { instance, ..wanted }).await?;
                if force {
                    force::run(&found, &instance, accept_loss, shape).await
                } else {
                    promote::run(&found, &instance, shape).await
                }
            }
            Verb::Restart(instance) => restart::run(&instance, shape).await,
            Verb::Reload { cluster } => restart::reload(&cluster, shape).await,
            Verb::Fencing { verb } => fencing::run(&verb, shape).await,
            Verb::Hibernate { verb } => hibernate::run(&verb, shape).await,
            Verb::Maintenance { verb } => maintenance::run(&verb, shape).await,
            Verb::Destroy(instance) => destroy::run(&instance, shape).await,
            Verb::Certificate(wanted) => certificate::run(&wanted, shape).await,
            Verb::Report { verb } => report::run(&verb, shape).await,
            Verb::Plan { cluster, file } => Box::pin(plan::run(&cluster, file.as_deref(), shape)).await,
            Verb::Migrate { cluster, take_over } => migrate::run(&cluster, take_over, shape).await,
            Verb::Completion { shell } => shell::completion(Arguments::command(), called_file(), shell),
            Verb::Man { directory } => shell::man(Arguments::command(), directory.as_deref()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Arguments, BackupVerb, Verb, name_of};
    use crate::args::LocalVerb;
    use clap::{CommandFactory, Parser};
    use std::ffi::OsStr;

    #[test]
    fn a_backup_is_taken_or_verified_by_what_follows_the_word() {
        let read =
            |words: &[&str]| Arguments::try_parse_from([&["pgherd", "backup"], words].concat()).map(|all| all.verb);
        let Ok(Verb::Backup { verb: None, cluster, wait: true, .. }) = read(&["db", "--wait"]) else { panic!() };
        assert_eq!(cluster.cluster.as_deref(), Some("db"));
        let words = ["verify", "db", "--query", "SELECT true", "--wait"];
        let Ok(Verb::Backup { verb: Some(verb), .. }) = read(&words) else { panic!("{:?}", read(&words)) };
        let BackupVerb::Verify { cluster, query, wait, .. } = verb;
        assert_eq!((cluster.cluster.as_deref(), query.as_deref(), wait), (Some("db"), Some("SELECT true"), true));
    }

    #[test]
    fn the_environment_may_be_named_before_or_after_the_fault() {
        Arguments::command().debug_assert();
        for words in [["--state-dir", "/d", "list"], ["list", "--state-dir", "/d"]] {
            let read = Arguments::try_parse_from([&["pgherd", "local", "fault"], words.as_slice()].concat());
            let Ok(Verb::Local { verb: LocalVerb::Fault { environment, .. } }) = read.map(|all| all.verb) else {
                panic!("{words:?}")
            };
            assert_eq!(environment.state_dir.as_deref(), Some(std::path::Path::new("/d")));
        }
    }

    #[test]
    fn as_a_plugin_of_kubectl_it_calls_itself_by_what_people_type() {
        let of = |program: &str| name_of(Some(OsStr::new(program)));
        assert_eq!([of("/usr/local/bin/pgherd"), of("pgherd"), name_of(None)], ["pgherd"; 3]);
        assert_eq!([of("kubectl-pgherd"), of("/home/me/.krew/bin/kubectl-pgherd")], ["kubectl pgherd"; 2]);
        let usage = |name: &'static str| Arguments::command().bin_name(name).render_usage().to_string();
        assert!(usage("kubectl pgherd").starts_with("Usage: kubectl pgherd "), "{}", usage("kubectl pgherd"));
        assert!(usage("pgherd").starts_with("Usage: pgherd "), "{}", usage("pgherd"));
    }
}
