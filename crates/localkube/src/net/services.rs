//! Services: Endpoints objects from labels and readiness, and a TCP proxy per port of a cluster IP.
//!
//! A port is listened on only while a pod behind it is ready, so a client is refused as by kube-proxy. A connection that
//! lives is not cut when its pod stops being ready.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::hosts::ServiceName;
use super::proxy;
use crate::api::object::{is_terminating, list, meta, name, namespace, text, uid};
use crate::api::{ApiError, Store, WatchStart};

/// How long to wait after a cluster IP could not be listened on.
const LISTEN_RETRY: Duration = Duration::from_millis(500);

type PortKey = (Ipv4Addr, u16);
type Backends = Vec<SocketAddr>;

struct Proxy {
    backends: watch::Sender<Backends>,
    task: AbortHandle,
}

/// Serves all Services until `stop`; `names` is told what there is, for `/etc/hosts`.
pub async fn run(store: Store, names: watch::Sender<Vec<ServiceName>>, stop: CancellationToken) {
    tokio::select! {
        ended = follow(&store, &names) => if let Err(error) = ended {
            tracing::error!(%error, "the proxies of services have stopped");
        },
        () = stop.cancelled() => {}
    }
}

async fn follow(store: &Store, names: &watch::Sender<Vec<ServiceName>>) -> Result<(), ApiError> {
    let mut proxies: BTreeMap<PortKey, Proxy> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    let mut pods = store.watch("pods", None, WatchStart::Everything)?;
    let mut services = store.watch("services", None, WatchStart::Everything)?;
    loop {
        refresh(store, names, &mut proxies, &mut tasks)?;
        // What changed does not matter; only that something did.
        tokio::select! {
            change = pods.next() => if change.is_err() { pods = store.watch("pods", None, WatchStart::Everything)?; },
            change = services.next() => if change.is_err() {
                services = store.watch("services", None, WatchStart::Everything)?;
            },
        }
        while matches!(pods.try_next(), Ok(Some(_))) {}
        while matches!(services.try_next(), Ok(Some(_))) {}
        while tasks.try_join_next().is_some() {}
    }
}

fn refresh(
    store: &Store,
    names: &watch::Sender<Vec<ServiceName>>,
    proxies: &mut BTreeMap<PortKey, Proxy>,
    tasks: &mut JoinSet<()>,
) -> Result<(), ApiError> {
    let services = store.list("services", None, "")?.items;
    let pods = store.list("pods", None, "")?.items;
    let mut wanted: BTreeMap<PortKey, Backends> = BTreeMap::new();
    let mut known = Vec::new();
    for service in &services {
        let address = text(service, "/spec/clusterIP").parse::<Ipv4Addr>().ok();
        if let Some(address) = address {
            let (namespace, name) = (namespace(service).to_owned(), name(service).to_owned());
            known.push(ServiceName { namespace, name, address });
        }
        let Some(selector) = service.pointer("/spec/selector").and_then(Value::as_object).filter(|s| !s.is_empty())
        else {
            continue;
        };
        let selected: Vec<&Value> = pods
            .iter()
            .map(AsRef::as_ref)
            .filter(|pod: &&Value| namespace(pod) == namespace(service) && matches(pod, selector))
            .collect();
        publish(store, service, &selected);
        let Some(address) = address else { continue };
        for port in list(service, "/spec/ports") {
            let Some(number) = port.get("port").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok()) else {
                continue;
            };
            let serves = selected.iter().filter(|pod| is_ready(service, pod)).filter_map(|pod| backend(pod, port));
            wanted.insert((address, number), serves.collect());
        }
    }
    known.sort();
    names.send_if_modified(|old| {
        let changed = *old != known;
        old.clone_from(&known);
        changed
    });
    proxies.retain(|key, proxy| {
        let keep = wanted.contains_key(key);
        if !keep {
            proxy.task.abort();
        }
        keep
    });
    for (key, backends) in wanted {
        match proxies.get(&key) {
            Some(proxy) => {
                proxy.backends.send_if_modified(|old| {
                    let changed = *old != backends;
                    old.clone_from(&backends);
                    changed
                });
            }
            None => {
                let (sender, receiver) = watch::channel(backends);
                let task = tasks.spawn(serve(SocketAddr::from(key), receiver));
                proxies.insert(key, Proxy { backends: sender, task });
            }
        }
    }
    Ok(())
}

fn matches(pod: &Value, selector: &serde_json::Map<String, Value>) -> bool {
    let labels = pod.pointer("/metadata/labels").and_then(Value::as_object);
    selector.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

fn is_ready(service: &Value, pod: &Value) -> bool {
    let all = service.pointer("/spec/publishNotReadyAddresses") == Some(&Value::Bool(true));
    let ready = list(pod, "/status/conditions")
        .iter()
        .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True");
    all || ready && !is_terminating(pod)
}

fn backend(pod: &Value, port: &Value) -> Option<SocketAddr> {
    let address = text(pod, "/status/podIP").parse::<Ipv4Addr>().ok()?;
    Some(SocketAddr::from((address, target_port(pod, port)?)))
}

fn target_port(pod: &Value, port: &Value) -> Option<u16> {
    let number = match port.get("targetPort") {
        Some(Value::String(wanted)) => list(pod, "/spec/containers")
            .iter()
            .flat_map(|container| list(container, "/ports"))
            .find(|port| text(port, "/name") == wanted)?
            .get("containerPort")?
            .as_u64()?,
        Some(number) => number.as_u64()?,
        None => port.get("port")?.as_u64()?,
    };
    u16::try_from(number).ok()
}

/// Writes the Endpoints object, if it says something else.
fn publish(store: &Store, service: &Value, pods: &[&Value]) {
    let address = |pod: &&Value| {
        json!({"ip": text(pod, "/status/podIP"), "nodeName": text(pod, "/spec/nodeName"),
            "targetRef": {"kind": "Pod", "namespace": namespace(pod), "name": name(pod), "uid": uid(pod)}})
    };
    let with_address = || pods.iter().filter(|pod| !text(pod, "/status/podIP").is_empty());
    let ready: Vec<Value> = with_address().filter(|pod| is_ready(service, pod)).map(address).collect();
    let unready: Vec<Value> = with_address().filter(|pod| !is_ready(service, pod)).map(address).collect();
    let ports: Vec<Value> = list(service, "/spec/ports")
        .iter()
        .map(|port| {
            let first = pods.iter().find_map(|pod| target_port(pod, port));
            json!({"name": text(port, "/name"), "port": first.unwrap_or_default(), "protocol": "TCP"})
        })
        .collect();
    let mut subset = json!({ "ports": ports });
    for (field, addresses) in [("addresses", ready), ("notReadyAddresses", unready)] {
        if let (false, Some(map)) = (addresses.is_empty(), subset.as_object_mut()) {
            map.insert(field.to_owned(), addresses.into());
        }
    }
    let subsets = if with_address().next().is_none() { json!([]) } else { json!([subset]) };
    let (in_namespace, of) = (namespace(service), name(service));
    let written = match store.get("endpoints", in_namespace, of) {
        Ok(old) if old.get("subsets").cloned().unwrap_or(json!([])) == subsets => return,
        Ok(_) => store.merge("endpoints", in_namespace, of, &json!({ "subsets": subsets })),
        Err(_) => {
            let owner = json!([{"apiVersion": "v1", "kind": "Service", "name": of, "uid": meta(service, "uid")}]);
            let object = json!({"metadata": {"name": of, "ownerReferences": owner}, "subsets": subsets});
            store.create("endpoints", in_namespace, object)
        }
    };
    if let Err(error) = written {
        tracing::debug!(%error, service = of, "endpoints cannot be written; the next change tries again");
    }
}

/// One port of one cluster IP.
async fn serve(address: SocketAddr, mut backends: watch::Receiver<Backends>) {
    let mut live = JoinSet::new();
    let mut turn = 0_usize;
    loop {
        if backends.wait_for(|all| !all.is_empty()).await.is_err() {
            return;
        }
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(%error, %address, "a service's address cannot be listened on");
                tokio::time::sleep(LISTEN_RETRY).await;
                continue;
            }
        };
        loop {
            let client = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => client,
                    Err(_) => break,
                },
                gone = async { backends.wait_for(Vec::is_empty).await.is_err() } => {
                    if gone { return }
                    break;
                }
                Some(_) = live.join_next() => continue,
            };
            turn = turn.wrapping_add(1);
            let target = {
                let all = backends.borrow();
                let index = turn.checked_rem(all.len()).unwrap_or(0);
                all.get(index).copied()
            };
            live.spawn(async move {
                match target {
                    Some(target) => match proxy::connect(target).await {
                        Ok(server) => proxy::carry(client, server).await,
                        Err(_) => proxy::reset(client),
                    },
                    None => proxy::reset(client),
                }
            });
        }
    }
}
