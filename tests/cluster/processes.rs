//! A cluster comes up, archives, and any of its processes is killed.

use pgherd_localkube::fault::Target;

use crate::bed::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_archives_and_outlives_any_of_its_processes() {
    let bed = Bed::start("processes", |_| {}).await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    let segment = bed.archive_now(&primary, 60).await;
    bed.is_barmans(&segment).await;

    bed.hurt(&load, "kill -9 of the primary's postmaster", async || {
        bed.kill(Target::Postmaster, &primary).await;
        bed.another_primary(&primary, 60).await;
    })
    .await;
    let primary = bed.healthy(90).await;
    bed.nothing_lost(&load).await;

    bed.hurt(&load, "kill -9 of a standby's postmaster", async || {
        let standby = bed.standby().await;
        let before = bed.started(&standby).await;
        bed.kill(Target::Postmaster, &standby).await;
        bed.started_again(&standby, &before, 60).await;
    })
    .await;
    assert_eq!(bed.healthy(90).await, primary, "a standby's death moves nobody");

    for target in [Target::Backend, Target::Walreceiver] {
        bed.hurt(&load, &format!("kill -9 of a standby's {target:?}"), async || {
            let standby = bed.standby().await;
            bed.crash(target, &standby).await;
        })
        .await;
        assert_eq!(bed.healthy(90).await, primary, "a standby's crash moves nobody");
    }

    bed.hurt(&load, "kill -9 of the primary's checkpointer", async || {
        bed.kill(Target::Checkpointer, &primary).await;
        bed.another_primary(&primary, 60).await;
    })
    .await;
    let primary = bed.healthy(90).await;
    bed.nothing_lost(&load).await;

    bed.hurt(&load, "kill -9 of a backend of the primary", async || {
        bed.kill(Target::Backend, &primary).await;
    })
    .await;
    let primary = bed.healthy(90).await;

    bed.hurt(&load, "kill -9 of the primary's manager", async || {
        let before = bed.run_of(&primary).await;
        bed.kill(Target::Manager, &primary).await;
        bed.another_run(&primary, &before, 60).await;
    })
    .await;
    let primary = bed.healthy(90).await;

    bed.hurt(&load, "kill -9 of a standby's manager", async || {
        let standby = bed.standby().await;
        let before = bed.run_of(&standby).await;
        bed.kill(Target::Manager, &standby).await;
        bed.another_run(&standby, &before, 60).await;
    })
    .await;
    assert_eq!(bed.healthy(90).await, primary, "a standby's death moves nobody");

    bed.settle(load).await;
    bed.down().await;
}
