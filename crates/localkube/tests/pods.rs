//! Pods, services and faults of the local environment, on this machine's kernel. Needs root, as `make test` has it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bed;
mod rootless;

use std::time::{Duration, Instant};

use bed::{container, eventually, is_ready, service, start, web};
use k8s_openapi::api::core::v1::{ContainerState, Pod};
use kube::api::DeleteParams;
use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_localkube::s3::S3Fault;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_as_pid_1_is_reached_through_its_service_and_comes_back_when_killed() {
    let environment = start("life").await;
    environment.create(web("web")).await;
    let address = service(&environment, "web").await;
    let pod = environment.wait("web", "ready", is_ready).await;
    let ip = pod.status.clone().unwrap().pod_ip.unwrap();
    let answer = eventually(address, "the service answers", Result::is_ok).await.unwrap();
    let postgres = nix::unistd::User::from_name("postgres").unwrap().unwrap().uid;
    assert!(answer.starts_with(&format!("1 {postgres} {ip} ")), "PID 1, the mapped user, its address: {answer}");
    assert!(answer.contains("web.default.svc"), "{answer}");

    environment.handle.fault(FaultRequest::Kill { target: Target::Manager, pod: "web".to_owned() }).await.unwrap();
    let pod = environment.wait("web", "restarted", |pod| container(pod).restart_count == 1 && is_ready(pod)).await;
    let last = container(&pod).last_state.unwrap_or_default().terminated.unwrap();
    assert_eq!((last.exit_code, last.signal, last.reason.as_deref()), (137, Some(9), Some("Error")));
    assert_eq!(last.message.as_deref(), Some(format!("nonce-of-{}", pod.metadata.uid.clone().unwrap()).as_str()));
    assert_eq!(pod.status.clone().unwrap().pod_ip.unwrap(), ip, "the sandbox stays");
    eventually(address, "the service answers again", Result::is_ok).await.unwrap();
    let log = environment.pods().logs("web", &kube::api::LogParams::default()).await.unwrap();
    assert!(log.starts_with("serving\n"), "{log}");

    let began = Instant::now();
    environment.pods().delete("web", &DeleteParams::default()).await.unwrap();
    while environment.pods().get_opt("web").await.unwrap().is_some() {
        assert!(began.elapsed() < Duration::from_secs(10), "the pod is not gone");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eventually(address, "nobody answers", Result::is_err).await.unwrap_err();
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_was_cut_off_or_frozen_is_itself_again_after_heal() {
    let environment = start("cut").await;
    environment.create(web("web")).await;
    let pod = environment.wait("web", "ready", is_ready).await;
    assert!(container(&pod).started == Some(true));
    let address = environment.handle.forward("default", "pod/web", 8080).await.unwrap();
    eventually(address, "it answers", Result::is_ok).await.unwrap();
    let cut = FaultRequest::Partition { pod: "web".to_owned(), from: "all".to_owned() };
    environment.handle.fault(cut).await.unwrap();
    eventually(address, "it is cut off", Result::is_err).await.unwrap_err();
    environment.handle.fault(FaultRequest::Heal).await.unwrap();
    eventually(address, "it answers again", Result::is_ok).await.unwrap();
    environment.handle.fault(FaultRequest::Freeze { target: Target::Pod, pod: "web".to_owned() }).await.unwrap();
    eventually(address, "it is frozen", Result::is_err).await.unwrap_err();
    environment.handle.fault(FaultRequest::Heal).await.unwrap();
    eventually(address, "it runs again", Result::is_ok).await.unwrap();

    // The whole pod killed: a new sandbox with a new address, the same pod.
    let before = environment.wait("web", "ready", is_ready).await;
    environment.handle.fault(FaultRequest::Kill { target: Target::Pod, pod: "web".to_owned() }).await.unwrap();
    let ip = |pod: &Pod| pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    let after = environment.wait("web", "elsewhere", |pod| is_ready(pod) && ip(pod) != ip(&before)).await;
    assert_eq!(after.metadata.uid, before.metadata.uid);
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_daemon_leaves_is_swept_and_pods_come_back_with_the_next_up() {
    let environment = start("crash").await;
    environment.create(web("web")).await;
    environment.wait("web", "ready", is_ready).await;
    let text = std::fs::read(environment.directory.join("daemon.json")).unwrap();
    let daemon: pgherd_localkube::node::process::ProcessId = serde_json::from_slice(&text).unwrap();
    let inside = environment.handle.process("default", "web", "web").await.unwrap();
    assert!(daemon.signal(nix::sys::signal::Signal::SIGKILL));
    let deadline = Instant::now() + Duration::from_secs(10);
    // The last of its threads may still be on its way out when the container has gone.
    while inside.is_alive() || daemon.is_alive() {
        assert!(Instant::now() < deadline, "the daemon or its container outlives the kill");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(environment);
    let again = start("crash").await;
    let pod = again.wait("web", "ready again", |pod| is_ready(pod) && container(pod).restart_count == 1).await;
    let last: ContainerState = container(&pod).last_state.unwrap_or_default();
    assert!(last.terminated.unwrap().message.unwrap().starts_with("nonce-of-"), "the message outlives the daemon");
    again.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_can_be_turned_off_and_made_to_answer_errors() {
    let environment = start("s3").await;
    let address = environment.handle.status().await.unwrap().s3;
    eventually(address, "S3 answers", |answer| answer.as_ref().is_ok_and(|body| body.contains("AccessDenied")))
        .await
        .unwrap();
    environment.handle.fault(FaultRequest::S3 { what: S3Fault::Status(503) }).await.unwrap();
    eventually(address, "S3 is busy", |answer| answer.as_ref().is_ok_and(|body| body.contains("SlowDown")))
        .await
        .unwrap();
    environment.handle.fault(FaultRequest::S3 { what: S3Fault::Off }).await.unwrap();
    eventually(address, "S3 is off", Result::is_err).await.unwrap_err();
    environment.handle.fault(FaultRequest::Heal).await.unwrap();
    eventually(address, "S3 is back", |answer| answer.as_ref().is_ok_and(|body| body.contains("AccessDenied")))
        .await
        .unwrap();
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_sees_the_server_of_its_image_alone_and_waits_for_one_that_is_not_here() {
    let servers = tempfile::tempdir_in("/var/tmp").unwrap();
    let given = servers.path().to_owned();
    let environment = bed::start_with("major", |options| {
        options.postgres = vec![given];
        // Its init container is only a name here.
        options.manager = None;
    })
    .await;
    let mut pod = web("web");
    pod["spec"]["initContainers"] = json!([{"name": "bootstrap-controller", "image": "m", "command": ["/bin/true"]}]);
    let own = &mut pod["spec"]["containers"][0];
    own["image"] = "registry/postgresql:98.1".into();
    own["command"] = json!(["/bin/sh", "-c", "ls /usr/lib/postgresql; ls /usr/lib/postgresql/98/bin; exec sleep 600"]);
    own["readinessProbe"] = json!(null);
    environment.create(pod).await;
    let waiting = |pod: &Pod| container(pod).state.and_then(|state| state.waiting).unwrap_or_default();
    let found =
        environment.wait("web", "waiting for its image", |pod| waiting(pod).reason.as_deref() == Some("ErrImagePull"));
    let message = waiting(&found.await).message.unwrap_or_default();
    assert!(message.starts_with("PostgreSQL 98 of image") && message.contains("--postgres"), "{message}");

    std::fs::create_dir_all(servers.path().join("98/bin")).unwrap();
    std::fs::write(servers.path().join("98/bin/postgres"), "").unwrap();
    environment.wait("web", "running", is_ready).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let log = environment.pods().logs("web", &kube::api::LogParams::default()).await.unwrap();
        if log == "98\npostgres\n" {
            break;
        }
        assert!(Instant::now() < deadline, "whatever else this machine has: {log:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    environment.down().await;
}
