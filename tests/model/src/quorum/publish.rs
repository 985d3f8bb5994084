//! A writer's steps: what rule Q says next, the walsenders, and the lease's compare-and-swap.

use super::Limits;
use super::state::{MEMBERS, Put, State, Writer, end, incarnation, name, spec};
use crate::shared::Shared;
use pgherd_core::lease::{Conflict, LeaseRecord, conflict, released};
use pgherd_core::lsn::Lsn;
use pgherd_core::sync::{Goal, Move, Stored, SyncMember, SyncSetting, choose, next_move, own_entry, own_raised};

impl State {
    pub(super) fn on(&mut self, writer: usize, by: impl FnOnce(&mut Writer)) {
        if let Some(writer) = self.writers.get_mut(writer) {
            writer.change(by);
        }
    }

    /// What the machine would do next, decided by core.
    pub(super) fn next_move(&self, at: usize) -> Option<Move> {
        let writer = self.writers.get(at).filter(|writer| writer.alive)?;
        let directory = self.members.get(writer.member)?.directory;
        let own = own_entry(&writer.lease).cloned();
        let under_way = self.puts.iter().filter(|put| put.writer == at && !put.given_up).map(|put| &put.record);
        let sent = writer.unanswered.iter().chain(under_way).filter_map(own_entry);
        let stored = Stored {
            confirmed: writer.lease.records.clone(),
            unresolved: sent.filter(|entry| Some(*entry) != own.as_ref()).cloned().collect(),
            own,
        };
        let goal = Goal {
            setting: Some(writer.goal.clone()),
            barrier: false,
            term: writer.lease.term,
            writer: incarnation(directory),
        };
        Some(next_move(&writer.progress, &goal, &stored))
    }

    pub(super) fn step(&mut self, at: usize) {
        let Some(next) = self.next_move(at) else { return };
        let Some(writer) = self.writers.get(at).cloned() else { return };
        match next {
            Move::Set(setting) if !writer.setting => self.on(at, |writer| {
                writer.progress.setting(setting);
                writer.setting = true;
                writer.barrier = None;
            }),
            Move::AwaitBarrier(setting, lsn) if !writer.setting && writer.barrier.is_none() => {
                self.on(at, |writer| writer.barrier = Some((setting, lsn)));
            }
            Move::Publish(records) if !writer.publishing => {
                self.send(at, LeaseRecord { records, ..writer.lease.clone() });
            }
            _ => {}
        }
    }

    fn send(&mut self, at: usize, record: LeaseRecord) {
        let Some(over) = self.writers.get(at).map(|writer| writer.version) else { return };
        self.on(at, |writer| writer.publishing = true);
        self.puts.push(Shared::new(Put { writer: at, over, record, answer: None, given_up: false }));
    }

    /// Rule E6: the holder raises its own term, and its promise with it.
    pub(super) fn raise(&mut self, at: usize) {
        self.raised += 1;
        let Some(lease) = self.writers.get(at).map(|writer| writer.lease.clone()) else { return };
        let term = lease.term.next();
        self.send(at, LeaseRecord { term, records: own_raised(&lease, term), ..lease });
    }

    /// Rule L6: nothing of it writes any more when this is sent, and nobody waits for the answer.
    pub(super) fn release_lease(&mut self, at: usize) {
        let Some(writer) = self.writers.get(at).cloned() else { return };
        let tail = self.members.get(writer.member).map(|member| end(&member.wal));
        self.send(at, released(&writer.lease, tail));
    }

    /// Another set is wanted: these members are fit now.
    pub(super) fn wants(&mut self, limits: &Limits, at: usize, mask: u8) {
        self.changed += 1;
        let Some(writer) = self.writers.get(at) else { return };
        let goal = choose(&spec(limits), &self.fit(writer.member, mask), &writer.progress.asked_for());
        self.on(at, |writer| writer.goal = goal);
    }

    pub(super) fn reload(&mut self, at: usize, member: usize) {
        self.on(at, |writer| {
            let setting = writer.progress.asked_for();
            writer.senders.iter_mut().skip(member).take(1).for_each(|sender| *sender = setting.clone());
        });
    }

    /// Rule Q4: every walsender that is there goes by it.
    pub(super) fn is_in_force(&self, at: usize) -> bool {
        self.writers.get(at).is_some_and(|writer| {
            let asked = writer.progress.asked_for();
            let connected = writer.senders.iter().zip(&writer.connected).filter(|(_, c)| c.is_some());
            writer.alive && writer.setting && connected.into_iter().all(|(setting, _)| *setting == asked)
        })
    }

    pub(super) fn in_force(&mut self, at: usize) {
        let Some(member) = self.writers.get(at).map(|writer| writer.member) else { return };
        let flush = Lsn(self.members.get(member).map_or(0, |member| member.wal.len() as u64));
        self.on(at, |writer| {
            writer.progress.set(flush);
            writer.setting = false;
        });
    }

    /// The barrier counts directories, not names.
    pub(super) fn barrier_is_passed(&self, at: usize) -> bool {
        let Some(writer) = self.writers.get(at).filter(|writer| writer.alive) else { return false };
        let Some((setting, lsn)) = &writer.barrier else { return false };
        let have = (0..MEMBERS).filter(|member| {
            let directory = writer.connected.get(*member).copied().flatten();
            let named = setting
                .members
                .iter()
                .any(|one| one.name == name(*member) && Some(&one.incarnation) == directory.map(incarnation).as_ref());
            named && writer.acks.get(*member).is_some_and(|ack| *ack as u64 >= lsn.0)
        });
        u32::try_from(have.count()).unwrap_or(0) >= setting.needed_of_members()
    }

    pub(super) fn pass_barrier(&mut self, at: usize) {
        self.on(at, |writer| {
            writer.barrier = None;
            writer.progress.acknowledged();
        });
    }

    pub(super) fn land(&mut self, at: usize) {
        let Some(put) = self.puts.get(at).cloned() else { return };
        let stored = put.over == self.version;
        if stored {
            self.version += 1;
            self.lease = Shared::new(put.record.clone());
        }
        if put.given_up {
            self.puts.remove(at);
        } else if let Some(put) = self.puts.get_mut(at) {
            put.change(|put| put.answer = Some(stored));
        }
    }

    pub(super) fn answer(&mut self, at: usize) {
        if at >= self.puts.len() {
            return;
        }
        let put = self.puts.remove(at);
        let (lease, version) = (LeaseRecord::clone(&self.lease), self.version);
        let Some(writer) = self.writers.get(put.writer).filter(|writer| writer.alive) else { return };
        let mine = writer.lease.holder.as_ref().map(|holder| holder.nonce.clone()).unwrap_or_default();
        let adopts = conflict(&mine, &lease) == Conflict::Adopt;
        let record = put.record.clone();
        self.on(put.writer, |writer| {
            writer.publishing = false;
            writer.unanswered.clear();
            match put.answer {
                Some(true) => (writer.lease, writer.version) = (record, put.over + 1),
                _ if adopts => (writer.lease, writer.version) = (lease, version),
                _ => writer.alive = false,
            }
        });
    }

    pub(super) fn give_up(&mut self, at: usize) {
        self.lost += 1;
        let Some(put) = self.puts.get(at).cloned() else { return };
        if put.answer.is_some() {
            self.puts.remove(at);
        } else if let Some(put) = self.puts.get_mut(at) {
            put.change(|put| put.given_up = true);
        }
        self.on(put.writer, |writer| {
            writer.publishing = false;
            writer.unanswered.push(put.record.clone());
        });
    }

    /// A member's word reaches its walsender, which lets through what its setting has enough of.
    pub(super) fn acknowledge(&mut self, at: usize, member: usize) {
        self.on(at, |writer| {
            let flushed = writer.flushed.get(member).copied().unwrap_or(0);
            writer.acks.iter_mut().skip(member).take(1).for_each(|ack| *ack = flushed);
        });
        let Some(writer) = self.writers.get(at) else { return };
        let Some(setting) = writer.senders.get(member).cloned() else { return };
        let through = let_through(&setting, writer).max(writer.released);
        self.release(at, member, &setting, through);
    }

    fn release(&mut self, at: usize, member: usize, setting: &SyncSetting, through: usize) {
        // A walsender that is not in its own setting releases nobody.
        if !setting.members.iter().any(|one| one.name == name(member)) {
            return;
        }
        self.tell_clients(at, through);
    }

    /// Clients hear of every commit up to there.
    pub(super) fn tell_clients(&mut self, at: usize, through: usize) {
        let Some(writer) = self.writers.get(at).cloned() else { return };
        let Some(wal) = self.members.get(writer.member).map(|member| member.wal.clone()) else { return };
        let newly: Vec<u8> =
            wal.iter().take(through).skip(writer.released).map(|record| record.id).filter(|id| *id > 0).collect();
        self.on(at, |writer| writer.released = writer.released.max(through));
        for id in newly {
            self.acknowledged.insert(id);
            // I1: once a newer election has fenced enough, no commit of an old term acquires its quorum.
            let newest = self.writers.last().and_then(|last| self.members.get(last.member).zip(Some(last)));
            let lacks = newest.is_some_and(|(member, last)| {
                last.lease.term > writer.lease.term && last.alive && member.wal.iter().all(|record| record.id != id)
            });
            if lacks {
                self.violated(format!("commit {id} acquires its quorum after a newer election"));
            }
        }
    }
}

/// How far the acknowledgements of `setting` reach. What counts is the directory, not the name: hole 8. Postgres knows
/// names only, so that a directory which the setting does not mean must not stream under the name.
fn let_through(setting: &SyncSetting, writer: &Writer) -> usize {
    let reach = |one: &SyncMember| {
        let member = (0..MEMBERS).find(|member| name(*member) == one.name)?;
        let directory = writer.connected.get(member).copied().flatten().map(incarnation);
        if directory.as_ref() == Some(&one.incarnation) { writer.acks.get(member).copied() } else { None }
    };
    let mut reached: Vec<usize> = setting.members.iter().filter_map(reach).collect();
    reached.sort_unstable_by(|a, b| b.cmp(a));
    let needed = usize::try_from(setting.needed).unwrap_or(usize::MAX);
    needed.checked_sub(1).and_then(|nth| reached.get(nth).copied()).unwrap_or(0)
}
