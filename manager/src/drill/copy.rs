//! The throw-away instance, up for the checks that need one: on a socket of the container, and for nobody else.

use crate::config::POSTGRES_PORT;
use core::time::Duration;
use pgherd_postgres::control_data::ControlData;
use pgherd_postgres::lines::LineSink;
use pgherd_postgres::process::{Postgres, PostmasterHandle, StopMode};
use pgherd_postgres::promote::wait_ready;
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::sql::{Local, Session, SqlError};
use pgherd_postgres::volume_lock::VolumeLock;
use pgherd_telemetry::chain;
use std::sync::Arc;

const CONTROL_DATA_WITHIN: Duration = Duration::from_secs(20);
const STOP_WITHIN: Duration = Duration::from_secs(60);
const SESSION_WITHIN: Duration = Duration::from_secs(30);

/// A directory that has recovered.
pub struct Copy<'a> {
    /// Owner of the processes.
    pub reaper: &'a Reaper,
    lock: &'a VolumeLock,
    /// The directory and its programs.
    pub postgres: Postgres,
    lines: LineSink,
    running: Option<PostmasterHandle>,
}

impl<'a> Copy<'a> {
    /// It is down.
    #[must_use]
    pub fn new(reaper: &'a Reaper, lock: &'a VolumeLock, postgres: Postgres, lines: LineSink) -> Self {
        Self { reaper, lock, postgres, lines, running: None }
    }

    /// Its control data.
    ///
    /// # Errors
    /// For people.
    pub async fn control(&self) -> Result<ControlData, String> {
        let Postgres { bin_dir, pgdata, .. } = &self.postgres;
        ControlData::read(self.reaper, bin_dir, pgdata, CONTROL_DATA_WITHIN).await.map_err(|e| chain(&e))
    }

    /// Starts it.
    ///
    /// # Errors
    /// For people.
    pub async fn start(&mut self, within: Duration) -> Result<(), String> {
        let sockets = self.postgres.socket_dir.display().to_string();
        let mut settings: Vec<String> = [
            ("listen_addresses", ""),
            ("unix_socket_directories", sockets.as_str()),
            ("ssl", "off"),
            ("archive_mode", "off"),
            ("autovacuum", "off"),
            // It is thrown away: nothing of it needs to be on disk.
            ("fsync", "off"),
            ("restart_after_crash", "off"),
            ("logging_collector", "off"),
            ("log_destination", "stderr"),
            ("log_line_prefix", ""),
            // Neither a query nor what it stumbles over gets into a log.
            ("log_min_messages", "fatal"),
            ("log_min_error_statement", "panic"),
        ]
        .map(|(name, value)| format!("{name}={value}"))
        .to_vec();
        let control = self.control().await?;
        settings.extend(control.sensitive.iter().map(|(name, value)| format!("{name}={value}")));
        let started = self.postgres.start(self.reaper, self.lock, &settings, Arc::clone(&self.lines)).await;
        let mut postmaster = started.map_err(|e| chain(&e))?;
        let handle = postmaster.handle();
        // Reads its output until its end.
        tokio::spawn(async move { drop(postmaster.wait().await) });
        drop(wait_ready(&self.postgres, &handle, within).await.map_err(|e| chain(&e))?);
        self.running = Some(handle);
        Ok(())
    }

    /// A session as the superuser.
    ///
    /// # Errors
    /// [`SqlError`].
    pub async fn session(&self, database: &str) -> Result<Session, SqlError> {
        let socket_dir = &self.postgres.socket_dir;
        let to = Local { socket_dir, port: POSTGRES_PORT, database, application_name: "pgherd-drill" };
        Session::local(to, SESSION_WITHIN).await
    }

    /// Ends it.
    ///
    /// # Errors
    /// For people.
    pub async fn stop(&mut self, mode: StopMode) -> Result<(), String> {
        let Some(handle) = self.running.take().filter(|handle| handle.ended().is_none()) else { return Ok(()) };
        handle.stop(mode).map_err(|e| chain(&e))?;
        match tokio::time::timeout(STOP_WITHIN, handle.wait()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err("the throw-away postgres does not stop".to_owned()),
        }
    }
}
