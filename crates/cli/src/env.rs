//! `pgherd local env`: what a shell needs.

use pgherd_localkube::daemon::find;
use serde_json::json;

use crate::args::{Environment, Output};
use crate::output;

/// Prints `export` lines for kubectl and S3 clients.
pub async fn run(environment: &Environment, shape: Output) -> anyhow::Result<u8> {
    let status = find(&environment.directory())?.status().await?;
    let s3 = format!("http://{}", status.s3);
    let value = json!({"KUBECONFIG": status.kubeconfig, "AWS_ENDPOINT_URL_S3": s3});
    output::print(shape, &value, || {
        format!("export KUBECONFIG={}\nexport AWS_ENDPOINT_URL_S3={s3}\n", status.kubeconfig.display())
    })?;
    Ok(0)
}
