//! What an order comes to, by what is under way already.

use super::{RestoreFact, RestoreOrder, Revival, Stage};

/// What becomes of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is carried out already.
    Known,
    /// This is carried out from now on.
    Begin(Box<RestoreFact>),
    /// It is looked at again: what goes on now is over in a moment.
    Later(&'static str),
    /// It is not carried out.
    Refused(String),
}

/// Rules on an order. `kept` are the restores that volumes were put aside by.
#[must_use]
pub fn rule(order: &RestoreOrder, current: Option<&RestoreFact>, kept: &[String]) -> Ruling {
    if current.is_some_and(|current| current.order == order.id) {
        return Ruling::Known;
    }
    let begun = |revives| {
        Ruling::Begin(Box::new(RestoreFact {
            id: order.id.clone(),
            order: order.id.clone(),
            holder_is_dead: order.holder_is_dead,
            revives,
            ..RestoreFact::default()
        }))
    };
    match (order.undo, current) {
        (_, Some(current)) if changes_mind(order, current) => Ruling::Begin(Box::new(RestoreFact {
            order: order.id.clone(),
            holder_is_dead: current.holder_is_dead || order.holder_is_dead,
            ..current.clone()
        })),
        (false, Some(current)) if current.stage.is_under_way() => {
            Ruling::Refused(format!("restore {} is under way: undo it first, or wait for it", current.id))
        }
        (false, _) => match kept.first().filter(|_| !order.keep_both) {
            // An undo goes back to what the last restore has put aside, and to nothing before that.
            Some(earlier) => Ruling::Refused(format!(
                "the volumes that restore {earlier} has put aside are kept still, and nothing could go back to them after \
                 another one: --undo goes back to them now, --drop-old deletes them, --keep-both leaves them as they are"
            )),
            None => begun(None),
        },
        (true, None) => Ruling::Refused("nothing was restored, so there is nothing to go back to".to_owned()),
        (true, Some(current)) => undone(order, current, kept, begun),
    }
}

/// While it stops, the target may become another, and a person may say that the holder is dead for which it waits.
fn changes_mind(order: &RestoreOrder, current: &RestoreFact) -> bool {
    let same_way = order.undo == current.revives.is_some();
    current.stage == Stage::Stopping && same_way && (!order.undo || order.holder_is_dead)
}

fn undone(
    order: &RestoreOrder,
    current: &RestoreFact,
    kept: &[String],
    begun: impl FnOnce(Option<Revival>) -> Ruling,
) -> Ruling {
    match (current.stage, &current.before) {
        // The lease is as it was: its volumes have only to be taken back.
        (Stage::Stopping, _) => Ruling::Begin(Box::new(RestoreFact {
            order: order.id.clone(),
            stage: Stage::Reviving,
            before: None,
            revives: Some(Revival { restore: current.id.clone(), lease: None }),
            ..current.clone()
        })),
        (Stage::Closing | Stage::Reviving, _) => Ruling::Later("the lease to be closed, or the volumes to be back"),
        (_, Some(before)) if kept.contains(&current.id) => {
            begun(Some(Revival { restore: current.id.clone(), lease: Some(before.value.clone()) }))
        }
        _ => Ruling::Refused(format!("restore {} has left no volumes to go back to", current.id)),
    }
}
