//! What a cluster goes through, in this order; each begins with one that lacks nothing and leaves it so.

mod archive;
mod failures;
mod life;
mod nodes;

use crate::report::Report;
use crate::world::World;

/// Runs all of them, or those that `ONLY` names; without the first nothing else can be.
pub async fn all(world: &mut World, report: &mut Report) {
    world.scenario(report, "a plain pod runs on every node", async |world| world.plain_pods().await).await;
    world.scenario(report, "the chart is installed", async |world| world.install_chart().await).await;
    if report.failed > 0 {
        return;
    }
    world.scenario(report, "the examples come up", async |world| world.bootstrap().await).await;
    if report.failed > 0 {
        return;
    }
    world.scenario(report, "the postmaster is killed", async |world| world.postmaster_killed().await).await;
    world.scenario(report, "the primary's pod is deleted", async |world| world.pod_deleted().await).await;
    world.scenario(report, "a switchover", async |world| world.switchover().await).await;
    world.scenario(report, "scaled down and up", async |world| world.scaled().await).await;
    world.scenario(report, "a rolling update", async |world| world.rolled().await).await;
    world.scenario(report, "a base backup", async |world| world.backed_up().await).await;
    world.scenario(report, "recovery into another cluster", async |world| world.recovered().await).await;
    world.scenario(report, "the primary's node is drained", async |world| world.drained().await).await;
    world.scenario(report, "the primary's kubelet is stopped", async |world| world.kubelet_stopped().await).await;
    world.scenario(report, "the primary's node is cut off", async |world| world.cut_off().await).await;
    // While the table is still there.
    world.settle(report).await;
    world.scenario(report, "the cluster is deleted", async |world| world.deleted().await).await;
}
