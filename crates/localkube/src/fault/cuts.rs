//! Networks cut and slowed down.

use std::sync::Arc;
use std::time::Duration;

use super::inject::Faults;
use super::lasting::Undo;
use super::processes::full_name;
use super::request::{Cut, Way};
use super::{Done, FaultError, network};
use crate::node::RunningPod;

impl Faults {
    pub(super) async fn cut(&self, cut: &Cut) -> Result<Done, FaultError> {
        let pods = cut.pods.iter().map(|pod| self.find(pod)).collect::<Result<Vec<_>, _>>()?;
        let peers = cut.from.iter().map(|from| self.peer(from)).collect::<Result<Vec<_>, _>>()?;
        let holder = |pod: &RunningPod| pod.holder.ok_or_else(|| FaultError::Pod(pod.name.clone()));
        let holders = pods.iter().map(holder).collect::<Result<Vec<_>, _>>()?;
        let id = self.registry.next("cut");
        let table = format!("pgherd_{}", id.replace('-', "_"));
        let script = network::script(&table, &peers, cut.way, cut.percent);
        for holder in &holders {
            network::cut(*holder, &script).await?;
        }
        let flapping = cut.flap.map(|flap| {
            let (holders, table) = (holders.clone(), table.clone());
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(flap.cut)).await;
                    for holder in &holders {
                        let _gone = network::heal(*holder, &table).await;
                    }
                    tokio::time::sleep(Duration::from_millis(flap.open)).await;
                    for holder in &holders {
                        let _gone = network::cut(*holder, &script).await;
                    }
                }
            })
            .abort_handle()
        });
        let way = match cut.way {
            Way::Both => "",
            Way::In => ", incoming only",
            Way::Out => ", outgoing only",
        };
        let share = cut.percent.map(|percent| format!(", {percent} % of the packets")).unwrap_or_default();
        let turns = cut.flap.map(|f| format!(", {} ms cut and {} ms open", f.cut, f.open)).unwrap_or_default();
        let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
        let text = format!("{} cut off from {}{way}{share}{turns}", names.join(", "), cut.from.join(", "));
        let pod = pods.first().map(full_name);
        self.registry.add(&id, pod.as_deref(), &text, Undo::Cut { holders, table, flapping });
        Ok(Done::lasts(id, text))
    }

    pub(super) fn peer(&self, from: &str) -> Result<network::Peer, FaultError> {
        Ok(match from {
            "api" => network::Peer::Api,
            "s3" => network::Peer::S3,
            "pods" | "replicas" => network::Peer::Pods,
            "clients" => network::Peer::Clients,
            "controller" => network::Peer::Controller,
            "all" => network::Peer::All,
            other => {
                network::Peer::Address(self.find(other)?.address.ok_or_else(|| FaultError::Pod(other.to_owned()))?)
            }
        })
    }

    pub(super) async fn link(&self, pod: &str, kbit: Option<u32>, delay: Option<u32>) -> Result<Done, FaultError> {
        let found = self.find(pod)?;
        let (Some(holder), Some(address)) = (found.holder, found.address) else {
            return Err(FaultError::Pod(pod.to_owned()));
        };
        let rate = kbit.map(|kbit| format!("{kbit} kbit/s")).unwrap_or_default();
        let wait = delay.map(|delay| format!(" {delay} ms late")).unwrap_or_default();
        let text = format!("the link of {} is slow: {rate}{wait}", found.name);
        let is_late = |undo: &Undo| matches!(undo, Undo::Late { holder: other, .. } if *other == holder);
        if delay.is_some() && self.registry.any(is_late) {
            return Err(FaultError::Late(found.name));
        }
        if let Some(kbit) = kbit {
            network::narrow(&self.network, holder, address, kbit).await?;
        }
        let undo = match delay {
            None => Undo::Narrow { holder, address },
            Some(delay) => {
                let relay = Arc::new(network::delay(&self.network, address, delay).await?);
                Undo::Late { holder, address, relay, narrow: kbit.is_some() }
            }
        };
        let id = self.registry.next("link");
        self.registry.add(&id, Some(&full_name(&found)), &text, undo);
        Ok(Done::lasts(id, text))
    }
}
