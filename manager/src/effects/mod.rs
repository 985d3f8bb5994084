//! Carrying commands out, one family a file. An effect decides nothing: it does, and says how it went.

mod bootstrap;
mod clone;
mod fence;
mod first_sql;
mod lease;
mod pledge;
mod promote;
mod rejoin;
mod source;
mod start;
mod stop;
mod switch;
mod synchronous;
mod tail;
mod volume;

pub use bootstrap::{incarnation, owner_login};
pub use fence::Placed;
pub use start::{local, names, reconfigure, reload};
pub use switch::switch_wal;
pub use synchronous::rewrite_hba;
pub use tail::position;
pub use volume::{control_data, lineage, lower, off_runtime};

use crate::context::Context;
use pgherd_core::instance::{Command, Op, Outcome};
use std::sync::Arc;
use tokio::task::JoinSet;

/// How an effect ended.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and gone at once")]
pub enum Effect {
    /// For the machine.
    Finished(Op, Outcome),
    /// A fence, with what is on disk now, for whoever asked.
    Fenced(Op, Result<Option<Placed>, String>),
    /// Nothing to tell.
    Quiet,
}

/// Does one command: at once where it is a matter of memory, as a task where it takes time.
pub fn carry_out(context: &Arc<Context>, command: Command, tasks: &mut JoinSet<Effect>) {
    let cx = Arc::clone(context);
    let finish = move |op: Op, outcome: Outcome| Effect::Finished(op, outcome);
    match command {
        Command::ArmWatchdog(deadline) => stop::arm(context, deadline),
        Command::DisarmWatchdog => stop::disarm(context),
        Command::UseTail(source) => {
            let election_is_near = source.is_some();
            context.archiving.use_tail(source, tail::held(context));
            if election_is_near {
                drop(tasks.spawn(async move { tail::prepare(&cx).await }));
            }
        }
        Command::Archive(mode) => context.archiving.set_mode(mode),
        Command::InspectVolume(op) => drop(tasks.spawn(async move { finish(op, volume::inspect(&cx).await) })),
        Command::DiscardPartial(op) => drop(tasks.spawn(async move { finish(op, volume::discard(&cx).await) })),
        Command::ClaimInitialization(op) => drop(tasks.spawn(async move { finish(op, bootstrap::claim(&cx).await) })),
        Command::InitializeDatabase(op) => drop(tasks.spawn(async move { finish(op, bootstrap::initdb(&cx).await) })),
        Command::BootstrapDatabase(op) => drop(tasks.spawn(async move { finish(op, bootstrap::roles(&cx).await) })),
        Command::PublishSystemId(op, id) => {
            drop(tasks.spawn(async move { finish(op, bootstrap::publish(&cx, id).await) }));
        }
        Command::CloneFrom(op, leader, sources) => {
            drop(tasks.spawn(async move { finish(op, clone::clone(&cx, &leader, sources).await) }));
        }
        Command::Rejoin(op, leader) => drop(tasks.spawn(async move { finish(op, rejoin::rejoin(&cx, &leader).await) })),
        Command::StartPostgres(op, role) => drop(tasks.spawn(async move { finish(op, start::start(&cx, role).await) })),
        Command::StopPostgres(op, how) => drop(tasks.spawn(async move { finish(op, stop::stop(&cx, how).await) })),
        Command::KillEverything(op) => drop(tasks.spawn(async move { finish(op, stop::kill(&cx).await) })),
        Command::Follow(leader) => drop(tasks.spawn(async move { start::follow(&cx, leader).await })),
        Command::ApplyConfiguration => drop(tasks.spawn(async move { start::reconfigure(&cx).await })),
        Command::AwaitPosition(op, to) => drop(tasks.spawn(async move { finish(op, tail::arrived(&cx, to).await) })),
        Command::ConfirmTail(op, source, term) => {
            drop(tasks.spawn(async move { finish(op, tail::confirm(&cx, &source, term).await) }));
        }
        Command::LookForProof(op, pod, nonce) => {
            drop(tasks.spawn(async move { finish(op, tail::look_for_proof(&cx, &pod, &nonce).await) }));
        }
        Command::Promote(op, timeline) => {
            drop(tasks.spawn(async move { finish(op, promote::promote(&cx, timeline).await) }));
        }
        Command::AnnouncePrimary(timeline) => drop(tasks.spawn(async move { promote::announce(&cx, timeline).await })),
        Command::Fence(op, term) => drop(tasks.spawn(async move { fence::fence(&cx, op, term).await })),
        Command::PutLease { op, over, record } => {
            drop(tasks.spawn(async move { finish(op, lease::put(&cx, &over, &record).await) }));
        }
        Command::CreateLease { op, record } => {
            drop(tasks.spawn(async move { finish(op, lease::create(&cx, &record).await) }));
        }
        Command::RememberTerm(term) => drop(tasks.spawn(async move { lease::remember(&cx, term).await })),
        Command::Alarm(why) => tracing::error!(%why, "alarm"),
        Command::ProveWritePath { op, sql } => {
            drop(tasks.spawn(async move { finish(op, lease::prove(&cx, sql).await) }));
        }
        Command::ConfigureSynchronous(setting) => context.synchrony.ask_for(setting),
        Command::GateClients(closed) => {
            if context.synchrony.gate(closed) {
                drop(tasks.spawn(async move {
                    if closed { synchronous::close_gate(&cx).await } else { synchronous::open_gate(&cx).await }
                }));
            }
        }
        Command::SetSynchronous(op, setting) => {
            drop(tasks.spawn(async move { finish(op, synchronous::set(&cx, setting).await) }));
        }
        Command::Barrier(op, setting, to) => {
            drop(tasks.spawn(async move { finish(op, synchronous::barrier(&cx, &setting, to).await) }));
        }
        Command::AskPledges(op, round) => {
            drop(tasks.spawn(async move { finish(op, pledge::ask(&cx, &round).await) }));
        }
        // The driver's own; and the tail is served as the published snapshot says.
        Command::OfferTail(_)
        | Command::AnswerTail(..)
        | Command::AnswerPledge(..)
        | Command::RefuseFence(..)
        | Command::Exit(_) => {}
    }
}
