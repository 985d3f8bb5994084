//! Faults of the local environment one by one: each does what it says, is listed, and ends. Needs root, as `make test`
//! has it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bed;

use std::time::{Duration, Instant};

use bed::{Environment, container, eventually, get, is_ready, start, start_with, web};
use k8s_openapi::api::core::v1::Pod;
use kube::api::WatchEvent;
use pgherd_localkube::fault::{ApiFault, Cut, FaultRequest, Flap, Target, Way};
use pgherd_localkube::s3::{S3Fault, serve_folder};

async fn listed(environment: &Environment) -> Vec<String> {
    environment.handle.faults().await.unwrap().into_iter().map(|fault| fault.id).collect()
}

async fn until(what: &str, is: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_in_one_direction_or_now_and_then_ends_alone() {
    let environment = start("oneway").await;
    environment.create(web("web")).await;
    environment.wait("web", "ready", is_ready).await;
    let address = environment.handle.forward("default", "pod/web", 8080).await.unwrap();
    eventually(address, "it answers", Result::is_ok).await.unwrap();
    for (way, percent) in [(Way::In, None), (Way::Out, None), (Way::Both, Some(95))] {
        let cut = Cut { pods: vec!["web".to_owned()], from: vec!["all".to_owned()], way, percent, ..Cut::default() };
        let done = environment.handle.inject(FaultRequest::Cut(cut)).await.unwrap();
        let id = done.id.unwrap();
        assert_eq!(listed(&environment).await, [id.as_str()]);
        eventually(address, "it is cut off", Result::is_err).await.unwrap_err();
        environment.handle.inject(FaultRequest::HealOne { id: id.clone() }).await.unwrap();
        eventually(address, "it answers again", Result::is_ok).await.unwrap();
        environment.handle.inject(FaultRequest::HealOne { id }).await.unwrap_err();
    }
    let flap = Some(Flap { cut: 2_000, open: 2_000 });
    let cut = Cut { pods: vec!["web".to_owned()], from: vec!["all".to_owned()], flap, ..Cut::default() };
    environment.handle.fault(FaultRequest::Cut(cut)).await.unwrap();
    for _ in 0..2 {
        eventually(address, "it is cut off", Result::is_err).await.unwrap_err();
        eventually(address, "it is open", Result::is_ok).await.unwrap();
    }
    environment.handle.fault(FaultRequest::HealPod { pod: "default/web".to_owned() }).await.unwrap();
    assert!(listed(&environment).await.is_empty());
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        eventually(address, "it stays open", Result::is_ok).await.unwrap();
    }
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_is_one_pods_alone_and_right_again() {
    let environment = start_with("clock", |options| options.clocks = true).await;
    let mut addresses = Vec::new();
    for name in ["one", "other"] {
        let mut pod = web(name);
        let script = pod["spec"]["containers"][0]["command"][2].as_str().unwrap();
        let script = script.replace("self.wfile.write(f\"", "import time; self.wfile.write(f\"{time.time()} ");
        pod["spec"]["containers"][0]["command"][2] = script.into();
        environment.create(pod).await;
        environment.wait(name, "ready", is_ready).await;
        addresses.push(environment.handle.forward("default", &format!("pod/{name}"), 8080).await.unwrap());
    }
    // By how many seconds its clock is ahead of ours.
    let ahead = async |pod: usize| {
        let answer = eventually(addresses[pod], "it answers", Result::is_ok).await.unwrap();
        answer.split(' ').next().unwrap().parse::<f64>().unwrap() - jiff::Timestamp::now().as_duration().as_secs_f64()
    };
    assert!(ahead(0).await.abs() < 60.0);
    let clock = |wall| FaultRequest::Clock { pod: "one".to_owned(), wall, steady: 0 };
    environment.handle.inject(clock(3_600_000)).await.unwrap();
    let (there, here) = (ahead(0).await, ahead(1).await);
    assert!((there - 3_600.0).abs() < 60.0 && here.abs() < 60.0, "{there} {here}");
    let id = environment.handle.inject(clock(-3_600_000)).await.unwrap().id.unwrap();
    assert_eq!(listed(&environment).await, [id.as_str()], "the second jump takes the place of the first");
    assert!((ahead(0).await + 3_600.0).abs() < 60.0);
    environment.handle.inject(FaultRequest::HealOne { id }).await.unwrap();
    assert!(ahead(0).await.abs() < 60.0);
    assert!(listed(&environment).await.is_empty());
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_deleted_by_force_runs_on_until_its_kubelet_hears_of_it() {
    let environment = start("forced").await;
    environment.create(web("web")).await;
    let old = environment.wait("web", "ready", is_ready).await;
    let address = environment.handle.forward("default", "pod/web", 8080).await.unwrap();
    eventually(address, "it answers", Result::is_ok).await.unwrap();
    let inside = environment.handle.process("default", "web", "web").await.unwrap();

    environment.handle.fault(FaultRequest::ForceDelete { pod: "web".to_owned() }).await.unwrap();
    assert!(environment.pods().get_opt("web").await.unwrap().is_none(), "the object is gone");
    environment.create(web("web")).await;
    let new = environment.wait("web", "ready", is_ready).await;
    assert_ne!(old.metadata.uid, new.metadata.uid);
    assert!(inside.is_alive(), "the old one runs on beside the new one");
    get(address).await.unwrap();
    let second = environment.handle.process("default", "web", "web").await.unwrap();
    assert_ne!(second, inside, "the name means the new one");

    environment.handle.fault(FaultRequest::Heal).await.unwrap();
    until("the kubelet ends the old one", async || !inside.is_alive()).await;
    assert!(second.is_alive());
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_that_is_apart_restarts_containers_and_reports_nothing() {
    let environment = start("apart").await;
    environment.create(web("web")).await;
    environment.wait("web", "ready", is_ready).await;
    environment.handle.fault(FaultRequest::KubeletApart { of: "web".to_owned() }).await.unwrap();
    let before = environment.handle.process("default", "web", "web").await.unwrap();
    environment.handle.fault(FaultRequest::Kill { target: Target::Container, pod: "web".to_owned() }).await.unwrap();
    until("the container is started again", async || {
        environment.handle.process("default", "web", "web").await.is_ok_and(|now| now != before)
    })
    .await;
    let pod = environment.pods().get("web").await.unwrap();
    assert_eq!((container(&pod).restart_count, is_ready(&pod)), (0, true), "as last reported");
    environment.handle.fault(FaultRequest::Heal).await.unwrap();
    environment.wait("web", "reported again", |pod| container(pod).restart_count == 1 && is_ready(pod)).await;

    let node = "local-1".to_owned();
    environment.handle.fault(FaultRequest::NodeLost { node }).await.unwrap();
    until("nothing runs", async || environment.handle.process("default", "web", "web").await.is_err()).await;
    environment.handle.fault(FaultRequest::Heal).await.unwrap();
    environment.wait("web", "back", |pod| container(pod).restart_count == 2 && is_ready(pod)).await;
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_of_the_host_is_reached_through_the_same_switch() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(serve_folder(folder.path(), listener, "id", "secret").unwrap());
    let environment = start_with("hosts3", |options| {
        options.s3_endpoint = Some(endpoint);
        options.s3_credentials = Some(("id".to_owned(), "secret".to_owned()));
    })
    .await;
    let address = environment.handle.status().await.unwrap().s3;
    let answers = |answer: &std::io::Result<String>| answer.as_ref().is_ok_and(|body| body.contains("AccessDenied"));
    eventually(address, "S3 answers", answers).await.unwrap();
    environment.handle.fault(FaultRequest::S3 { what: S3Fault::Truncated(20) }).await.unwrap();
    eventually(address, "the answer is cut off", Result::is_err).await.unwrap_err();
    environment.handle.fault(FaultRequest::HealOne { id: "s3".to_owned() }).await.unwrap();
    eventually(address, "S3 answers again", answers).await.unwrap();
    environment.down().await;
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_and_dropped_watches_and_a_forgotten_history_are_seen_by_clients() {
    use futures::TryStreamExt as _;
    let environment = start("watches").await;
    environment.create(web("web")).await;
    let pod = environment.wait("web", "ready", is_ready).await;
    let version = pod.metadata.resource_version.unwrap();
    let watch = async || {
        let parameters = kube::api::WatchParams::default().timeout(60);
        environment.pods().watch(&parameters, &version).await.unwrap()
    };
    let mut open = Box::pin(watch().await);
    environment.handle.fault(FaultRequest::Api { what: ApiFault::StaleWatches }).await.unwrap();
    assert_eq!(listed(&environment).await, ["api"]);
    environment.create(web("unseen")).await;
    environment.wait("unseen", "ready", is_ready).await;
    let told = tokio::time::timeout(Duration::from_secs(1), open.try_next()).await;
    assert!(told.is_err(), "a stale watch tells nothing new: {told:?}");
    environment.handle.fault(FaultRequest::HealOne { id: "api".to_owned() }).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(20), open.try_next()).await.expect("it catches up").unwrap();
    assert!(
        matches!(&told, Some(WatchEvent::Added(pod)) if pod.metadata.name.as_deref() == Some("unseen")),
        "{told:?}"
    );

    environment.handle.fault(FaultRequest::Api { what: ApiFault::DropWatches }).await.unwrap();
    let ended =
        tokio::time::timeout(Duration::from_secs(20), async { while let Ok(Some(_)) = open.try_next().await {} });
    ended.await.expect("the watch was not dropped");

    // The newest version is never too old, so something has to come after it.
    environment.create(web("other")).await;
    environment.wait("other", "ready", is_ready).await;
    environment.handle.fault(FaultRequest::Api { what: ApiFault::Forget }).await.unwrap();
    let environment_of = &environment;
    until("the version is gone", async || {
        let parameters = kube::api::WatchParams::default().timeout(5);
        match environment_of.pods().watch(&parameters, &version).await {
            Err(_) => false,
            Ok(events) => {
                let mut events = Box::pin(events);
                matches!(events.try_next().await, Ok(Some(WatchEvent::<Pod>::Error(status))) if status.code == 410)
            }
        }
    })
    .await;
    // The node followed the same history, and goes on.
    environment.create(web("third")).await;
    environment.wait("third", "ready", is_ready).await;
    environment.down().await;
}

/// A megabyte and more, so that it comes in many frames, and in some that are many.
const LARGE: usize = 1_500_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_late_or_narrow_loses_nothing_and_is_itself_again() {
    let environment = start("late").await;
    let mut pod = web("web");
    let script = pod["spec"]["containers"][0]["command"][2].as_str().unwrap();
    let large = script.replace("self.wfile.write(f", &format!("self.wfile.write(b'x' * {LARGE} + f"));
    assert_ne!(large, script);
    pod["spec"]["containers"][0]["command"][2] = large.into();
    environment.create(pod).await;
    environment.wait("web", "ready", is_ready).await;
    let address = environment.handle.forward("default", "pod/web", 8080).await.unwrap();
    let took = async || {
        let began = Instant::now();
        let answer = tokio::time::timeout(Duration::from_secs(20), get(address)).await.unwrap().unwrap();
        assert!(answer.len() > LARGE && answer.bytes().take(LARGE).all(|byte| byte == b'x'), "{} bytes", answer.len());
        began.elapsed()
    };
    assert!(took().await < Duration::from_secs(2));

    // Open before it is late, and asked after.
    let mut open = tokio::net::TcpStream::connect(address).await.unwrap();
    let late = FaultRequest::Link { pod: "web".to_owned(), kbit: None, delay: Some(150) };
    let id = environment.handle.inject(late.clone()).await.unwrap().id.unwrap();
    assert_eq!(listed(&environment).await, [id.as_str()]);
    environment.handle.inject(late).await.unwrap_err();
    let began = Instant::now();
    tokio::io::AsyncWriteExt::write_all(&mut open, b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut open, &mut answer).await.unwrap();
    assert!(answer.len() > LARGE && began.elapsed() > Duration::from_millis(300), "{:?}", began.elapsed());
    // There and back to connect, and again to ask.
    let slow = took().await;
    assert!(slow > Duration::from_millis(600), "{slow:?}");

    environment.handle.inject(FaultRequest::HealOne { id }).await.unwrap();
    assert!(listed(&environment).await.is_empty());
    let fast = took().await;
    assert!(fast < slow / 2, "{fast:?} and {slow:?} before");

    // Narrow, as told: 1.5 megabytes at 4 megabits a second.
    let narrow = FaultRequest::Link { pod: "web".to_owned(), kbit: Some(4_000), delay: None };
    let id = environment.handle.inject(narrow).await.unwrap().id.unwrap();
    let slow = took().await;
    assert!(slow > Duration::from_secs(2), "{slow:?}");
    environment.handle.inject(FaultRequest::HealOne { id }).await.unwrap();
    let fast = took().await;
    assert!(fast < slow / 2, "{fast:?} and {slow:?} before");
    environment.down().await;
}
