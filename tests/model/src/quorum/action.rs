//! What can happen next.

use super::Limits;
use super::state::{BY_HAND, MEMBERS, Record, State};
use pgherd_core::sync::Move;

/// A standby may turn from one writer to another and back as often as it likes, and is another directory each time that it
/// is rewound: without an end to them, no run in which two write would have one.
const DIRECTORIES: u8 = 12;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A client commits at a writer; it is told when enough have acknowledged.
    Write(usize),
    /// WAL of a writer reaches a member, and is flushed.
    Ship(usize, usize),
    /// The member's word of it reaches its walsender.
    Ack(usize, usize),
    /// The writer takes its next step by rule Q.
    Step(usize),
    /// The writer finds these members fit.
    Want(usize, u8),
    /// A walsender reads the configuration.
    Reload(usize, usize),
    /// Every walsender goes by the new setting.
    InForce(usize),
    /// The barrier is acknowledged.
    Barrier(usize),
    /// A PUT lands.
    Land(usize),
    /// Its answer arrives.
    Answer(usize),
    /// It is given up.
    GiveUp(usize),
    /// The writer raises its term.
    Raise(usize),
    /// A writer dies.
    Crash(usize),
    /// A writer ends, and its release is on the way.
    Release(usize),
    /// A standby is promoted by hand, writes, and is killed for it.
    Meddle(usize),
    /// A member's volume is lost; it is cloned from another.
    Wipe(usize, usize),
    /// A member follows a writer.
    Follow(usize, usize),
    /// A controller reads the lease and begins an election.
    Begin(usize),
    /// It fences a member and hears its report.
    Fence(usize, usize),
    /// It hears a member that does not fence itself.
    Hear(usize, usize),
    /// It elects.
    Decide(usize),
    /// The winner takes.
    Take(usize),
    /// The election is forgotten.
    Forget(usize),
}

/// All that can happen in `state`.
pub fn possible(limits: &Limits, state: &State, actions: &mut Vec<Action>) {
    for (at, writer) in state.writers.iter().enumerate().filter(|(_, writer)| writer.alive) {
        if state.written < limits.writes {
            actions.push(Action::Write(at));
        }
        if state.crashed < limits.crashes {
            actions.push(Action::Crash(at));
        }
        if state.released < limits.releases && !writer.publishing {
            actions.push(Action::Release(at));
        }
        if state.next_move(at).is_some_and(|next| next != Move::Rest) {
            actions.push(Action::Step(at));
        }
        if state.changed < limits.changes {
            actions
                .extend((0..1 << MEMBERS).filter(|mask| mask & (1 << writer.member) == 0).map(|m| Action::Want(at, m)));
        }
        if writer.setting {
            let waits = writer.senders.iter().map(|sender| *sender != writer.progress.asked_for()).enumerate();
            actions.extend(waits.filter(|(_, waits)| *waits).map(|(member, _)| Action::Reload(at, member)));
        }
        if state.is_in_force(at) {
            actions.push(Action::InForce(at));
        }
        if state.barrier_is_passed(at) {
            actions.push(Action::Barrier(at));
        }
        if state.raised < limits.raises && !writer.publishing {
            actions.push(Action::Raise(at));
        }
        let theirs = state.members.get(writer.member).map_or(&[][..], |member| &member.wal);
        let length = theirs.len();
        for (to, member) in state.members.iter().enumerate() {
            if member.follows == Some(at) && member.wal.len() < length {
                actions.push(Action::Ship(at, to));
            }
            if writer.acks.get(to) < writer.flushed.get(to) {
                actions.push(Action::Ack(at, to));
            }
            let idle = to != writer.member && state.writes(to).is_none() && member.follows != Some(at);
            let ends = state.directories < DIRECTORIES || !diverged(&member.wal, theirs);
            if idle && writer.lease.term > member.fence && ends {
                actions.push(Action::Follow(to, at));
            }
        }
    }
    for (at, put) in state.puts.iter().enumerate() {
        if put.answer.is_none() {
            actions.push(Action::Land(at));
        }
        if put.answer.is_some() && !put.given_up {
            actions.push(Action::Answer(at));
        }
        if !put.given_up && state.lost < limits.losses {
            actions.push(Action::GiveUp(at));
        }
    }
    if state.wiped < limits.wipes {
        for member in (0..MEMBERS).filter(|member| state.writes(*member).is_none()) {
            actions.extend((0..MEMBERS).filter(|from| *from != member).map(|from| Action::Wipe(member, from)));
        }
    }
    if state.meddled < limits.meddles {
        actions.extend((0..MEMBERS).filter(|member| state.writes(*member).is_none()).map(Action::Meddle));
    }
    for (at, election) in state.elections.iter().enumerate() {
        let Some(election) = election else {
            actions.extend((state.elected < limits.elections).then_some(Action::Begin(at)));
            continue;
        };
        if election.fact.is_some() {
            actions.push(Action::Take(at));
            continue;
        }
        let asked = |member: &usize| election.reports.iter().any(|(who, _)| who == member);
        let free = (0..MEMBERS).filter(|member| !asked(member) && state.writes(*member).is_none());
        for member in free {
            actions.push(Action::Fence(at, member));
            actions.extend(limits.unfenced.then_some(Action::Hear(at, member)));
        }
        if !election.reports.is_empty() {
            actions.extend([Action::Decide(at), Action::Forget(at)]);
        }
    }
}

/// Whether some WAL has to be rewound before it can go on as theirs.
fn diverged(mine: &[Record], theirs: &[Record]) -> bool {
    !theirs.starts_with(mine)
}

impl State {
    /// Takes one step.
    pub(super) fn take(&mut self, limits: &Limits, action: Action) {
        match action {
            Action::Write(at) => self.write(at),
            Action::Ship(at, to) => self.ship(at, to),
            Action::Ack(at, member) => self.acknowledge(at, member),
            Action::Step(at) => self.step(at),
            Action::Want(at, mask) => self.wants(limits, at, mask),
            Action::Reload(at, member) => self.reload(at, member),
            Action::InForce(at) => self.in_force(at),
            Action::Barrier(at) => self.pass_barrier(at),
            Action::Land(put) => self.land(put),
            Action::Answer(put) => self.answer(put),
            Action::GiveUp(put) => self.give_up(put),
            Action::Raise(at) => self.raise(at),
            Action::Crash(at) => {
                self.crashed += 1;
                self.end(at);
            }
            Action::Release(at) => {
                self.released += 1;
                self.release_lease(at);
                self.end(at);
            }
            Action::Meddle(member) => self.meddle(member),
            Action::Wipe(member, from) => self.wipe(member, from),
            Action::Follow(member, at) => self.follow(member, at),
            Action::Begin(controller) => self.begin(controller),
            Action::Fence(controller, member) => {
                self.fence(member, self.term_of(controller));
                self.hear(controller, member);
            }
            Action::Hear(controller, member) => self.hear(controller, member),
            Action::Decide(controller) => self.decide(controller),
            Action::Take(controller) => self.conclude(limits, controller),
            Action::Forget(controller) => self.elections.iter_mut().skip(controller).take(1).for_each(|e| *e = None),
        }
    }

    /// A writer is gone, whoever streamed from it is alone, and answers have nobody to reach.
    fn end(&mut self, at: usize) {
        self.on(at, |writer| writer.alive = false);
        for member in &mut self.members {
            if member.follows == Some(at) {
                member.change(|member| member.follows = None);
            }
        }
        for put in self.puts.iter_mut().filter(|put| put.writer == at) {
            put.change(|put| put.given_up = true);
        }
        self.puts.retain(|put| !(put.given_up && put.answer.is_some()));
    }

    /// `pg_ctl promote` by somebody: a timeline that nobody reserved, with a commit that nobody was told of.
    fn meddle(&mut self, member: usize) {
        self.meddled += 1;
        if let Some(member) = self.members.get_mut(member) {
            member.change(|member| {
                let timeline = member.wal.last().map_or(1, |record| record.timeline) + 1;
                member.wal.push(Record { timeline, id: BY_HAND });
                member.follows = None;
            });
        }
    }

    fn write(&mut self, at: usize) {
        let Some(writer) = self.writers.get(at).cloned() else { return };
        self.written += 1;
        let (id, timeline) = (self.written, writer.lease.timeline.0);
        if let Some(member) = self.members.get_mut(writer.member) {
            member.change(|member| member.wal.push(Record { timeline, id }));
        }
        // What postgres waits for when it commits is what it was told last; an empty set waits for nobody.
        if writer.progress.in_force().iter().any(|setting| setting.needed == 0) {
            let length = self.members.get(writer.member).map_or(0, |member| member.wal.len());
            self.tell_clients(at, length);
        }
    }

    fn ship(&mut self, at: usize, to: usize) {
        let Some(from) = self.writers.get(at).and_then(|writer| self.members.get(writer.member)).cloned() else {
            return;
        };
        if let Some(member) = self.members.get_mut(to) {
            member.change(|member| member.wal.clone_from(&from.wal));
        }
        self.on(at, |writer| writer.flushed.iter_mut().skip(to).take(1).for_each(|f| *f = from.wal.len()));
    }

    /// Another data directory, from a base backup of anybody.
    fn wipe(&mut self, member: usize, from: usize) {
        self.wiped += 1;
        self.directories += 1;
        let directory = self.directories;
        let Some(wal) = self.members.get(from).map(|from| from.wal.clone()) else { return };
        if let Some(member) = self.members.get_mut(member) {
            member.change(|member| {
                member.directory = directory;
                member.wal = wal;
                member.fence = pgherd_core::lease::Term::default();
                member.follows = None;
            });
        }
    }

    /// A standby connects; one that has diverged is rewound first, and is another directory then.
    fn follow(&mut self, member: usize, at: usize) {
        let Some(writer) = self.writers.get(at).cloned() else { return };
        let Some(theirs) = self.members.get(writer.member).map(|member| member.wal.clone()) else { return };
        let Some(mine) = self.members.get(member).cloned() else { return };
        let diverged = diverged(&mine.wal, &theirs);
        let directory = if diverged { self.directories + 1 } else { mine.directory };
        self.directories = self.directories.max(directory);
        let wal = if diverged { theirs } else { mine.wal.clone() };
        let length = wal.len();
        if let Some(member) = self.members.get_mut(member) {
            member.change(|member| {
                (member.directory, member.wal, member.follows) = (directory, wal, Some(at));
            });
        }
        self.on(at, |writer| {
            let setting = writer.progress.asked_for();
            writer.senders.iter_mut().skip(member).take(1).for_each(|sender| *sender = setting.clone());
            writer.connected.iter_mut().skip(member).take(1).for_each(|c| *c = Some(directory));
            writer.flushed.iter_mut().skip(member).take(1).for_each(|f| *f = length);
            writer.acks.iter_mut().skip(member).take(1).for_each(|ack| *ack = 0);
        });
    }
}
