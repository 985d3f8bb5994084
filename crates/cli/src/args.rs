//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::certificate::CertificateArguments;
use crate::fault_args::FaultVerb;
use crate::fencing::FencingVerb;
use crate::hibernate::HibernateVerb;
use crate::instance::InstanceArguments;
use crate::maintenance::MaintenanceVerb;
use crate::report::ReportVerb;
use crate::restore_args::RestoreArguments;
use crate::validate::ValidateArguments;

/// PostgreSQL clusters: look at them, reach them, try them on this machine.
#[derive(Debug, Parser)]
#[command(name = "pgherd", version)]
pub struct Arguments {
    /// How to print.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For programs, and for people who like it.
    Yaml,
}

impl Output {
    /// For programs.
    pub fn is_for_programs(self) -> bool {
        self != Self::Table
    }
}

/// Which environment on this machine.
#[derive(Debug, Clone, Args)]
pub struct Environment {
    /// Name of the local environment.
    #[arg(long, default_value = "default", global = true)]
    pub name: String,
    /// Where it is kept (default: /var/lib/pgherd/NAME; without root ~/.local/share/pgherd/NAME).
    #[arg(long, global = true)]
    pub state_dir: Option<PathBuf>,
}

impl Environment {
    /// Where it is kept.
    pub fn directory(&self) -> PathBuf {
        let default = || pgherd_localkube::daemon::state_root().join(&self.name);
        self.state_dir.clone().unwrap_or_else(default)
    }
}

/// Which cluster.
#[derive(Debug, Clone, Args)]
pub struct ClusterArguments {
    /// The cluster; may be left out where there is only one.
    pub cluster: Option<String>,
    #[command(flatten)]
    pub place: Place,
}

/// Where a cluster is.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Its namespace.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Use the present kubeconfig even if a local environment is up.
    #[arg(long)]
    pub kube: bool,
    #[command(flatten)]
    pub environment: Environment,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Check manifests before they are applied.
    #[command(arg_required_else_help = true)]
    Validate(ValidateArguments),
    /// A whole environment on this machine, without Kubernetes.
    Local {
        #[command(subcommand)]
        verb: LocalVerb,
    },
    /// Is the data safe, and why.
    Status {
        #[command(flatten)]
        cluster: ClusterArguments,
        /// Look again every two seconds, until interrupted.
        #[arg(short, long)]
        watch: bool,
    },
    /// Open psql on the primary of a cluster in the local environment.
    Psql {
        #[command(flatten)]
        cluster: ClusterArguments,
        /// As superuser, over the pod's socket.
        #[arg(long)]
        superuser: bool,
        /// This instance instead of the primary (with --superuser).
        #[arg(long)]
        pod: Option<String>,
        /// Arguments for psql.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Logs of the instances.
    Logs {
        #[command(flatten)]
        cluster: ClusterArguments,
        /// Only this instance.
        #[arg(long)]
        pod: Option<String>,
        /// Go on.
        #[arg(short = 'F', long)]
        follow: bool,
        /// Lines from the end.
        #[arg(long, default_value_t = 50)]
        tail: i64,
    },
    /// Take a base backup, now; or prove that the last one can be restored.
    #[command(args_conflicts_with_subcommands = true)]
    Backup {
        #[command(subcommand)]
        verb: Option<BackupVerb>,
        #[command(flatten)]
        cluster: ClusterArguments,
        /// What the Backup is called (default: the cluster's name and the time).
        #[arg(long, value_name = "NAME")]
        backup_name: Option<String>,
        /// Which instance it is taken from (default: as the Cluster says).
        #[arg(long, value_enum)]
        target: Option<BackupFrom>,
        /// Show how far it is, until it has ended; exit 1 if it failed.
        #[arg(long)]
        wait: bool,
    },
    /// Bring the cluster back to how it once was, out of its archive, beside its old volumes; or undo that.
    Restore {
        #[command(flatten)]
        cluster: ClusterArguments,
        #[command(flatten)]
        what: RestoreArguments,
    },
    /// Make an instance the primary (a switchover; the old primary hands over).
    Promote {
        #[command(flatten)]
        wanted: InstanceArguments,
        /// The instance, by this name.
        #[arg(long = "instance", value_name = "INSTANCE", conflicts_with = "instance")]
        named: Option<String>,
        /// Although an election was refused, since acknowledged commits may be lost by it. What is known to be lost has
        /// to be typed.
        #[arg(long)]
        force: bool,
        /// That number of bytes, as `status` says it, instead of typing it.
        #[arg(long, value_name = "BYTES", requires = "force")]
        accept_loss: Option<u64>,
    },
    /// Restart all instances, one by one and the primary last; or one of them.
    Restart(InstanceArguments),
    /// Have every instance reload its configuration, and the controller look at the cluster anew.
    Reload {
        #[command(flatten)]
        cluster: ClusterArguments,
    },
    /// Keep postgres of an instance down, its pod up.
    Fencing {
        #[command(subcommand)]
        verb: FencingVerb,
    },
    /// Stop all pods and keep all volumes; or wake up again.
    Hibernate {
        #[command(subcommand)]
        verb: HibernateVerb,
    },
    /// Say that nodes are worked on: no disruption budget is in the way of a drain.
    Maintenance {
        #[command(subcommand)]
        verb: MaintenanceVerb,
    },
    /// Delete an instance with its volumes; another is made in its place.
    Destroy(InstanceArguments),
    /// Make a client certificate for a role, in a Secret.
    Certificate(CertificateArguments),
    /// Collect what somebody else needs to help, without secrets.
    Report {
        #[command(subcommand)]
        verb: ReportVerb,
    },
    /// Show what the controller would do now, and why; or once a manifest is applied. Changes nothing.
    Plan {
        #[command(flatten)]
        cluster: ClusterArguments,
        /// A manifest with the Cluster as it shall be; `-` is standard input.
        #[arg(short, long)]
        file: Option<PathBuf>,
    },
    /// Say what taking a CloudNativePG cluster over comes to. Changes nothing unless it is told to.
    Migrate {
        #[command(flatten)]
        cluster: ClusterArguments,
        /// Take it over, if nothing stands in the way: delete the old lease, and wake the cluster up.
        #[arg(long)]
        take_over: bool,
    },
    /// Print what a shell completes by: source <(pgherd completion bash).
    Completion {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man {
        /// Write a page for each verb into this directory instead.
        #[arg(long)]
        directory: Option<PathBuf>,
    },
}

/// What else can be done with backups.
#[derive(Debug, Subcommand)]
pub enum BackupVerb {
    /// A restore drill: restore the newest backup and its WAL into a throw-away instance, and check it.
    Verify {
        #[command(flatten)]
        cluster: ClusterArguments,
        /// The backup to restore: its folder below base/ (default: the newest).
        #[arg(long, value_name = "ID")]
        backup_id: Option<String>,
        /// The moment to restore to, as '2026-11-23 10:15:00Z' (default: the end of the archive).
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// SQL that the restored database has to answer with one row that begins with true.
        #[arg(long, value_name = "SQL")]
        query: Option<String>,
        /// How long it may take, in seconds.
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u32>,
        /// Wait until it has ended; exit 1 if nothing was proven.
        #[arg(long)]
        wait: bool,
    },
}

/// Where a backup is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackupFrom {
    /// The primary.
    Primary,
    /// A standby; the primary where there is none.
    PreferStandby,
}

/// What a claim is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Volumes {
    /// A directory.
    #[default]
    Directory,
    /// An ext4 of its own on a loop device, of at most 2 GiB; faults of disks want it.
    Ext4,
}

/// Local environments.
#[derive(Debug, Subcommand)]
pub enum LocalVerb {
    /// Start one in the background and apply manifests to it.
    Up {
        #[command(flatten)]
        environment: Environment,
        /// Manifests.
        #[arg(short = 'f', long = "file", num_args = 1..)]
        files: Vec<PathBuf>,
        /// A real S3 endpoint (http://HOST:PORT, no TLS) instead of the embedded one; keys from `AWS_ACCESS_KEY_ID` and
        /// `AWS_SECRET_ACCESS_KEY`.
        #[arg(long)]
        s3_endpoint: Option<String>,
        /// Nodes to spread pods over, each in a zone of its own.
        #[arg(long, default_value_t = 1)]
        nodes: u8,
        /// What claims are given.
        #[arg(long, value_enum, default_value_t)]
        volumes: Volumes,
        /// Give pods clocks of their own, for `fault clock`; it wants a C compiler.
        #[arg(long)]
        clocks: bool,
        /// A folder with PostgreSQL of other majors than Debian has, one folder for each (17/bin, ...).
        #[arg(long, env = "PGHERD_POSTGRES", value_delimiter = ':')]
        postgres: Vec<PathBuf>,
        /// Do not wait until the clusters are ready.
        #[arg(long)]
        no_wait: bool,
        /// Seconds to wait for the clusters.
        #[arg(long, default_value_t = 300)]
        timeout: u64,
    },
    /// End one; the next `up` continues with its data.
    Down {
        #[command(flatten)]
        environment: Environment,
        /// Remove its data too.
        #[arg(long)]
        purge: bool,
    },
    /// What is up.
    Status {
        #[command(flatten)]
        environment: Environment,
    },
    /// Print what a shell needs to reach it: eval "$(pgherd local env)".
    Env {
        #[command(flatten)]
        environment: Environment,
    },
    /// The daemon's and the controller's logs.
    Logs {
        #[command(flatten)]
        environment: Environment,
    },
    /// What this machine lacks.
    Preflight {
        #[command(flatten)]
        environment: Environment,
    },
    /// The last failover as a timeline, from the event log of the environment.
    Trace {
        #[command(flatten)]
        environment: Environment,
        /// Draw it into this file (SVG).
        #[arg(long)]
        svg: Option<PathBuf>,
        /// Everything that was noted, not only the last failover.
        #[arg(long)]
        all: bool,
    },
    /// Break something on purpose.
    Fault {
        #[command(flatten)]
        environment: Environment,
        #[command(subcommand)]
        verb: FaultVerb,
    },
}
