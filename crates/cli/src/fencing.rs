//! `pgherd fencing`: postgres of an instance is kept down, and its pod stays to be looked into.

use anyhow::anyhow;
use clap::Subcommand;
use pgherd_proto::labels;
use serde_json::json;

use crate::annotate::{annotate_over, is_conflict};
use crate::args::Output;
use crate::instance::{ALL, InstanceArguments, find_one};
use crate::output;

/// On or off.
#[derive(Debug, Subcommand)]
pub enum FencingVerb {
    /// Stop postgres there, and keep it down. Nobody takes the place of a fenced primary.
    On {
        #[command(flatten)]
        instance: InstanceArguments,
    },
    /// Let it start again.
    Off {
        #[command(flatten)]
        instance: InstanceArguments,
    },
}

/// So often in a row somebody else is first, at the most.
const MOST_CONFLICTS: u32 = 10;

/// Changes the list on the Cluster.
pub async fn run(verb: &FencingVerb, shape: Output) -> anyhow::Result<u8> {
    let (wanted, on) = match verb {
        FencingVerb::On { instance } => (instance, true),
        FencingVerb::Off { instance } => (instance, false),
    };
    let mut conflicts = 0;
    let (found, after) = loop {
        let (found, instance) = find_one(wanted).await?;
        let before = found.cluster.fenced_instances();
        let after = changed(&before, &instance, on).map_err(|why| anyhow!(why))?;
        if after == before {
            break (found, after);
        }
        let text = (!after.is_empty()).then(|| json!(after).to_string());
        match annotate_over(&found, labels::FENCED_INSTANCES, text.as_deref()).await {
            // Others write the status all the time.
            Err(error) if is_conflict(&error) && conflicts < MOST_CONFLICTS => conflicts += 1,
            done => {
                done?;
                break (found, after);
            }
        }
    };
    let told = json!({"cluster": found.name, "namespace": found.namespace, "fencedInstances": after});
    output::print(shape, &told, || match after.as_slice() {
        [] => format!("no instance of {} is fenced", found.name),
        fenced => format!("fenced in {}: {}", found.name, fenced.join(", ")),
    })?;
    Ok(0)
}

/// The list afterwards.
fn changed(fenced: &[String], instance: &str, on: bool) -> Result<Vec<String>, String> {
    let all = fenced.iter().any(|name| name == ALL);
    match (on, instance) {
        (true, ALL) => Ok(vec![ALL.to_owned()]),
        (false, ALL) => Ok(Vec::new()),
        (true, _) if all => Ok(fenced.to_vec()),
        (false, _) if all => {
            Err(format!("all instances are fenced at once: lift that first, by `{} fencing off '*'`", crate::called()))
        }
        (true, _) => {
            let mut after: Vec<String> = fenced.iter().filter(|name| *name != instance).cloned().collect();
            after.push(instance.to_owned());
            Ok(after)
        }
        (false, _) => Ok(fenced.iter().filter(|name| *name != instance).cloned().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::changed;

    #[test]
    fn fences_come_and_go_one_by_one_or_all_at_once() {
        let cases: [(&[&str], &str, bool, &[&str]); 8] = [
            (&[], "c-1", true, &["c-1"]),
            (&["c-1"], "c-2", true, &["c-1", "c-2"]),
            (&["c-1"], "c-1", true, &["c-1"]),
            (&["c-1", "c-2"], "c-1", false, &["c-2"]),
            (&["c-1"], "*", true, &["*"]),
            (&["*"], "c-1", true, &["*"]),
            (&["*"], "*", false, &[]),
            (&["c-1", "c-2"], "*", false, &[]),
        ];
        for (before, instance, on, after) in cases {
            let before: Vec<String> = before.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(changed(&before, instance, on).unwrap(), after, "{before:?} {instance} {on}");
        }
        assert!(changed(&["*".to_owned()], "c-1", false).unwrap_err().contains("lift that first"));
    }
}
