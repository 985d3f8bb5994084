//! `pgherd psql`: psql on the primary of a local cluster.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use pgherd_proto::names::{POSTGRES_CONTAINER, POSTGRES_PORT, RUN_DIR, secret_app, service_rw};

use crate::args::ClusterArguments;
use crate::cluster::{Found, find_cluster};

/// Becomes psql; returns only if that fails.
pub async fn run(
    cluster: &ClusterArguments,
    superuser: bool,
    pod: Option<String>,
    rest: Vec<String>,
) -> anyhow::Result<u8> {
    let found = find_cluster(cluster).await?;
    let mut command = if superuser { over_the_socket(&found, pod).await? } else { through_the_service(&found).await? };
    Err(command.args(rest).exec()).context("failed to start psql (apt-get install postgresql-client)")
}

async fn through_the_service(found: &Found) -> anyhow::Result<Command> {
    let Some(local) = &found.local else {
        bail!("only clusters of the local environment are reached from here; elsewhere use kubectl cnpg psql");
    };
    let secrets: Api<Secret> = Api::namespaced(found.client.clone(), &found.namespace);
    let secret = secrets.get(&secret_app(&found.name)).await.context("failed to read the application's secret")?;
    let data = secret.data.unwrap_or_default();
    let value = |key: &str| {
        let bytes = data.get(key).with_context(|| format!("the application's secret has no {key}"))?;
        String::from_utf8(bytes.0.clone()).with_context(|| format!("{key} of the application's secret is no text"))
    };
    let address = local.forward(&found.namespace, &service_rw(&found.name), POSTGRES_PORT).await?;
    let mut command = Command::new("psql");
    command
        .env("PGHOST", address.ip().to_string())
        .env("PGPORT", address.port().to_string())
        .env("PGUSER", value("username")?)
        .env("PGPASSWORD", value("password")?)
        .env("PGDATABASE", value("dbname")?);
    Ok(command)
}

/// In the namespaces of the container, as the user that owns its postgres: peer authentication.
async fn over_the_socket(found: &Found, pod: Option<String>) -> anyhow::Result<Command> {
    let Some(local) = &found.local else { bail!("--superuser works in the local environment only") };
    let primary = found.cluster.status.as_ref().and_then(|status| status.current_primary.clone());
    let pod = pod.or(primary).context("the cluster has no primary yet; name an instance with --pod")?;
    let inside = local.process(&found.namespace, &pod, POSTGRES_CONTAINER).await?;
    let mut command = Command::new("nsenter");
    let target = format!("--target={}", inside.pid);
    let namespaces = ["--mount", "--pid", "--net", "--ipc", "--uts"];
    if nix::unistd::Uid::effective().is_root() {
        let user = nix::unistd::User::from_name("postgres")?.context("there is no system user postgres")?;
        command.arg(target).args(namespaces);
        command.args([format!("--setuid={}", user.uid), format!("--setgid={}", user.gid)]);
    } else {
        // By way of the environment, whose namespaces those of the container are; there it is postgres already.
        command.arg(format!("--user=/proc/{}/ns/user", local.daemon()?.pid)).arg("--preserve-credentials");
        command.arg("nsenter").arg(target).args(namespaces).args(["--user", "--preserve-credentials"]);
    }
    command.args(["--", "psql", "-h", RUN_DIR, "-U", "postgres", "-d", "postgres"]);
    Ok(command)
}
