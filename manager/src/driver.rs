//! The loop around the machine: events in, commands carried out, what is known published. No decisions here.

use crate::clock;
use crate::cluster_api::{OwnPod, Seen, another_labelled, cluster_view, deaths, peers};
use crate::configuration;
use crate::context::Context;
use crate::effects::{self, Effect, Placed};
use crate::http::{ControlError, ControlRequest, InstanceSnapshot};
use crate::publish;
use core::time::Duration;
use pgherd_core::instance::{Command, Event, FenceCall, FenceRefusal, Machine, Me, Op, PledgeCall, TailCall};
use pgherd_core::sync::Pledge;
use pgherd_proto::cluster::Cluster;
use pgherd_proto::control::{PledgeGiven, PledgeRequest, TailConfirmed};
use pgherd_proto::member::MemberReport;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// How often time is told to the machine: the grain of its deadlines.
const TICK: Duration = Duration::from_millis(100);

/// A control request that waits for the machine.
enum Waiting {
    Fence(oneshot::Sender<Result<MemberReport, ControlError>>),
    Tail(oneshot::Sender<Result<TailConfirmed, ControlError>>),
    Pledge(oneshot::Sender<Result<PledgeGiven, ControlError>>),
}

/// What the driver listens to.
pub struct Ears {
    /// From effects and monitors.
    pub events: mpsc::Receiver<Event>,
    /// From the watches of the API.
    pub seen: mpsc::Receiver<Seen>,
    /// From the HTTP server.
    pub control: mpsc::Receiver<ControlRequest>,
    /// The pod is to stop.
    pub terminate: watch::Receiver<bool>,
}

/// The driver of one instance.
pub struct Driver {
    context: Arc<Context>,
    cluster: watch::Sender<Option<Arc<Cluster>>>,
    machine: Machine,
    tasks: JoinSet<Effect>,
    waiting: HashMap<Op, Waiting>,
    requests: u64,
    report: watch::Sender<Option<MemberReport>>,
    snapshot: watch::Sender<Arc<InstanceSnapshot>>,
    exit: Option<u8>,
    own_pod: OwnPod,
}

impl Driver {
    /// A driver that publishes to the three watches.
    #[must_use]
    pub fn new(
        context: Arc<Context>,
        cluster: watch::Sender<Option<Arc<Cluster>>>,
        report: watch::Sender<Option<MemberReport>>,
        snapshot: watch::Sender<Arc<InstanceSnapshot>>,
    ) -> Self {
        let machine = Machine::new(Me { holder: context.config.me.clone() }, context.timings);
        Self {
            context,
            cluster,
            machine,
            tasks: JoinSet::new(),
            waiting: HashMap::new(),
            requests: 0,
            report,
            snapshot,
            exit: None,
            own_pod: OwnPod::default(),
        }
    }

    /// Runs until the machine leaves; the exit code.
    pub async fn run(mut self, mut ears: Ears) -> u8 {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let event = tokio::select! {
                biased;
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => self.effect_done(done),
                Some(event) = ears.events.recv() => Some(event),
                Some(request) = ears.control.recv() => self.requested(request),
                Some(seen) = ears.seen.recv() => { self.seen(seen); None }
                changed = ears.terminate.changed() => changed.is_ok().then_some(Event::TerminationRequested),
                _ = ticks.tick() => Some(Event::Ticked),
            };
            if let Some(event) = event {
                self.step(event);
            }
            if let Some(code) = self.exit {
                self.tasks.shutdown().await;
                return code;
            }
        }
    }

    fn step(&mut self, event: Event) {
        let now = clock::now();
        let before = self.machine.phase().clone();
        if !matches!(event, Event::Ticked | Event::LinkSampled(_) | Event::LineageRead(_) | Event::FoundWriting) {
            tracing::debug!(?event, "event");
        }
        let commands = self.machine.handle(event, now);
        if core::mem::discriminant(&before) != core::mem::discriminant(self.machine.phase()) {
            tracing::info!(from = publish::word(&before), to = publish::word(self.machine.phase()), "phase changed");
        }
        for command in commands {
            self.carry_out(command);
        }
        publish::report(&self.context, &self.machine, now, &self.report);
        publish::snapshot(&self.context, &self.machine, now, &self.snapshot);
    }

    fn carry_out(&mut self, command: Command) {
        if !matches!(command, Command::ArmWatchdog(_) | Command::ProveWritePath { .. } | Command::PutLease { .. }) {
            tracing::info!(command = ?command, "command");
        }
        match command {
            Command::Exit(code) => self.exit = Some(code),
            Command::AnswerTail(op, answer) => self.answer_tail(op, answer),
            Command::AnswerPledge(op, answer) => self.answer_pledge(op, answer),
            Command::RefuseFence(op, why) => self.refuse_fence(op, &why),
            command => effects::carry_out(&self.context, command, &mut self.tasks),
        }
    }

    fn effect_done(&mut self, done: Result<Effect, tokio::task::JoinError>) -> Option<Event> {
        match done {
            Ok(Effect::Finished(op, outcome)) => Some(Event::Finished(op, outcome)),
            Ok(Effect::Fenced(op, placed)) => {
                self.fenced(op, placed);
                None
            }
            Ok(Effect::Quiet) => None,
            Err(error) => {
                tracing::error!(%error, "a task of the manager ended by a defect");
                None
            }
        }
    }

    fn seen(&mut self, seen: Seen) {
        match seen {
            Seen::Cluster(cluster) => {
                let fingerprint = configuration::fingerprint(&cluster);
                let view = cluster_view(&cluster, fingerprint);
                self.cluster.send_replace(Some(cluster));
                self.step(Event::ClusterSeen(view));
            }
            Seen::Lease(lease) => self.step(Event::LeaseSeen(*lease)),
            Seen::NoLease => self.step(Event::LeaseMissing),
            Seen::Pods(pods) => {
                // Peers first: a take that a death allows names them as takers.
                let peers = peers(&pods, &self.context.config.me.pod_uid);
                self.context.peers.send_replace(peers.clone());
                let another = another_labelled(&pods, &self.context.config.me.pod_uid);
                self.context.another_labelled.store(another, Ordering::Relaxed);
                self.step(Event::PeersSeen(peers));
                self.step(Event::DeathsSeen(deaths(&pods)));
                if self.own_pod.is_gone(&pods, &self.context.config.me.pod_uid) {
                    tracing::warn!("this pod was deleted by force: handing over, and leaving");
                    self.step(Event::TerminationRequested);
                }
            }
        }
    }

    fn requested(&mut self, request: ControlRequest) -> Option<Event> {
        // Numbers of requests count down from the top: the machine's own count up from zero.
        self.requests = self.requests.saturating_add(1);
        let op = Op(u64::MAX - self.requests);
        match request {
            ControlRequest::Fence { request, reply } => {
                self.waiting.insert(op, Waiting::Fence(reply));
                Some(Event::FenceRequested(op, FenceCall { term: request.term }))
            }
            ControlRequest::Member { reply } => {
                let report = publish::member_report(&self.context, &self.machine.report(clock::now()));
                // Whoever asked may have gone.
                drop(reply.send(Ok(report)));
                None
            }
            ControlRequest::ConfirmTail { request, reply } => {
                self.waiting.insert(op, Waiting::Tail(reply));
                let call = TailCall { term: request.term, position: request.position, candidate: request.winner };
                Some(Event::TailConfirmed(op, call))
            }
            ControlRequest::Pledge { request, reply } => {
                self.waiting.insert(op, Waiting::Pledge(reply));
                let PledgeRequest { nonce, term, round, lease_duration } = request;
                let call = PledgeCall { nonce, term, round, lease_duration };
                Some(Event::PledgeAsked(op, call))
            }
            ControlRequest::SwitchWal { request, reply } => {
                effects::switch_wal(&self.context, &request, reply, &mut self.tasks);
                None
            }
            ControlRequest::ControlData { reply } => {
                effects::control_data(&self.context, reply, &mut self.tasks);
                None
            }
        }
    }

    fn fenced(&mut self, op: Op, placed: Result<Option<Placed>, String>) {
        let Some(Waiting::Fence(reply)) = self.waiting.remove(&op) else { return };
        let answer = placed.map_err(ControlError::Unavailable).map(|placed| {
            let mut report = publish::member_report(&self.context, &self.machine.report(clock::now()));
            if let Some(Placed { position, lineage }) = placed {
                (report.position, report.lineage) = (Some(position), lineage);
            }
            report
        });
        // A controller that has gone away asks again.
        drop(reply.send(answer));
    }

    fn refuse_fence(&mut self, op: Op, why: &FenceRefusal) {
        if let Some(Waiting::Fence(reply)) = self.waiting.remove(&op) {
            let kind = if why.counts_on_holder() { ControlError::TooEarly } else { ControlError::Refused };
            drop(reply.send(Err(kind(why.to_string()))));
        }
    }

    fn answer_pledge(&mut self, op: Op, answer: Result<Pledge, String>) {
        if let Some(Waiting::Pledge(reply)) = self.waiting.remove(&op) {
            let given = |pledge: Pledge| PledgeGiven { pod_uid: pledge.pod_uid, incarnation: pledge.incarnation };
            drop(reply.send(answer.map(given).map_err(ControlError::Refused)));
        }
    }

    fn answer_tail(&mut self, op: Op, answer: Result<String, String>) {
        if let Some(Waiting::Tail(reply)) = self.waiting.remove(&op) {
            let answer = answer.map(|lease_version| TailConfirmed { lease_version }).map_err(ControlError::Unavailable);
            drop(reply.send(answer));
        }
    }
}
