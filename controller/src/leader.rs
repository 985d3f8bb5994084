//! The lease among controllers: kept by one of them, watched by the others, released when its holder ends well.

use crate::clock;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use pgherd_core::leader::{Candidate, Next, Stored, TIMINGS};
use pgherd_core::time::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Its name; an operator of CNPG in the same namespace has another one.
pub const LEASE: &str = "pgherd-controller-leader";

/// Looks at the lease until `stop`, and says in `leads` whether this process works. Ends with the lease released.
pub async fn run(client: Client, namespace: String, name: String, leads: watch::Sender<bool>, stop: CancellationToken) {
    let leases = Api::<Lease>::namespaced(client, &namespace);
    let mut me = Candidate::new(name, TIMINGS);
    loop {
        if let Err(error) = turn(&leases, &mut me).await {
            tracing::warn!(%error, "the lease of the controllers could not be looked at");
        }
        tell(&leads, me.leads(clock::now()));
        tokio::select! {
            () = tokio::time::sleep(TIMINGS.retry) => {}
            () = stop.cancelled() => break,
        }
    }
    if leads.send_replace(false)
        && let Err(error) = release(&leases, &me).await
    {
        tracing::warn!(%error, "the lease of the controllers is not released, and will be taken when its time is up");
    }
}

/// Says only what is new: whoever hears that it leads begins anew, and forgets since when it knows what.
fn tell(leads: &watch::Sender<bool>, now: bool) {
    let changed = leads.send_if_modified(|before| core::mem::replace(before, now) != now);
    match (changed, now) {
        (true, true) => tracing::info!("leads from now on"),
        (true, false) => tracing::warn!("leads no more: the lease could not be renewed, or is another's"),
        (false, _) => {}
    }
}

#[derive(Debug, thiserror::Error)]
enum LeaderError {
    #[error("failed to read or write the lease: {0}")]
    Api(#[from] kube::Error),
    #[error("failed to hear of the lease in time")]
    Late,
}

/// One look, and the write that follows from it. No answer may keep a leader beyond its deadline.
async fn turn(leases: &Api<Lease>, me: &mut Candidate) -> Result<(), LeaderError> {
    let stored = in_time(leases.get_opt(LEASE)).await?;
    let sent = clock::now();
    match me.next(stored.as_ref().map(read).as_ref(), sent) {
        Next::Wait => Ok(()),
        Next::Create => {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() },
                spec: Some(held(None, me.name())),
            };
            written(in_time(leases.create(&PostParams::default(), &lease)).await, me, sent)
        }
        Next::Write => {
            let mut lease = stored.unwrap_or_default();
            lease.spec = Some(held(lease.spec.take(), me.name()));
            written(in_time(leases.replace(LEASE, &PostParams::default(), &lease)).await, me, sent)
        }
    }
}

/// That somebody else was first is no failure.
fn written(result: Result<Lease, LeaderError>, me: &mut Candidate, sent: Instant) -> Result<(), LeaderError> {
    match result {
        Ok(_) => {
            me.written(sent);
            Ok(())
        }
        Err(LeaderError::Api(kube::Error::Api(status))) if status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, LeaderError> {
    Ok(tokio::time::timeout(TIMINGS.retry, call).await.map_err(|_| LeaderError::Late)??)
}

fn read(lease: &Lease) -> Stored {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    Stored { version: lease.resource_version().unwrap_or_default(), holder: holder.filter(|holder| !holder.is_empty()) }
}

/// As client-go writes it, for tools; only its version counts for us.
fn held(before: Option<LeaseSpec>, name: &str) -> LeaseSpec {
    let before = before.unwrap_or_default();
    let now = MicroTime(jiff::Timestamp::now());
    let same = before.holder_identity.as_deref() == Some(name);
    let changes = before.lease_transitions.unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(name.to_owned()),
        lease_duration_seconds: i32::try_from(TIMINGS.lease.as_secs()).ok(),
        acquire_time: if same { before.acquire_time } else { Some(now.clone()) },
        lease_transitions: Some(if same { changes } else { changes.saturating_add(1) }),
        renew_time: Some(now),
        ..LeaseSpec::default()
    }
}

async fn release(leases: &Api<Lease>, me: &Candidate) -> Result<(), LeaderError> {
    let Some(mut lease) = in_time(leases.get_opt(LEASE)).await? else { return Ok(()) };
    if read(&lease).holder.as_deref() != Some(me.name()) {
        return Ok(());
    }
    let mut spec = lease.spec.take().unwrap_or_default();
    spec.holder_identity = None;
    lease.spec = Some(spec);
    in_time(leases.replace(LEASE, &PostParams::default(), &lease)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_goes_on_leading_is_told_so_once() {
        let (tells, mut leads) = watch::channel(false);
        tell(&tells, true);
        assert!(*leads.borrow_and_update());
        tell(&tells, true);
        assert!(!leads.has_changed().unwrap());
        tell(&tells, false);
        assert!(leads.has_changed().unwrap());
    }
}
