//! The WAL of a backup: it is complete once the archive has all of it.

use crate::config::STATUS_PORT;
use crate::context::Context;
use core::time::Duration;
use pgherd_backup::WalArchive;
use pgherd_core::archive::admit;
use pgherd_core::identity::SystemId;
use pgherd_core::lsn::Lsn;
use pgherd_core::wal::{SegmentName, SegmentSize};
use pgherd_dial::{Call, ask_json};
use pgherd_proto::control::{SwitchWalRequest, WalSwitched};
use pgherd_telemetry::chain;
use tokio::time::Instant;

/// Archiving may lag behind, or be away, for so long.
const ARCHIVED_WITHIN: Duration = Duration::from_secs(600);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A primary that was asked to switch is asked again after so long: another may have taken over since.
const ASK_AGAIN: Duration = Duration::from_secs(15);
/// For the primary's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What has to be there.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    /// From this segment
    pub first: SegmentName,
    /// to this one.
    pub last: SegmentName,
    /// Where it ends.
    pub end: Lsn,
    /// Bytes of a segment.
    pub size: SegmentSize,
    /// Whose it is.
    pub system: SystemId,
    /// The backup was taken from a standby, where nothing can switch to another segment.
    pub from_standby: bool,
}

/// Waits until the archive has it.
///
/// # Errors
/// For people: which segment is missing, and for how long was waited.
pub async fn archived(cx: &Context, archive: &WalArchive, needed: Needed) -> Result<(), String> {
    let Needed { first, last, end, size, system, from_standby } = needed;
    let began = Instant::now();
    let mut asked: Option<Instant> = None;
    loop {
        if from_standby && asked.is_none_or(|at| at.elapsed() >= ASK_AGAIN) {
            match switch(cx, end).await {
                Ok(at) => tracing::debug!(%at, "the primary writes on past the end of the backup"),
                Err(why) => tracing::warn!(%why, "the primary was not asked to complete a WAL segment"),
            }
            asked = Some(Instant::now());
        }
        let missing = match archive.first_missing(first, last, size).await {
            // Where two began in an empty archive at once, segments of these names may be the other one's.
            Ok(None) => match archive.system_of(first).await {
                Ok(owner) => return admit(owner, system).map_err(|foreign| chain(&foreign)),
                Err(error) => chain(&error),
            },
            Ok(Some(segment)) => format!("the archive lacks {segment}"),
            Err(error) => chain(&error),
        };
        if began.elapsed() >= ARCHIVED_WITHIN {
            let within = ARCHIVED_WITHIN.as_secs();
            return Err(format!("the WAL that the backup needs was not archived within {within} s: {missing}"));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn switch(cx: &Context, end: Lsn) -> Result<Lsn, String> {
    let leader = cx.following.borrow().clone().ok_or("there is no primary to follow")?;
    let tls = cx.certificates.client().ok_or("no certificate yet")?;
    let body = serde_json::to_vec(&SwitchWalRequest { lsn: end }).map_err(|error| chain(&error))?;
    let call = Call::post("/pg/wal/switch", body, ANSWER_WITHIN);
    let done: WalSwitched = ask_json(tls, &leader.address, STATUS_PORT, call).await.map_err(|error| chain(&error))?;
    Ok(done.lsn)
}
