//! `pgherd promote --force`: makes somebody the primary whom no election may choose, once a person has typed what is known
//! to be lost by it. The controller judges the demand again, by what the members say then.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use pgherd_proto::cluster::{Cluster, ForcedPromotion};
use pgherd_proto::labels::FORCE_PROMOTION;
use serde_json::json;

use crate::args::Output;
use crate::cluster::Found;
use crate::output;

/// The controller asks the members and judges well within this.
const JUDGED_WITHIN: Duration = Duration::from_secs(15);
/// Between two looks for its judgement.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What a person is asked to accept.
#[derive(Debug, PartialEq, Eq)]
struct Offer {
    demand: ForcedPromotion,
    text: String,
}

/// Asks, demands, and waits for the judgement.
pub async fn run(found: &Found, instance: &str, accept_loss: Option<u64>, shape: Output) -> anyhow::Result<u8> {
    let Offer { demand, text } = offer(&found.cluster, instance).map_err(|why| anyhow!(why))?;
    eprint!("{text}");
    let typed = match accept_loss {
        Some(bytes) => bytes.to_string(),
        None => ask()?,
    };
    accepted(&demand, &typed).map_err(|why| anyhow!(why))?;
    demand_it(found, &demand).await?;
    let said = judgement(found, &demand).await?;
    let told = json!({"cluster": found.name, "namespace": found.namespace, "instance": instance,
        "acceptedLossBytes": demand.accept_loss_bytes, "elected": said.is_ok()});
    match said {
        Ok(()) => {
            output::print(shape, &told, || format!("{instance} was elected; what it lacked is given up"))?;
            Ok(0)
        }
        Err(why) => bail!(why),
    }
}

/// What forcing `instance` means now, by what the controller has written; or why it cannot be.
fn offer(cluster: &Cluster, instance: &str) -> Result<Offer, String> {
    let name = cluster.metadata.name.clone().unwrap_or_default();
    let status = cluster.status.as_ref();
    let refusal = status.and_then(|status| status.election_refusal.as_ref()).filter(|it| !it.lease_version.is_empty());
    let Some(refusal) = refusal else {
        return Err(format!(
            "no election of {name} was refused for what might be lost, so there is nothing to force: \
             `{} promote {name} --instance {instance}` asks for a switchover",
            crate::called()
        ));
    };
    let Some(loss) = refusal.losses.iter().find(|loss| loss.instance == instance) else {
        let own = refusal.missing.iter().find(|line| line.starts_with(&format!("{instance} ")));
        let others: Vec<&str> = refusal.losses.iter().map(|loss| loss.instance.as_str()).collect();
        let why = own.map_or_else(|| format!("{instance} did not answer"), Clone::clone);
        return Err(format!("{instance} cannot be forced: {why}. Those who could be: {}", others.join(", ")));
    };
    let reasons: String = refusal.missing.iter().map(|line| format!("  - {line}\n")).collect();
    let text = format!(
        "No election may choose {instance}: {}.\n{reasons}\
         Forcing it gives up, for good, {} bytes of WAL or more and every commit in them. Commits that only those who do \
         not answer have are not counted: nobody can.\n\
         First make sure that they are dead and stay dead. An old primary that is merely cut off may go on \
         acknowledging commits with its standbys.\n",
        refusal.reason, loss.bytes
    );
    let demand = ForcedPromotion {
        instance: instance.to_owned(),
        pod_uid: loss.pod_uid.clone(),
        lease_version: refusal.lease_version.clone(),
        term: refusal.term,
        accept_loss_bytes: loss.bytes,
    };
    Ok(Offer { demand, text })
}

/// Only the very number is an answer.
fn accepted(demand: &ForcedPromotion, typed: &str) -> Result<(), String> {
    match typed.trim().parse::<u64>() {
        Ok(bytes) if bytes == demand.accept_loss_bytes => Ok(()),
        _ => Err(format!(
            "nothing was done: {:?} is not the number of bytes that forcing {} gives up, which is {}",
            typed.trim(),
            demand.instance,
            demand.accept_loss_bytes
        )),
    }
}

fn ask() -> anyhow::Result<String> {
    eprint!("Type the number of bytes to go on: ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line)
}

/// It names the lease that was shown: on any other it is void.
async fn demand_it(found: &Found, demand: &ForcedPromotion) -> anyhow::Result<()> {
    let clusters: Api<Cluster> = Api::namespaced(found.client.clone(), &found.namespace);
    let text = serde_json::to_string(demand)?;
    let patch = json!({"metadata": {"annotations": {FORCE_PROMOTION: text}}});
    clusters.patch(&found.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}

/// What became of it.
async fn judgement(found: &Found, demand: &ForcedPromotion) -> anyhow::Result<Result<(), String>> {
    let clusters: Api<Cluster> = Api::namespaced(found.client.clone(), &found.namespace);
    let deadline = Instant::now() + JUDGED_WITHIN;
    loop {
        let cluster = clusters.get(&found.name).await?;
        if let Some(verdict) = verdict(&cluster, demand) {
            return Ok(if verdict { Ok(()) } else { Err(refusal(found).await?) });
        }
        if Instant::now() >= deadline {
            return Ok(Err("the controller has not judged it yet: is it running? The demand stays".to_owned()));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether it was met; nothing while it is not judged.
fn verdict(cluster: &Cluster, demand: &ForcedPromotion) -> Option<bool> {
    let election = cluster.status.as_ref().and_then(|status| status.election.as_ref());
    let met = election.is_some_and(|election| {
        election.accepted_loss_bytes == Some(demand.accept_loss_bytes)
            && election.winner_pod_uid == demand.pod_uid
            && election.lease_version == demand.lease_version
    });
    let waits = cluster.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(FORCE_PROMOTION));
    (met || !waits).then_some(met)
}

/// Why not, as the controller told it.
async fn refusal(found: &Found) -> anyhow::Result<String> {
    let events: Api<Event> = Api::namespaced(found.client.clone(), &found.namespace);
    let told = events.list(&ListParams::default()).await?.items.into_iter().filter(|event| {
        event.reason.as_deref() == Some("ForcedPromotionRefused")
            && event.involved_object.name.as_ref() == Some(&found.name)
    });
    let last = told.max_by_key(|event| event.last_timestamp.clone()).and_then(|event| event.message);
    Ok(last.unwrap_or_else(|| "the demand was refused: the events of the cluster say why".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(refusal: &serde_json::Value) -> Cluster {
        let object = json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "c"},
            "spec": {}, "status": {"electionRefusal": refusal}});
        serde_json::from_value(object).unwrap()
    }

    fn refused() -> Cluster {
        cluster(&json!({"reason": "an acknowledged commit may be missing on all who answered",
            "missing": ["c-1 does not answer", "term 4 needs 1 more of [c-3], or its writer c-1"],
            "losses": [{"instance": "c-2", "podUID": "u2", "bytes": 512}], "leaseVersion": "77", "term": 4}))
    }

    #[test]
    fn what_would_be_lost_is_said_before_it_is_asked_for() {
        let Offer { demand, text } = offer(&refused(), "c-2").unwrap();
        assert_eq!((demand.lease_version.as_str(), demand.term.0, demand.accept_loss_bytes), ("77", 4, 512));
        assert_eq!(
            text,
            "No election may choose c-2: an acknowledged commit may be missing on all who answered.\n\
             \x20 - c-1 does not answer\n\
             \x20 - term 4 needs 1 more of [c-3], or its writer c-1\n\
             Forcing it gives up, for good, 512 bytes of WAL or more and every commit in them. Commits that only those \
             who do not answer have are not counted: nobody can.\n\
             First make sure that they are dead and stay dead. An old primary that is merely cut off may go on \
             acknowledging commits with its standbys.\n"
        );
    }

    #[test]
    fn only_the_very_number_is_accepted() {
        let demand = offer(&refused(), "c-2").unwrap().demand;
        assert_eq!(accepted(&demand, " 512\n"), Ok(()));
        for other in ["", "yes", "511", "513", "-512", "512 bytes"] {
            assert!(accepted(&demand, other).unwrap_err().contains("which is 512"), "{other}");
        }
    }

    #[test]
    fn who_did_not_stand_and_what_was_not_refused_cannot_be_forced() {
        assert_eq!(
            offer(&refused(), "c-1").unwrap_err(),
            "c-1 cannot be forced: c-1 does not answer. Those who could be: c-2"
        );
        let well = offer(&cluster(&json!({"reason": "c-2 cannot take over"})), "c-2").unwrap_err();
        assert!(well.contains("nothing to force"), "{well}");
    }

    #[test]
    fn it_is_judged_once_the_controller_has_taken_the_demand_off() {
        let demand = offer(&refused(), "c-2").unwrap().demand;
        let mut cluster = refused();
        assert_eq!(verdict(&cluster, &demand), Some(false));
        cluster.metadata.annotations = Some([(FORCE_PROMOTION.to_owned(), String::new())].into());
        assert_eq!(verdict(&cluster, &demand), None);
        let election = json!({"winner": "c-2", "winnerPodUID": "u2", "leaseVersion": "77", "term": 4, "reason": "",
            "evidence": {"timeline": 1, "lsn": "0/1"}, "acceptedLossBytes": 512});
        cluster.status.as_mut().unwrap().election = Some(serde_json::from_value(election).unwrap());
        assert_eq!(verdict(&cluster, &demand), Some(true));
    }
}
