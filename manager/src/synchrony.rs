//! What this process knows of synchronous replication in its postgres: the list that the machine asked for, the
//! lists that some walsender may still go by, and whether commits wait at all.

use pgherd_core::pgconf::standbys::{nobody, standby_names, synchronous_conf};
use pgherd_core::sync::SyncSetting;
use pgherd_postgres::files::{FileError, write_for_now_if_changed};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file that postgres includes last.
pub const FILE: &str = "synchronous.conf";

/// Shared by the effects; one of them at a time changes what is in force.
#[derive(Debug, Default)]
pub struct Synchrony {
    state: Mutex<State>,
    gated: AtomicBool,
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// What the machine asked for; nothing while this is a standby that nobody has elected.
    asked: Option<SyncSetting>,
    /// Each of these may be in force in some walsender of the running postgres.
    doubtful: Vec<SyncSetting>,
    /// The running postgres has made its commits wait since it began, or it was proven since.
    commits_wait: bool,
    /// The gate is in force in the running postgres, with this `synchronous_standby_names`.
    closed_with: Option<String>,
}

impl Synchrony {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine's word: what the configuration has from now on.
    pub fn ask_for(&self, setting: SyncSetting) {
        self.state().asked = Some(setting);
    }

    /// A standby waits for nobody's word before it is elected.
    pub fn forget(&self) {
        self.state().asked = None;
    }

    /// The value of `synchronous_standby_names`. A standby of a cluster with synchronous replication has a list that
    /// nobody can satisfy, so that it cannot acknowledge anything by mistake once it is promoted (hole 10).
    #[must_use]
    pub fn text(&self, cluster: &str, synchronous: bool) -> String {
        match &self.state().asked {
            Some(setting) => standby_names(setting, cluster),
            None if synchronous => nobody(cluster),
            None => String::new(),
        }
    }

    /// Writes the file. Blocks; true when it was another before.
    ///
    /// # Errors
    /// [`FileError`]; the file is then as it was.
    pub fn write(&self, pgdata: &Path, text: &str) -> Result<bool, FileError> {
        // On the way of every failover, and each start writes it anew, whatever a power failure has left of it.
        write_for_now_if_changed(&pgdata.join(FILE), synchronous_conf(text).as_bytes(), 0o600)
    }

    /// Postgres was started, or is about to be promoted, with `text` in its files: no walsender is older.
    pub fn began(&self, text: &str, commits_wait: bool) {
        let mut state = self.state();
        state.doubtful = state.asked.iter().cloned().collect();
        state.commits_wait = commits_wait && !text.is_empty();
        state.closed_with = None;
    }

    /// Whether commits are known to wait.
    #[must_use]
    pub fn commits_wait(&self) -> bool {
        self.state().commits_wait
    }

    /// They were seen to, or may not any more.
    pub fn set_commits_wait(&self, wait: bool) {
        self.state().commits_wait = wait;
    }

    /// The settings that some walsender may have, `but` one.
    #[must_use]
    pub fn older_than(&self, but: &SyncSetting) -> Vec<SyncSetting> {
        self.state().doubtful.iter().filter(|known| *known != but).cloned().collect()
    }

    /// From now on `setting` may be in force somewhere.
    pub fn may_be_in_force(&self, setting: &SyncSetting) {
        let mut state = self.state();
        state.doubtful.retain(|known| known != setting);
        state.doubtful.push(setting.clone());
    }

    /// `setting` alone is in force.
    pub fn in_force(&self, setting: &SyncSetting) {
        self.state().doubtful = vec![setting.clone()];
    }

    /// One change after another.
    pub async fn change(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Closes or opens the gate; true when it was otherwise.
    pub fn gate(&self, closed: bool) -> bool {
        self.state().closed_with = None;
        self.gated.swap(closed, Ordering::SeqCst) != closed
    }

    /// New sessions of the running postgres see the closed gate, and this `synchronous_standby_names`.
    pub fn gate_in_force(&self, names: &str) {
        self.state().closed_with = Some(names.to_owned());
    }

    /// Whether both are known to be in force.
    #[must_use]
    pub fn is_closed_with(&self, names: &str) -> bool {
        self.gated() && self.state().closed_with.as_deref() == Some(names)
    }

    /// Whether clients are kept out.
    #[must_use]
    pub fn gated(&self) -> bool {
        self.gated.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_of_a_synchronous_cluster_would_wait_for_nobody_it_knows() {
        let synchrony = Synchrony::default();
        assert_eq!(synchrony.text("c", false), "");
        assert_eq!(synchrony.text("c", true), r#"ANY 1 ("c-placeholder")"#);
        synchrony.ask_for(SyncSetting::default());
        assert_eq!(synchrony.text("c", true), "", "the machine knows better");
        synchrony.forget();
        assert_eq!(synchrony.text("c", true), r#"ANY 1 ("c-placeholder")"#);
    }

    #[test]
    fn a_gate_is_in_force_until_it_is_opened_or_postgres_begins_anew() {
        let synchrony = Synchrony::default();
        assert!(synchrony.gate(true) && !synchrony.gate(true));
        assert!(!synchrony.is_closed_with(""), "nobody has seen it in force");
        synchrony.gate_in_force("");
        assert!(synchrony.is_closed_with("") && !synchrony.is_closed_with("ANY 1 (a)"));
        synchrony.began("", true);
        assert!(!synchrony.is_closed_with(""));
        synchrony.gate_in_force("");
        assert!(synchrony.gate(false) && synchrony.gate(true));
        assert!(!synchrony.is_closed_with(""));
    }

    #[test]
    fn what_may_be_in_force_is_remembered_until_one_alone_is() {
        let synchrony = Synchrony::default();
        let (one, two) = (SyncSetting { needed: 1, ..SyncSetting::default() }, SyncSetting::default());
        synchrony.may_be_in_force(&one);
        synchrony.may_be_in_force(&two);
        assert_eq!(synchrony.older_than(&two), std::slice::from_ref(&one));
        synchrony.in_force(&two);
        assert_eq!(synchrony.older_than(&one), [two]);
    }
}
