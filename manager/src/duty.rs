//! What the manager of the primary does again and again: when this instance becomes the primary, when what the Cluster asks
//! for changes, and after a pause, since Secrets, roles and databases change without the Cluster.

use crate::context::Context;
use crate::http::InstanceSnapshot;
use core::time::Duration;
use pgherd_core::cluster::MemberPhase;
use pgherd_proto::cluster::Cluster;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// A new primary has more urgent things to do first.
const AFTER_A_CHANGE: Duration = Duration::from_secs(1);

/// One kind of it.
pub trait Duty: Default + Send {
    /// What of a Cluster it is about.
    type Asked: PartialEq + Send;

    /// For the log, after "not done yet:".
    const WHAT: &'static str;

    /// Between two looks; half as long again at most, so that the clusters of an API server do not keep step.
    const PAUSE: Duration;

    /// What of a Cluster it is about.
    fn asked(cluster: Option<&Cluster>) -> Self::Asked;

    /// One look. What it remembers is forgotten when another instance is the primary.
    ///
    /// # Errors
    /// For people. It is tried again.
    fn look(&mut self, cx: &Context) -> impl Future<Output = Result<(), String>> + Send;
}

fn serves(now: &InstanceSnapshot) -> bool {
    now.phase == MemberPhase::Primary
}

/// Works until it is dropped.
pub async fn keep<D: Duty>(cx: Arc<Context>, mut snapshots: watch::Receiver<Arc<InstanceSnapshot>>) {
    let mut duty = D::default();
    let mut cluster = cx.cluster.clone();
    loop {
        let primary = serves(&snapshots.borrow_and_update());
        let seen = D::asked(cluster.borrow_and_update().as_deref());
        if !primary || cx.running().is_none() || cx.leaving.load(Ordering::Relaxed) {
            duty = D::default();
        } else if let Err(why) = duty.look(&cx).await {
            tracing::debug!(%why, "not done yet: {}", D::WHAT);
        }
        let change = async {
            tokio::select! {
                told = snapshots.wait_for(|now| serves(now) != primary) => told.is_ok(),
                told = cluster.wait_for(|cluster| D::asked(cluster.as_deref()) != seen) => told.is_ok(),
            }
        };
        let pause = D::PAUSE.mul_f64(1.0 + rand::random::<f64>() / 2.0);
        match tokio::time::timeout(pause, change).await {
            Ok(false) => return,
            Ok(true) => tokio::time::sleep(AFTER_A_CHANGE).await,
            Err(_) => {}
        }
    }
}
