//! Watching for orders: one backup at a time is taken, and given up when it is no longer wanted.

use super::report::{Reporter, is_mine};
use super::run::{ending, run, tell_event};
use crate::context::Context;
use core::time::Duration;
use futures::StreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};
use pgherd_core::backup::{AttemptEnd, CutOff, judge_attempt};
use pgherd_proto::backup::{Backup, BackupStatus};
use pgherd_proto::watching;
use pgherd_telemetry::chain;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Between a broken watch and the next.
const RECONNECT: Duration = Duration::from_millis(500);

/// A Backup, by uid, and how many attempts at it were cut off before this one.
type Attempted = (String, usize);

/// What this process does about Backups.
struct Desk {
    cx: Arc<Context>,
    backups: Api<Backup>,
    /// The one that is taken now, and the way to end it.
    running: Option<(Attempted, watch::Sender<bool>)>,
    /// Those that this process has begun: an event that comes late does not begin one again.
    begun: BTreeSet<Attempted>,
    /// Came while another was still being given up.
    next: Option<Backup>,
    tasks: JoinSet<()>,
}

/// Works until it is dropped, and gives up what it was taking then.
pub async fn keep(cx: Arc<Context>) {
    let backups = Api::<Backup>::namespaced(cx.api.client.clone(), &cx.api.namespace);
    let mut events = watching::watcher(backups.clone(), watcher::Config::default()).boxed();
    let (begun, tasks) = (BTreeSet::new(), JoinSet::new());
    let mut desk = Desk { cx, backups, running: None, begun, next: None, tasks };
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
            Some(_) = desk.tasks.join_next(), if !desk.tasks.is_empty() => {
                desk.running = None;
                if let Some(next) = desk.next.take() {
                    desk.seen(&next).await;
                }
            }
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
        if self.next.as_ref().is_some_and(|next| next.uid().as_ref() == Some(&uid)) {
            self.next = None;
        }
        let here = status.instance_id.as_ref().is_some_and(|instance| instance.pod_name == me.name);
        let ordered = here && status.is_under_way() && backup.metadata.deletion_timestamp.is_none();
        if !ordered {
            return self.unwanted(&uid);
        }
        if !is_mine(status, me) {
            self.unwanted(&uid);
            return self.orphaned(backup, status).await;
        }
        let attempt = (uid, status.failed_attempts.len());
        match &self.running {
            Some((running, _)) if *running == attempt => {}
            Some((running, stop)) => {
                if running.0 == attempt.0 {
                    stop.send_replace(true);
                }
                if !self.begun.contains(&attempt) {
                    self.next = Some(backup.clone());
                }
            }
            None if self.begun.insert(attempt.clone()) => {
                let number = attempt.1.saturating_add(1);
                tracing::info!(backup = %backup.name_any(), attempt = number, "a base backup begins");
                let (stop, stopped) = watch::channel(false);
                self.running = Some((attempt, stop));
                let reporter = Reporter::new(self.backups.clone(), backup, me.clone());
                self.tasks.spawn(run(Arc::clone(&self.cx), reporter, stopped));
            }
            None => {}
        }
    }

    fn unwanted(&self, uid: &str) {
        if let Some(((running, _), stop)) = &self.running
            && running == uid
        {
            stop.send_replace(true);
        }
    }

    /// Another process of this pod had it: with that its session, and so its backup, ended.
    async fn orphaned(&self, backup: &Backup, status: &BackupStatus) {
        let pod = &self.cx.config.me.name;
        let end = AttemptEnd::CutOff(CutOff::ManagerEnded(pod.clone()));
        let verdict = judge_attempt(&end, status.failed_attempts.len());
        let reporter = Reporter::new(self.backups.clone(), backup, self.cx.config.me.clone());
        let wanted = ending(&verdict, &end, reporter.earlier(), (pod.as_str(), status.backup_id.clone()));
        match reporter.write_over(&wanted).await {
            Ok(()) => {
                tracing::warn!(backup = %backup.name_any(), ?verdict, "a base backup was cut off");
                tell_event(&self.cx, &reporter, Err(&verdict)).await;
            }
            Err(error) => tracing::debug!(backup = %backup.name_any(), %error, "somebody else says how it ended"),
        }
    }
}
