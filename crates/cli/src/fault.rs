//! `pgherd local fault`: breaking something on purpose.

use anyhow::{Context, bail};
use pgherd_localkube::daemon::find;
use pgherd_localkube::fault::{
    ApiFault, ControllerFault, Cut, Damage, DiskFault, FaultRequest, Flap, Target, Volume, WalDamage, Way,
};
use pgherd_localkube::s3::S3Fault;

use crate::args::{Environment, Output};
use crate::fault_args::{ControllerWhat, Direction, DiskWhat, FaultVerb, WalWhat, Who};
use crate::output;

/// Puts it on, and says what was done.
pub async fn run(environment: &Environment, verb: FaultVerb, shape: Output) -> anyhow::Result<u8> {
    let handle = find(&environment.directory())?;
    let Some(request) = request(verb)? else {
        let faults = handle.faults().await?;
        output::print(shape, &faults, || match faults.as_slice() {
            [] => "no fault lasts".to_owned(),
            some => output::table(
                &some.iter().map(|f| vec![f.id.clone(), format!("{:.0}", f.since), f.what.clone()]).collect::<Vec<_>>(),
            ),
        })?;
        return Ok(0);
    };
    let done = handle.inject(request).await?;
    output::print(shape, &done, || match &done.id {
        Some(id) => format!("{}\nends with: pgherd local fault heal {id}", done.text),
        None => done.text.clone(),
    })?;
    Ok(0)
}

/// `None` is the list.
fn request(verb: FaultVerb) -> anyhow::Result<Option<FaultRequest>> {
    Ok(Some(match verb {
        FaultVerb::Kill { who, pod } => FaultRequest::Kill { target: target(who), pod },
        FaultVerb::Freeze { who, pod } => FaultRequest::Freeze { target: target(who), pod },
        FaultVerb::Resume { pod } => FaultRequest::Resume { pod },
        FaultVerb::Partition { pod, from, way, flap, percent } => FaultRequest::Cut(Cut {
            pods: pod.split(',').map(str::to_owned).collect(),
            from,
            way: direction(way),
            flap: flap.as_deref().map(turns).transpose()?,
            percent,
        }),
        FaultVerb::Link { pod, kbit, delay } => {
            if kbit.or(delay).is_none() {
                bail!("say --kbit or --delay");
            }
            FaultRequest::Link { pod, kbit, delay }
        }
        FaultVerb::NoNames { pod } => FaultRequest::NoNames { pod },
        FaultVerb::Clock { pod, wall, steady } => {
            let milliseconds = |seconds: i64| seconds.saturating_mul(1_000);
            FaultRequest::Clock { pod, wall: milliseconds(wall), steady: milliseconds(steady) }
        }
        FaultVerb::ForceDelete { pod } => FaultRequest::ForceDelete { pod },
        FaultVerb::KubeletApart { of } => FaultRequest::KubeletApart { of },
        FaultVerb::NodeLost { node } => FaultRequest::NodeLost { node },
        FaultVerb::Disk { pod, what, wal, leave } => {
            let volume = if wal { Volume::Wal } else { Volume::Data };
            FaultRequest::Disk { pod, volume, what: disk(what, leave) }
        }
        FaultVerb::DamagePage { pod, file, block } => FaultRequest::Damage { pod, what: Damage::Page { file, block } },
        FaultVerb::DamageWal { pod, how, segment } => {
            let how = match how {
                WalWhat::Missing => WalDamage::Missing,
                WalWhat::Truncated => WalDamage::Truncated,
            };
            FaultRequest::Damage { pod, what: Damage::Wal { segment, how } }
        }
        FaultVerb::LoseVolume { pod } => FaultRequest::LoseVolume { pod },
        FaultVerb::S3 { what } => FaultRequest::S3 { what: s3(&what)? },
        FaultVerb::Api { what } => FaultRequest::Api { what: api(&what)? },
        FaultVerb::Controller { what } => FaultRequest::Controller { what: controller(what) },
        FaultVerb::KillController => FaultRequest::Controller { what: ControllerFault::Kill },
        FaultVerb::Heal { id: Some(id), .. } => FaultRequest::HealOne { id },
        FaultVerb::Heal { pod: Some(pod), .. } => FaultRequest::HealPod { pod },
        FaultVerb::Heal { .. } => FaultRequest::Heal,
        FaultVerb::List => return Ok(None),
    }))
}

fn target(who: Who) -> Target {
    match who {
        Who::Postmaster => Target::Postmaster,
        Who::Backend => Target::Backend,
        Who::Backends => Target::Backends,
        Who::Walsender => Target::Walsender,
        Who::Walreceiver => Target::Walreceiver,
        Who::Checkpointer => Target::Checkpointer,
        Who::Startup => Target::Startup,
        Who::Postgres => Target::Postgres,
        Who::Manager => Target::Manager,
        Who::Watchdog => Target::Watchdog,
        Who::Container => Target::Container,
        Who::Pod => Target::Pod,
    }
}

fn direction(way: Direction) -> Way {
    match way {
        Direction::Both => Way::Both,
        Direction::In => Way::In,
        Direction::Out => Way::Out,
    }
}

fn controller(what: ControllerWhat) -> ControllerFault {
    match what {
        ControllerWhat::Kill => ControllerFault::Kill,
        ControllerWhat::Freeze => ControllerFault::Freeze,
        ControllerWhat::Double => ControllerFault::Double,
        ControllerWhat::Apart => ControllerFault::Apart,
    }
}

fn disk(what: DiskWhat, leave: u64) -> DiskFault {
    match what {
        DiskWhat::Full => DiskFault::Full { leave },
        DiskWhat::NoInodes => DiskFault::NoInodes,
        DiskWhat::Hung => DiskFault::Hung,
        DiskWhat::ReadOnly => DiskFault::ReadOnly,
        DiskWhat::IoErrors => DiskFault::IoErrors,
    }
}

fn turns(text: &str) -> anyhow::Result<Flap> {
    let (cut, open) = text.split_once(',').context("--flap wants CUT,OPEN in milliseconds, as 500,2000")?;
    Ok(Flap { cut: cut.parse()?, open: open.parse()? })
}

fn s3(what: &str) -> anyhow::Result<S3Fault> {
    Ok(match what.split_once('=') {
        None if what == "off" => S3Fault::Off,
        None if what == "silent" => S3Fault::Silent,
        None if what == "none" => S3Fault::None,
        Some(("slow", milliseconds)) => S3Fault::Slow(milliseconds.parse().context("slow wants milliseconds")?),
        None if what == "ack-lost" => S3Fault::AckLost,
        Some(("rate", bytes)) => S3Fault::Rate(bytes.parse().context("rate wants bytes a second")?),
        Some(("reset", bytes)) => S3Fault::Reset(bytes.parse().context("reset wants bytes")?),
        Some(("truncated", bytes)) => S3Fault::Truncated(bytes.parse().context("truncated wants bytes")?),
        Some(("status", status)) => S3Fault::Status(status.parse().context("status wants an HTTP status")?),
        _ => bail!(
            "expected off, silent, slow=MILLISECONDS, rate=BYTES, status=CODE, reset=BYTES, ack-lost, truncated=BYTES or none, not {what:?}"
        ),
    })
}

fn api(what: &str) -> anyhow::Result<ApiFault> {
    Ok(match what.split_once('=') {
        None if what == "off" => ApiFault::Off,
        None if what == "silent" => ApiFault::Silent,
        None if what == "stale-watches" => ApiFault::StaleWatches,
        None if what == "drop-watches" => ApiFault::DropWatches,
        None if what == "forget" => ApiFault::Forget,
        None if what == "none" => ApiFault::None,
        Some(("slow", milliseconds)) => ApiFault::Slow(milliseconds.parse().context("slow wants milliseconds")?),
        Some(("errors", text)) => {
            let (count, status) = text.split_once('x').context("errors wants COUNTxSTATUS, as 5x503")?;
            ApiFault::Errors { count: count.parse()?, status: status.parse()? }
        }
        _ => bail!(
            "expected off, silent, slow=MILLISECONDS, errors=COUNTxSTATUS, stale-watches, drop-watches, forget or none, not {what:?}"
        ),
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
