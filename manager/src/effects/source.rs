//! Whom a clone is taken from: what the leader and its standbys say is asked for here, and `core` decides; and whether a
//! standby that is copied is still worth waiting for.

use crate::config::STATUS_PORT;
use crate::context::Context;
use core::time::Duration;
use futures::future::join_all;
use pgherd_core::instance::{Leader, LeaderWord, Offer, Peer, Source, Sources, choose_source};
use pgherd_core::slots::slot_name;
use pgherd_core::sync::member_name;
use pgherd_core::timeline::TimelineId;
use pgherd_dial::Call;
use pgherd_proto::status::PostgresqlStatus;
use tokio::time::Instant;

/// For one member to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// For the leader to show the slot that it makes as soon as it knows of this instance.
const SLOT_WITHIN: Duration = Duration::from_secs(4);
/// Between two looks at that.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Between two looks at a standby that is being copied.
const WATCH_EVERY: Duration = Duration::from_secs(5);
/// A standby that has not been well for so long is not waited for any longer.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);

/// Whom to copy.
pub async fn choose(cx: &Context, leader: &Leader, sources: Sources) -> Source {
    // A manager that has just begun may know the lease before it knows of any pod; the leader's is among them.
    let mut peers = cx.peers.subscribe();
    let _known = tokio::time::timeout(ANSWER_WITHIN, peers.wait_for(|peers| !peers.is_empty())).await.is_ok();
    let standbys: Vec<Peer> = cx.peers.borrow().iter().filter(|peer| peer.electable).cloned().collect();
    if sources == Sources::LeaderAlone || standbys.is_empty() {
        return choose_source(leader, sources, Some(&LeaderWord::default()), &[]);
    }
    let asked = standbys.iter().map(|peer| async move { offer(peer, &ask(cx, &peer.address).await?) });
    let (word, offers) = tokio::join!(leader_word(cx, leader), join_all(asked));
    let offers: Vec<Offer> = offers.into_iter().flatten().collect();
    choose_source(leader, sources, word.as_ref(), &offers)
}

async fn leader_word(cx: &Context, leader: &Leader) -> Option<LeaderWord> {
    let began = Instant::now();
    loop {
        let status = ask(cx, &leader.address).await.filter(|status| status.is_primary);
        let word = status.map(|status| LeaderWord {
            keeps_wal: keeps_wal(cx, &status),
            streaming: status
                .replication_info
                .iter()
                .filter(|row| row.state == "streaming")
                .map(|row| member_name(&row.application_name).to_owned())
                .collect(),
        });
        if word.as_ref().is_some_and(|word| word.keeps_wal) || began.elapsed() >= SLOT_WITHIN {
            return word;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Where the user wants no slots for standbys, `wal_keep_size` and the archive have to do, as they do afterwards.
fn keeps_wal(cx: &Context, status: &PostgresqlStatus) -> bool {
    let Some(cluster) = cx.cluster_now() else { return false };
    let slots = cluster.spec.replication_slots().high_availability;
    let own = slot_name(&slots.slot_prefix, &cx.config.me.name);
    let keeps = |slot: &pgherd_proto::status::PgReplicationSlot| {
        slot.slot_name == own && !slot.restart_lsn.is_empty() && slot.wal_status != "lost"
    };
    !slots.enabled || status.replication_slots_info.iter().any(keeps)
}

fn offer(peer: &Peer, status: &PostgresqlStatus) -> Option<Offer> {
    // Another pod may have its address by now.
    (status.pod.metadata.name == peer.name).then(|| Offer {
        name: peer.name.clone(),
        address: peer.address.clone(),
        timeline: u32::try_from(status.timeline_id).map(TimelineId).unwrap_or_default(),
        follows: follows(status),
        flushed: status.received_lsn,
    })
}

fn follows(status: &PostgresqlStatus) -> bool {
    status.is_wal_receiver_active && !status.is_primary && !status.might_be_unavailable
}

async fn ask(cx: &Context, address: &str) -> Option<PostgresqlStatus> {
    let call = Call::get("/pg/status", ANSWER_WITHIN);
    pgherd_dial::ask_json(cx.certificates.client()?, address, STATUS_PORT, call).await.ok()
}

/// Ends once a standby that is being copied has not been well for long: nobody else would notice that the copy hangs.
pub async fn lost(cx: &Context, address: &str) -> String {
    let mut well = Instant::now();
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        if ask(cx, address).await.is_some_and(|status| follows(&status)) {
            well = Instant::now();
        } else if well.elapsed() >= GIVEN_UP_AFTER {
            return format!("the standby that is copied has not followed its leader for {GIVEN_UP_AFTER:?}");
        }
    }
}
