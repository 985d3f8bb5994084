//! Rule L7 over HTTP: a round of pledges, asked of all members at once.

use crate::clock;
use crate::config::STATUS_PORT;
use crate::context::Context;
use core::time::Duration;
use futures::future::join_all;
use pgherd_core::instance::{Outcome, PledgeRound};
use pgherd_core::sync::{MAX_PLEDGE_ROUND, Pledge};
use pgherd_dial::Call;
use pgherd_proto::control::{PledgeGiven, PledgeRequest};
use pgherd_telemetry::chain;

/// An answer must be back, and handled, before the round is over.
const ANSWER_WITHIN: Duration = MAX_PLEDGE_ROUND.saturating_sub(Duration::from_millis(100));

/// Asks every member; says who pledged, and when the asking began.
pub async fn ask(cx: &Context, round: &PledgeRound) -> Outcome {
    let Some(tls) = cx.certificates.client() else { return Outcome::Failed("no certificate yet".to_owned()) };
    let PledgeRound { nonce, term, round: number, lease_duration, members } = round;
    let request = PledgeRequest { nonce: nonce.clone(), term: *term, round: *number, lease_duration: *lease_duration };
    let body = serde_json::to_vec(&request).unwrap_or_default();
    let sent = clock::now();
    let asked = members.iter().map(|member| {
        let (tls, body) = (tls.clone(), body.clone());
        async move {
            if member.address.is_empty() {
                return Err(format!("{} has no address", member.name));
            }
            let call = Call::post("/failsafe", body, ANSWER_WITHIN);
            let answer = pgherd_dial::ask_json::<PledgeGiven>(tls, &member.address, STATUS_PORT, call).await;
            let given = answer.map_err(|error| format!("{}: {}", member.name, chain(&error)))?;
            // A pod of the same name that came after it promises nothing for it (hole 12).
            if given.pod_uid != member.pod_uid {
                return Err(format!("{} is another pod by now", member.name));
            }
            Ok(Pledge { pod_uid: given.pod_uid, incarnation: given.incarnation })
        }
    });
    let mut by = Vec::new();
    for answer in join_all(asked).await {
        match answer {
            Ok(pledge) => by.push(pledge),
            Err(why) => tracing::warn!(%why, round = *number, "a member does not pledge"),
        }
    }
    Outcome::Pledged { sent, by }
}
