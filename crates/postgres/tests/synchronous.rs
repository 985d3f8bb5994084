//! What rule Q4 believes of PostgreSQL, held against the real thing: one walsender frozen, lists changed under load,
//! configuration files with errors, ALTER SYSTEM, slots.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

mod bed;

use bed::{Bed, PATIENCE, execute, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgherd_core::lease::{Session as State, stand_still};
use pgherd_core::lsn::Lsn;
use pgherd_core::slots::{Policy, SlotStep, on_primary, on_standby};
use pgherd_postgres::sample::{flushed, prove_write_path};
use pgherd_postgres::slots::{apply, physical_slots};
use pgherd_postgres::sql::Session;
use pgherd_postgres::standstill::client_sessions;
use pgherd_postgres::walsenders::{
    ReloadError, Walsender, commits_wait, end_walsender, loaded, reload, wake, walsenders,
};
use std::time::Duration;

fn sender<'a>(list: &'a [Walsender], name: &str) -> &'a Walsender {
    list.iter().find(|w| w.name == name).unwrap_or_else(|| panic!("no walsender of {name}: {list:?}"))
}

async fn list(session: &Session) -> Vec<Walsender> {
    walsenders(session, PATIENCE).await.unwrap()
}

/// A commit that waits for whoever it has to wait for, and whether it has come back.
struct Commit(tokio::task::JoinHandle<()>);

impl Commit {
    async fn begin(bed: &Bed) -> Self {
        let session = bed.session().await;
        Self(tokio::spawn(async move { execute(&session, "INSERT INTO t VALUES (1)").await }))
    }

    fn acknowledged(&self) -> bool {
        self.0.is_finished()
    }
}

async fn rows(session: &Session) -> i64 {
    session.scalar("count", "SELECT count(*) FROM t", PATIENCE).await.unwrap()
}

/// The rows in the table once all four writers wait. A waiter that a signal wakes for a moment is not one let go.
async fn standing(session: &Session) -> i64 {
    until(async || waiting(session).await == 4).await;
    rows(session).await
}

async fn waiting(session: &Session) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    session.scalar("count the waiters", sql, PATIENCE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_walsender_goes_on_by_its_old_list_and_shows_it() {
    let mut bed = Bed::with_standbys(5611, &["c-2", "c-3"]).await;
    let session = bed.session().await;
    execute(&session, "CREATE TABLE t (a int)").await;
    bed.set(r#"ANY 1 ("c-2","c-3")"#).await.unwrap();
    until(async || list(&session).await.iter().filter(|w| w.priority == 1).count() == 2).await;

    // c-2 is taken off the list while its walsender cannot hear of it.
    let frozen = sender(&list(&session).await, "c-2").clone();
    kill(Pid::from_raw(frozen.pid), Signal::SIGSTOP).unwrap();
    bed.set(r#"ANY 1 ("c-3")"#).await.unwrap();
    until(async || sender(&list(&session).await, "c-3").priority == 1).await;
    // A new session has the new list; the frozen walsender shows that it has the old one.
    assert_eq!(sender(&list(&session).await, "c-2").priority, 1, "by this it is told from one that follows");

    // That is no formality. With c-3 gone, a commit waits; c-2 acknowledges by the old list when it thaws, unless it
    // was made to end before.
    bed.stop("c-3").await;
    let commit = Commit::begin(&bed).await;
    until(async || waiting(&session).await == 1).await;
    end_walsender(&session, &frozen, PATIENCE).await.unwrap();
    assert_eq!(sender(&list(&session).await, "c-2").pid, frozen.pid, "told to end, it is still there while frozen");
    assert!(!commit.acknowledged());
    wake(&frozen);
    until(async || !list(&session).await.iter().any(|w| w.pid == frozen.pid)).await;
    // It comes back with the new list, in which it has no place.
    until(async || list(&session).await.iter().any(|w| w.name == "c-2" && w.flushed.is_some())).await;
    assert_eq!(sender(&list(&session).await, "c-2").priority, 0);
    let end = flushed(&session, PATIENCE).await.unwrap();
    until(async || sender(&list(&session).await, "c-2").flushed >= Some(end)).await;
    assert!(!commit.acknowledged(), "c-2 has it on disk, and its word does not count any more");
    assert_eq!(waiting(&session).await, 1);
    bed.resume("c-3").await;
    until(async || commit.acknowledged()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_nobody_is_let_go_by_an_old_list_once_the_new_one_is_in_force() {
    let mut bed = Bed::with_standbys(5615, &["c-2", "c-3"]).await;
    let session = bed.session().await;
    execute(&session, "CREATE TABLE t (a int)").await;
    bed.set(r#"ANY 1 ("c-2","c-3")"#).await.unwrap();
    let mut load = Vec::new();
    for _ in 0..4 {
        let writer = bed.session().await;
        load.push(tokio::spawn(async move {
            while writer.client().batch_execute("INSERT INTO t VALUES (1)").await.is_ok() {}
        }));
    }
    for round in 0..5 {
        // Only c-3 counts, and it cannot hear: whatever is released from now on is released by an old list.
        bed.set(r#"ANY 1 ("c-3")"#).await.unwrap();
        until(async || list(&session).await.iter().all(|w| w.priority == i32::from(w.name == "c-3"))).await;
        bed.freeze("c-3");
        let after = loop {
            let heard = sender(&list(&session).await, "c-3").flushed;
            let before = standing(&session).await;
            let end = prove_write_path(&session, PATIENCE).await.unwrap();
            until(async || sender(&list(&session).await, "c-2").flushed >= Some(end)).await;
            // Whoever was let go has its row in the table by the time that all of them wait again.
            let after = standing(&session).await;
            if before == after {
                break after;
            }
            // What c-3 had sent before it froze may be read late, and is an acknowledgement by the new list.
            let late = sender(&list(&session).await, "c-3").flushed;
            assert!(late > heard, "round {round}: {} let go, c-3 at {heard:?}", after - before);
        };
        bed.thaw("c-3");
        bed.set(r#"ANY 1 ("c-2","c-3")"#).await.unwrap();
        until(async || rows(&session).await > after).await;
    }
    for writer in load {
        writer.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_none_to_some_commits_are_seen_to_wait_before_anything_is_believed() {
    let mut bed = Bed::with_standbys(5619, &[]).await;
    let session = bed.session().await;
    execute(&session, "CREATE TABLE t (a int)").await;
    // Whether anybody waits is the checkpointer's to say: while it is frozen every list is ignored.
    let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
    let checkpointer: i32 = session.scalar("find the checkpointer", sql, PATIENCE).await.unwrap();
    kill(Pid::from_raw(checkpointer), Signal::SIGSTOP).unwrap();
    bed.set(r#"ANY 1 ("c-placeholder")"#).await.unwrap();
    execute(&session, "INSERT INTO t VALUES (1)").await;
    let socket = bed.socket();
    let to = bed.local(&socket);
    let refused = commits_wait(to, Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(refused, ReloadError::NoWaiting(_)), "{refused}");
    kill(Pid::from_raw(checkpointer), Signal::SIGCONT).unwrap();
    commits_wait(to, PATIENCE).await.unwrap();
    let commit = Commit::begin(&bed).await;
    until(async || waiting(&session).await >= 2).await;
    assert!(!commit.acknowledged());
    // What is not cancelled is not acknowledged either; an empty list lets all go.
    bed.set("").await.unwrap();
    until(async || commit.acknowledged()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_in_a_file_keeps_the_old_list_and_is_noticed() {
    let mut bed = Bed::with_standbys(5621, &[]).await;
    bed.set(r#"ANY 1 ("c-2")"#).await.unwrap();
    bed.write("postgresql.conf", &format!("{}this is no setting at all\n", bed.read("postgresql.conf")));
    let socket = bed.socket();
    bed.write("synchronous.conf", "synchronous_standby_names = ''\n");
    let error = reload(bed.local(&socket), &bed.handle(), "", Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(error, ReloadError::NotTaken(_)), "{error}");
    assert_eq!(loaded(bed.local(&socket), PATIENCE).await.unwrap().standby_names, r#"ANY 1 ("c-2")"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alter_system_fails_while_a_directory_is_in_its_way_and_an_override_is_noticed() {
    let mut bed = Bed::with_standbys(5622, &[]).await;
    let session = bed.session().await;
    bed.set(r#"ANY 1 ("c-2")"#).await.unwrap();
    std::fs::create_dir(bed.pgdata().join("postgresql.auto.conf.tmp")).unwrap();
    let alter = "ALTER SYSTEM SET synchronous_standby_names = ''";
    let error = session.batch("alter the system", alter, PATIENCE).await.unwrap_err();
    assert!(format!("{error:?}").contains("postgresql.auto.conf.tmp"), "{error:?}");
    assert_eq!(bed.set(r#"ANY 1 ("c-3")"#).await.unwrap(), ());
    // Whoever gets around it is found out at the next reload.
    bed.write("postgresql.auto.conf", "synchronous_standby_names = ''\n");
    let error = bed.set(r#"ANY 1 ("c-2")"#).await.unwrap_err();
    assert!(matches!(error, ReloadError::Overridden { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_are_made_on_the_primary_and_follow_on_a_standby() {
    let bed = Bed::with_standbys(5623, &["c-2"]).await;
    let (primary, standby) = (bed.session().await, bed.standby("c-2").await);
    let policy = Policy { enabled: true, prefix: "_cnpg_".into(), copy_users: true };
    let instances: Vec<String> = ["c-1", "c-2", "c-3"].map(str::to_owned).into();
    for step in on_primary(&policy, "c-1", &instances, &physical_slots(&primary, PATIENCE).await.unwrap()) {
        apply(&primary, &step, PATIENCE).await.unwrap();
    }
    execute(&primary, "SELECT pg_create_physical_replication_slot('users', true)").await;
    let names = async |session: &Session| -> Vec<String> {
        physical_slots(session, PATIENCE).await.unwrap().into_iter().map(|slot| slot.name).collect()
    };
    assert_eq!(names(&primary).await, ["_cnpg_c_2", "_cnpg_c_3", "users"]);
    let copy = async || {
        let (theirs, have) =
            (physical_slots(&primary, PATIENCE).await.unwrap(), physical_slots(&standby, PATIENCE).await.unwrap());
        for step in on_standby(&policy, "c-2", &theirs, &have, |_| false) {
            apply(&standby, &step, PATIENCE).await.unwrap();
        }
    };
    copy().await;
    assert_eq!(names(&standby).await, ["_cnpg_c_3", "users"]);
    // The primary's moves on, and the copy after it.
    execute(&primary, "SELECT pg_switch_wal(); CREATE TABLE t (a int); CHECKPOINT").await;
    let end = prove_write_path(&primary, PATIENCE).await.unwrap();
    apply(&primary, &SlotStep::Advance("users".into(), end), PATIENCE).await.unwrap();
    let at = async |session: &Session| -> Option<Lsn> {
        let slots = physical_slots(session, PATIENCE).await.unwrap();
        slots.into_iter().find(|slot| slot.name == "users").unwrap().restart
    };
    assert_eq!(at(&primary).await, Some(end));
    until(async || {
        copy().await;
        at(&standby).await == Some(end)
    })
    .await;
    // An instance that is gone takes its slot with it, on both.
    let fewer: Vec<String> = ["c-1", "c-2"].map(str::to_owned).into();
    for step in on_primary(&policy, "c-1", &fewer, &physical_slots(&primary, PATIENCE).await.unwrap()) {
        apply(&primary, &step, PATIENCE).await.unwrap();
    }
    copy().await;
    assert_eq!(names(&standby).await, ["users"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_are_all_stopped_are_told_from_some_that_are() {
    let bed = Bed::with_standbys(5625, &[]).await;
    let (session, one, other) = (bed.session().await, bed.session().await, bed.session().await);
    let own = async |session: &Session| -> Pid {
        Pid::from_raw(session.scalar("find a backend", "SELECT pg_backend_pid()", PATIENCE).await.unwrap())
    };
    let (one, other) = (own(&one).await, own(&other).await);
    let still = async || stand_still(&client_sessions(&session, PATIENCE).await.unwrap());
    assert!(!still().await);
    kill(one, Signal::SIGSTOP).unwrap();
    until(async || client_sessions(&session, PATIENCE).await.unwrap().contains(&State::Stopped)).await;
    assert!(!still().await, "one of two is served");
    kill(other, Signal::SIGSTOP).unwrap();
    until(async || still().await).await;
    kill(one, Signal::SIGCONT).unwrap();
    until(async || !still().await).await;
    kill(other, Signal::SIGCONT).unwrap();
}
