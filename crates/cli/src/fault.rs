//! `pgherd local fault`: breaking something on purpose.

use anyhow::{Context, bail};
use pgherd_localkube::daemon::find;
use pgherd_localkube::fault::{ApiFault, FaultRequest, Target};
use pgherd_localkube::s3::S3Fault;
use serde_json::json;

use crate::args::{Environment, FaultVerb, Who};
use crate::output;

/// Puts it on, and says what was done.
pub async fn run(environment: &Environment, verb: FaultVerb, json: bool) -> anyhow::Result<u8> {
    let handle = find(&environment.directory())?;
    let done = match request(verb)? {
        Some(request) => handle.fault(request).await?,
        None => handle.kill_controller().await?,
    };
    output::print(json, &json!({ "done": done }), || done.clone())?;
    Ok(0)
}

/// `None` is the controller, which is no pod here.
fn request(verb: FaultVerb) -> anyhow::Result<Option<FaultRequest>> {
    Ok(Some(match verb {
        FaultVerb::Kill { who, pod } => FaultRequest::Kill { target: target(who), pod },
        FaultVerb::Freeze { who, pod } => FaultRequest::Freeze { target: target(who), pod },
        FaultVerb::Resume { pod } => FaultRequest::Resume { pod },
        FaultVerb::Partition { pod, from } => FaultRequest::Partition { pod, from },
        FaultVerb::S3 { what } => FaultRequest::S3 { what: s3(&what)? },
        FaultVerb::Api { what } => FaultRequest::Api { what: api(&what)? },
        FaultVerb::Heal => FaultRequest::Heal,
        FaultVerb::KillController => return Ok(None),
    }))
}

fn target(who: Who) -> Target {
    match who {
        Who::Postmaster => Target::Postmaster,
        Who::Backend => Target::Backend,
        Who::Manager => Target::Manager,
        Who::Pod => Target::Pod,
    }
}

fn s3(what: &str) -> anyhow::Result<S3Fault> {
    Ok(match what.split_once('=') {
        None if what == "off" => S3Fault::Off,
        None if what == "silent" => S3Fault::Silent,
        None if what == "none" => S3Fault::None,
        Some(("slow", milliseconds)) => S3Fault::Slow(milliseconds.parse().context("slow wants milliseconds")?),
        Some(("status", status)) => S3Fault::Status(status.parse().context("status wants an HTTP status")?),
        _ => bail!("expected off, silent, slow=MILLISECONDS, status=CODE or none, not {what:?}"),
    })
}

fn api(what: &str) -> anyhow::Result<ApiFault> {
    Ok(match what.split_once('=') {
        None if what == "off" => ApiFault::Off,
        None if what == "silent" => ApiFault::Silent,
        Some(("slow", milliseconds)) => ApiFault::Slow(milliseconds.parse().context("slow wants milliseconds")?),
        Some(("errors", text)) => {
            let (count, status) = text.split_once('x').context("errors wants COUNTxSTATUS, as 5x503")?;
            ApiFault::Errors { count: count.parse()?, status: status.parse()? }
        }
        _ => bail!("expected off, silent, slow=MILLISECONDS or errors=COUNTxSTATUS, not {what:?}"),
    })
}

#[cfg(test)]
mod tests {
    use pgherd_localkube::fault::ApiFault;
    use pgherd_localkube::s3::S3Fault;

    use super::{api, s3};

    #[test]
    fn faults_are_read_as_they_are_told() {
        assert_eq!(s3("slow=200").unwrap(), S3Fault::Slow(200));
        assert_eq!(s3("status=503").unwrap(), S3Fault::Status(503));
        assert!(s3("sideways").is_err());
        assert_eq!(api("errors=5x503").unwrap(), ApiFault::Errors { count: 5, status: 503 });
        assert!(api("errors=5").is_err());
    }
}
