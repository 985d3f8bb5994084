//! Watching for orders: one backup at a time is taken, and given up when it is no longer wanted.

use super::report::{Reporter, is_mine};
use super::run::run;
use crate::clock;
use crate::context::Context;
use core::time::Duration;
use futures::StreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use pgherd_proto::backup::{Backup, BackupStatus, phase};
use pgherd_telemetry::chain;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Between a broken watch and the next.
const RECONNECT: Duration = Duration::from_millis(500);

/// What this process does about Backups.
struct Desk {
    cx: Arc<Context>,
    backups: Api<Backup>,
    /// The one that is taken now, and the way to end it.
    running: Option<(String, watch::Sender<bool>)>,
    /// Those that this process has begun: an event that comes late does not begin one again.
    begun: BTreeSet<String>,
    tasks: JoinSet<()>,
}

/// Works until it is dropped, and gives up what it was taking then.
pub async fn keep(cx: Arc<Context>) {
    let backups = Api::<Backup>::namespaced(cx.api.client.clone(), &cx.api.namespace);
    let mut events = watcher(backups.clone(), watcher::Config::default()).boxed();
    let mut desk = Desk { cx, backups, running: None, begun: BTreeSet::new(), tasks: JoinSet::new() };
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Apply(backup) | Event::InitApply(backup))) => desk.seen(&backup).await,
                Some(Ok(Event::Delete(backup))) => desk.unwanted(&backup.uid().unwrap_or_default()),
                Some(Ok(Event::Init | Event::InitDone)) => {}
                Some(Err(error)) => {
                    tracing::warn!(error = %chain(&error), "the watch of the Backups broke; it is begun anew");
                    tokio::time::sleep(RECONNECT).await;
                }
                None => return,
            },
            Some(_) = desk.tasks.join_next(), if !desk.tasks.is_empty() => desk.running = None,
        }
    }
}

impl Desk {
    async fn seen(&mut self, backup: &Backup) {
        let me = &self.cx.config.me;
        let Some(uid) = backup.uid() else { return };
        let Some(status) = backup.status.as_ref().filter(|_| backup.spec.cluster.name == self.cx.api.name) else {
            return;
        };
        if status.is_done() || backup.metadata.deletion_timestamp.is_some() {
            return self.unwanted(&uid);
        }
        let here = status.instance_id.as_ref().is_some_and(|instance| instance.pod_name == me.name);
        if !here || !status.is_under_way() {
            return;
        }
        if !is_mine(status, me) {
            return self.orphaned(backup, status).await;
        }
        if self.running.is_none() && self.begun.insert(uid.clone()) {
            tracing::info!(backup = %backup.name_any(), "a base backup begins");
            let (stop, stopped) = watch::channel(false);
            self.running = Some((uid, stop));
            let reporter = Reporter::new(self.backups.clone(), backup, me.clone());
            self.tasks.spawn(run(Arc::clone(&self.cx), reporter, stopped));
        }
    }

    fn unwanted(&self, uid: &str) {
        if let Some((running, stop)) = &self.running
            && running == uid
        {
            stop.send_replace(true);
        }
    }

    /// Another process of this pod had it: with that its session, and so its backup, ended.
    async fn orphaned(&self, backup: &Backup, status: &BackupStatus) {
        let stopped = clock::wall();
        let error = format!("the manager of {} was restarted while it took the backup", self.cx.config.me.name);
        let mut wanted = json!({"phase": phase::FAILED, "error": error});
        if status.stopped_at.is_none()
            && let Some(fields) = wanted.as_object_mut()
        {
            fields.insert("stoppedAt".to_owned(), json!(stopped));
        }
        let reporter = Reporter::new(self.backups.clone(), backup, self.cx.config.me.clone());
        match reporter.write_over(&wanted).await {
            Ok(()) => tracing::warn!(backup = %backup.name_any(), %error, "a base backup failed"),
            Err(error) => tracing::debug!(backup = %backup.name_any(), %error, "somebody else says how it ended"),
        }
    }
}
