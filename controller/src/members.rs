//! Asking the members, all at once and not for long: fence yourself and say what you hold (rule E3).

use crate::apply::read_authority;
use crate::caches::{Caches, Key};
use crate::clock;
use crate::observe::report_view;
use crate::tls::text;
use core::time::Duration;
use futures::future::{join, join_all};
use http::StatusCode;
use jiff::Timestamp;
use kube::ResourceExt;
use pgherd_core::cluster::{Observed, PodView, Report, SecretKind};
use pgherd_core::election::{Why, hears_holder};
use pgherd_core::lease::{LeaseRecord, Versioned, WalPosition};
use pgherd_core::time::Instant;
use pgherd_core::timeline::TimelineId;
use pgherd_dial::{Call, CallError, ask_json};
use pgherd_pki::{ClientIdentity, Usage, client_config};
use pgherd_proto::control::FenceRequest;
use pgherd_proto::member::MemberReport;
use pgherd_proto::names::CONTROLLER_COMMON_NAME;
use pgherd_proto::secrets::CA_CRT;
use pgherd_proto::status::PostgresqlStatus;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// An election does not wait longer for anybody.
const DEADLINE: Duration = Duration::from_secs(1);
/// Nor longer than this for a holder that has not renewed its lease: mostly it does not answer at all.
const HOLDER_DEADLINE: Duration = Duration::from_millis(300);

/// There is no certificate to show, so nobody can be asked.
#[derive(Debug, thiserror::Error)]
#[error("failed to set up TLS: {0}")]
pub struct NoIdentity(String);

/// A client configuration, the version of the authority that signed for it, and when.
type Signed = (String, Instant, Arc<rustls::ClientConfig>);
/// A controller that runs for long signs for itself again, well before its certificate ends.
const SIGNED_FOR: Duration = Duration::from_secs(86_400);

/// Dials managers with certificates that it signs itself, one per cluster and authority.
#[derive(Clone)]
pub struct Members {
    port: u16,
    configs: Arc<Mutex<HashMap<Key, Signed>>>,
}

impl Members {
    /// Nobody was asked yet. `port` is that of the managers' status.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self { port, configs: Arc::default() }
    }

    /// Fences every member but the holder at this lease's term, and puts the answers into `observed`. Whoever
    /// does not answer keeps its annotation, which counts for nothing in an election. A holder that stopped because it
    /// did not reach the API could not say so there: it is heard where no record says who else has what it wrote.
    pub async fn fence(
        &self,
        caches: &Caches,
        key: &Key,
        lease: &Versioned<LeaseRecord>,
        why: &Why,
        observed: &mut Observed,
    ) {
        let Some(config) = self.config_or_say(caches, key) else { return };
        let request = FenceRequest { term: lease.value.term, lease_version: lease.version.clone() };
        let Ok(body) = serde_json::to_vec(&request) else { return };
        let alive = observed.pods.iter().enumerate().filter(|(_, pod)| pod.is_alive());
        let (holder, others): (Vec<_>, Vec<_>) = alive.partition(|(_, pod)| pod.holds(&lease.value));
        let fence = others.into_iter().map(|(at, pod)| {
            let (config, call) = (&config, Call::post("/pg/fence", body.clone(), DEADLINE));
            async move { (at, pod.name.clone(), self.ask::<MemberReport>(config, pod, call).await) }
        });
        let hear = async {
            let (at, pod) = holder.first().filter(|_| hears_holder(&lease.value, why))?;
            let call = Call::get("/pg/member", HOLDER_DEADLINE);
            Some((*at, self.ask::<MemberReport>(&config, pod, call).await.ok()?))
        };
        let (answers, heard) = join(join_all(fence), hear).await;
        if let Some((at, report)) = heard
            && let Some(pod) = observed.pods.get_mut(at).filter(|pod| pod.uid == report.pod_uid)
        {
            // As its annotation would say: it is no candidate, but it may offer WAL.
            pod.report = Some(report_view(&report, false));
        }
        for (at, name, answer) in answers {
            let Some(pod) = observed.pods.get_mut(at) else { continue };
            match answer {
                Ok(report) if report.pod_uid == pod.uid => pod.report = Some(report_view(&report, true)),
                Ok(_) => tracing::warn!(member = %name, "another pod answered at this member's address"),
                Err(error) => {
                    pod.counts_on_holder = error.refusal() == Some(StatusCode::TOO_EARLY);
                    tracing::info!(member = %name, error = %pgherd_telemetry::chain(&error), "a member was not fenced");
                }
            }
        }
    }

    /// Hears from everybody, without fencing anybody: who answers is there, and what its annotation says is its own.
    pub async fn call(&self, caches: &Caches, key: &Key, observed: &mut Observed) {
        let Some(config) = self.config_or_say(caches, key) else { return };
        for (at, status) in self.statuses(&config, observed).await {
            if let Some(report) = observed.pods.get_mut(at).and_then(|pod| pod.report.as_mut()) {
                // Of another process, the annotation may be a predecessor's.
                report.fresh = status.session_id == report.nonce.0;
            }
        }
    }

    /// Looks at the target and the primary of a switchover, without fencing anybody.
    pub async fn look(&self, caches: &Caches, key: &Key, observed: &mut Observed) {
        let Some(config) = self.config_or_say(caches, key) else { return };
        for (at, status) in self.statuses(&config, observed).await {
            if let Some(report) = observed.pods.get_mut(at).and_then(|pod| pod.report.as_mut()) {
                refresh(report, &status);
            }
        }
    }

    /// What those answer who do, by their place among the pods.
    async fn statuses(
        &self,
        config: &Arc<rustls::ClientConfig>,
        observed: &Observed,
    ) -> Vec<(usize, PostgresqlStatus)> {
        let alive = observed.pods.iter().enumerate().filter(|(_, pod)| pod.is_alive());
        let answers = alive.map(|(at, pod)| async move {
            let status = self.ask(config, pod, Call::get("/pg/status", DEADLINE)).await;
            status.ok().map(|status| (at, status))
        });
        join_all(answers).await.into_iter().flatten().collect()
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        config: &Arc<rustls::ClientConfig>,
        pod: &PodView,
        call: Call,
    ) -> Result<T, CallError> {
        ask_json(config.clone(), pod.ip.as_deref().unwrap_or_default(), self.port, call).await
    }

    fn config_or_say(&self, caches: &Caches, key: &Key) -> Option<Arc<rustls::ClientConfig>> {
        match self.config(caches, key) {
            Ok(config) => Some(config),
            Err(error) => {
                tracing::error!(cluster = %key.name, namespace = %key.namespace, %error, "no member can be asked");
                None
            }
        }
    }

    fn config(&self, caches: &Caches, key: &Key) -> Result<Arc<rustls::ClientConfig>, NoIdentity> {
        let name = SecretKind::Ca.name(&key.name);
        let secret =
            caches.secret(&key.namespace, &name).ok_or_else(|| NoIdentity(format!("secret {name} is absent")))?;
        let instances = caches.secret(&key.namespace, &SecretKind::Instances.name(&key.name));
        let version = [Some(&secret), instances.as_ref()]
            .map(|secret| secret.and_then(|secret| secret.resource_version()).unwrap_or_default())
            .join("/");
        let now = clock::now();
        if let Some((known, since, config)) = self.configs().get(key)
            && *known == version
            && now.since(*since) < SIGNED_FOR
        {
            return Ok(config.clone());
        }
        // Signed without the lock: many clusters may hold their first election at the same time.
        let authority = read_authority(&secret).map_err(NoIdentity)?;
        let leaf = authority.sign(CONTROLLER_COMMON_NAME, &Usage::Client, Timestamp::now());
        let leaf = leaf.map_err(|error| NoIdentity(error.to_string()))?;
        let identity = ClientIdentity { certificate_pem: &leaf.certificate_pem, key_pem: &leaf.key_pem };
        // Where the authority was swapped, managers show for a while what the one before has signed.
        let theirs = instances.and_then(|secret| text(&secret, CA_CRT)).unwrap_or_default();
        let believed = format!("{}\n{theirs}", authority.certificate_pem().trim_end());
        let config = client_config(&believed, Some(identity));
        let config = Arc::new(config.map_err(|error| NoIdentity(error.to_string()))?);
        self.configs().insert(key.clone(), (version, now, config.clone()));
        Ok(config)
    }

    /// A cluster is gone.
    pub fn forget(&self, key: &Key) {
        self.configs().remove(key);
    }

    fn configs(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Signed>> {
        self.configs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Brings a report up to date from the status. A standby that has only just begun answers, and cannot say yet how far it
/// is: what its annotation says was another process' word.
fn refresh(report: &mut Report, status: &PostgresqlStatus) {
    // The annotation's timeline may be that of a moment before; it belongs to the position that stands beside it.
    let said = u32::try_from(status.timeline_id).ok().filter(|id| *id > 0).map(TimelineId);
    let timeline = said.or(report.position.map(|position| position.timeline)).unwrap_or_default();
    let lsn = if status.is_primary { status.current_lsn } else { status.received_lsn };
    let known = report.position.filter(|_| status.is_primary);
    report.position = lsn.map(|lsn| WalPosition { timeline, lsn }).or(known);
    report.fresh = true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_core::lsn::Lsn;

    #[test]
    fn a_standby_that_cannot_say_yet_how_far_it_is_answers_all_the_same() {
        let at = |lsn: u64| Some(WalPosition { timeline: TimelineId(1), lsn: Lsn(lsn) });
        let read = |is_primary, current: Option<u64>, received: Option<u64>| {
            let mut report = Report { position: at(5), ..Report::default() };
            let (current_lsn, received_lsn) = (current.map(Lsn), received.map(Lsn));
            let status = PostgresqlStatus {
                is_primary,
                current_lsn,
                received_lsn,
                timeline_id: 1,
                ..PostgresqlStatus::default()
            };
            refresh(&mut report, &status);
            assert!(report.fresh);
            report.position
        };
        assert_eq!(read(false, None, None), None);
        assert_eq!(read(false, None, Some(7)), at(7));
        assert_eq!(read(true, Some(9), None), at(9));
        assert_eq!(read(true, None, None), at(5), "how far a target is behind it is not forgotten");
        let mut report = Report { position: at(5), ..Report::default() };
        let received_lsn = Some(Lsn(7));
        refresh(&mut report, &PostgresqlStatus { received_lsn, timeline_id: 2, ..PostgresqlStatus::default() });
        let followed = WalPosition { timeline: TimelineId(2), lsn: Lsn(7) };
        assert_eq!(report.position, Some(followed), "a position is never put onto the timeline of another");
    }
}
