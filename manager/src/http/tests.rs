//! The answers, as tables: a view in, a status code and a reason out.

use super::patroni::{health, parse_lag, primary, read_only, replica};
use super::probes::{healthz, pg_status, readyz, startupz};
use super::*;
use crate::sampler::{Look, Room, Rooms, WalFiles};
use core::time::Duration;
use pgherd_core::identity::SystemId;
use pgherd_core::lsn::Lsn;
use pgherd_core::time::Instant;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::SegmentSize;
use pgherd_postgres::sample::{Archiver, Receiver, Replica, Role as SqlRole, Sample};
use pgherd_proto::member::Phase;
use std::sync::Arc;

pub const NOW: Instant = Instant(1_000_000_000_000);

fn ago(seconds: u64) -> Instant {
    Instant(NOW.0 - seconds * 1_000_000_000)
}

fn look(role: SqlRole) -> Look {
    let archiver = Archiver {
        archived_count: 7,
        last_archived_wal: Some("000000010000000000000002".into()),
        last_archived_at: Some(1_700_000_000.5),
        failed_count: 1,
        last_failed_wal: None,
        last_failed_at: None,
        stats_reset_at: Some(1_600_000_000.0),
    };
    let replica = Replica {
        application_name: "c-2".into(),
        user: "streaming_replica".into(),
        client_address: Some("10.0.0.2".into()),
        client_port: Some(40_000),
        xmin_age: None,
        state: "streaming".into(),
        sent: Some(Lsn(0x300_0000)),
        written: None,
        flushed: None,
        replayed: None,
        write_lag: Some(0.000_123),
        flush_lag: None,
        replay_lag: None,
        sync_state: "async".into(),
        sync_priority: 0,
        started_at: 0.0,
    };
    let sample = Sample {
        version: 150_018,
        system_id: SystemId(7_421),
        started_at: 1_700_000_000.0,
        conf_loaded_at: 0.0,
        pending_restart: Vec::new(),
        pending_decrease: false,
        synchronous_standby_names: String::new(),
        replication: if matches!(role, SqlRole::Primary { .. }) { vec![replica] } else { Vec::new() },
        role,
        archiver,
        client_sessions: 0,
        checksum_failures: Some(2),
        slots: Vec::new(),
    };
    Look { sample, wal: None, limits: None, segment_size: SegmentSize::DEFAULT, sender_end: Some(Lsn(0x300_0400)) }
}

fn writing() -> Look {
    look(SqlRole::Primary { timeline: TimelineId(1), written: Lsn(0x300_0148), flushed: Lsn(0x300_0148) })
}

fn following() -> Look {
    look(SqlRole::Standby {
        timeline: TimelineId(1),
        received: Some(Lsn(0x300_0300)),
        replayed: Some(Lsn(0x300_0300)),
        replay_paused: false,
        lag_seconds: 0.5,
        receiver: Some(Receiver {
            status: "streaming".into(),
            sender_host: None,
            timeline: TimelineId(1),
            flushed: None,
            heard_at: None,
        }),
    })
}

fn blank() -> Look {
    look(SqlRole::Standby {
        timeline: TimelineId(1),
        received: None,
        replayed: None,
        replay_paused: false,
        lag_seconds: 0.0,
        receiver: None,
    })
}

/// A view whose parts a test changes.
pub struct Scene {
    instance: InstanceSnapshot,
    sample: Option<Sampled>,
}

impl Scene {
    fn new(phase: Phase, role: Role, look: Look) -> Self {
        let deadline = (role == Role::Primary).then_some(Instant(NOW.0 + 4_000_000_000));
        let instance = InstanceSnapshot {
            identity: Identity { pod: "c-1".into(), cluster: "c".into(), ..Identity::default() },
            phase,
            role,
            lease: LeaseView { deadline, renewed_at: Some(ago(1)), ..LeaseView::default() },
            postgres: PostgresState::Running,
            loop_at: NOW,
            ..InstanceSnapshot::default()
        };
        let files = WalFiles { segments: 3, bytes: 3 << 24, ready: 2, done: 1 };
        let room = |size: u64| Some(Room { size, free: size / 4 });
        let rooms = Rooms { data: room(100 << 30), wal: room(2 << 30) };
        let sample = Sampled {
            postgres: Ok(look),
            files,
            rooms,
            taken_at: ago(1),
            took: Duration::from_millis(2),
            count: 9,
            errors: 1,
        };
        Self { instance, sample: Some(sample) }
    }

    pub fn primary() -> Self {
        Self::new(Phase::Primary, Role::Primary, writing())
    }

    pub fn standby() -> Self {
        Self::new(Phase::Standby, Role::Standby, following())
    }

    pub fn with(mut self, change: impl FnOnce(&mut InstanceSnapshot)) -> Self {
        change(&mut self.instance);
        self
    }

    fn sampled(mut self, change: impl FnOnce(&mut Sampled)) -> Self {
        if let Some(sample) = &mut self.sample {
            change(sample);
        }
        self
    }

    pub fn view(self) -> View {
        View {
            instance: Arc::new(self.instance),
            sample: self.sample.map(Arc::new),
            now: NOW,
            wall_seconds: 1_700_000_010.5,
        }
    }
}

fn reason(answer: &Answer) -> String {
    match &answer.body {
        Body::Text(text) => text.clone(),
        Body::Json(value) => value.get("reason").map(ToString::to_string).unwrap_or_default(),
    }
}

#[test]
fn a_primary_is_ready_while_it_holds_the_lease_and_answers() {
    let cases: [(&str, Scene, u16, &str); 9] = [
        ("as it should be", Scene::primary(), 200, "OK"),
        ("lease gone", Scene::primary().with(|i| i.lease.deadline = None), 500, "run out"),
        ("lease past", Scene::primary().with(|i| i.lease.deadline = Some(NOW)), 500, "run out"),
        ("stale sample", Scene::primary().sampled(|s| s.taken_at = ago(4)), 500, "4.0 s old"),
        ("no answer", Scene::primary().sampled(|s| s.postgres = Err("no answer within 1s".into())), 500, "no answer"),
        ("down", Scene::primary().with(|i| i.postgres = PostgresState::Down), 500, "not running"),
        ("fenced", Scene::primary().with(|i| i.fenced = true), 500, "fenced"),
        ("promoting", Scene::primary().with(|i| i.phase = Phase::Promoting), 200, "OK"),
        ("crashed", Scene::primary().with(|i| i.phase = Phase::Recovering), 500, "recovering"),
    ];
    for (name, scene, status, text) in cases {
        let answer = readyz(&scene.view());
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        assert!(reason(&answer).contains(text), "{name}: {answer:?}");
    }
}

#[test]
fn a_standby_is_ready_once_it_has_data_unless_it_cannot_follow() {
    assert!(readyz(&Scene::standby().view()).is_ok());
    let behind = Scene::standby().with(|i| {
        i.cannot_follow = true;
        i.message = "does not stream from c-1 although that is open".into();
    });
    assert_eq!(reason(&readyz(&behind.view())), "does not stream from c-1 although that is open");
    let silent = Scene::new(Phase::Standby, Role::Standby, blank());
    assert!(reason(&readyz(&silent.view())).contains("neither replayed nor received"));
    let joining = Scene::standby().with(|i| {
        i.phase = Phase::Joining;
        i.message = "base backup from c-1".into();
    });
    assert_eq!(reason(&readyz(&joining.view())), "joining: base backup from c-1");
}

#[test]
fn an_answer_carries_the_age_of_its_sample() {
    assert_eq!(readyz(&Scene::primary().view()).age, Some(Duration::from_secs(1)));
    assert_eq!(healthz(&Scene::primary().view()).age, None);
}

#[test]
fn liveness_asks_nothing_but_whether_the_loop_turns() {
    let dead_postgres = Scene::primary().with(|i| i.postgres = PostgresState::Down).sampled(|s| s.taken_at = ago(500));
    assert!(healthz(&dead_postgres.view()).is_ok());
    assert!(!healthz(&Scene::primary().with(|i| i.loop_at = ago(21)).view()).is_ok());
}

#[test]
fn startup_waits_for_postgres_but_not_where_a_restart_would_not_help() {
    assert!(startupz(&Scene::standby().view()).is_ok());
    let starting = Scene::standby().with(|i| {
        i.phase = Phase::Starting;
        i.postgres = PostgresState::Starting;
    });
    assert_eq!(startupz(&starting.view()).status, 500);
    for phase in [Phase::Stuck, Phase::Released, Phase::Recovering, Phase::Initializing, Phase::Joining] {
        let scene = Scene::standby().with(|i| {
            i.phase = phase;
            i.postgres = PostgresState::Down;
        });
        assert_eq!(reason(&startupz(&scene.view())), "Skipped");
    }
}

#[test]
fn load_balancers_find_the_primary_by_its_lease_and_standbys_by_their_lag() {
    let status = |answer: Answer| answer.status;
    assert_eq!(status(primary(&Scene::primary().view())), 200);
    assert_eq!(status(primary(&Scene::standby().view())), 503);
    assert_eq!(status(replica(&Scene::primary().view(), None)), 503);
    assert_eq!(status(replica(&Scene::standby().view(), None)), 200);
    assert_eq!(status(replica(&Scene::standby().view(), Some(256))), 200);
    assert_eq!(status(replica(&Scene::standby().view(), Some(255))), 503);
    assert_eq!(status(read_only(&Scene::primary().view())), 200);
    assert_eq!(status(read_only(&Scene::standby().view())), 200);
    assert_eq!(status(health(&Scene::standby().with(|i| i.role = Role::None).view())), 200);
    // A promoting member holds the lease, but postgres has not left recovery.
    let promoting = Scene::new(Phase::Promoting, Role::Primary, following());
    assert_eq!(status(primary(&promoting.view())), 503);
    let unlinked = Scene::new(Phase::Standby, Role::Standby, {
        let mut look = following();
        if let SqlRole::Standby { receiver, .. } = &mut look.sample.role {
            *receiver = None;
        }
        look
    });
    assert_eq!(status(replica(&unlinked.view(), Some(u64::MAX))), 503);
}

#[test]
fn a_lag_is_bytes_with_the_units_of_postgres() {
    for (text, bytes) in
        [("0", 0), ("16B", 16), ("10MB", 10 << 20), ("10 mb", 10 << 20), ("1GB", 1 << 30), ("2k", 2048)]
    {
        assert_eq!(parse_lag(text), Ok(bytes), "{text}");
    }
    for text in ["", "MB", "-1", "1.5MB", "10XB", "99999999999999999999", "99999999999TB", "1é"] {
        assert!(parse_lag(text).is_err(), "{text}");
    }
}

#[test]
fn status_speaks_cnpgs_names_and_says_when_postgres_may_be_away() {
    let Body::Json(up) = pg_status(&Scene::primary().view()).body else { panic!("not JSON") };
    assert_eq!(up["isPrimary"], true);
    assert_eq!(up["currentLsn"], "0/3000148");
    assert_eq!(up["currentWAL"], "000000010000000000000003");
    assert_eq!(up["readyWalFiles"], 2);
    assert_eq!(up["isArchivingWAL"], true);
    assert_eq!(up["replicationInfo"][0]["writeLag"], "00:00:00.000123");
    assert_eq!(up["lastArchivedWALTime"], "2023-11-14T22:13:20.5Z");
    let down = Scene::primary().with(|i| i.postgres = PostgresState::Down);
    let answer = pg_status(&down.view());
    let Body::Json(down) = answer.body else { panic!("not JSON") };
    assert_eq!((answer.status, &down["mightBeUnavailable"]), (200, &true.into()));
    assert_eq!(down["pod"]["metadata"]["name"], "c-1");
    assert_eq!(down["isPrimary"], false);
}
