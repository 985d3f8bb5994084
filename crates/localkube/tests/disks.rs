//! Volumes that are full, hang or fail, on file systems of their own. Needs root and loop devices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bed;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bed::{Environment, container, eventually, start_with};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, DeleteParams, PostParams};
use pgherd_localkube::daemon::{Volumes, sweep};
use pgherd_localkube::fault::{Damage, DiskFault, FaultRequest, Volume};
use pgherd_localkube::node::process::ProcessId;
use serde_json::json;

/// Writes a new file to both of its volumes for each request, and answers how that went.
const SCRIPT: &str = "import errno, http.server, itertools, os\n\
    count = itertools.count()\n\
    def written(name):\n\
    \x20   try:\n\
    \x20       file = os.open(name, os.O_CREAT | os.O_WRONLY)\n\
    \x20       try:\n\
    \x20           os.write(file, b'x' * 65536); os.fsync(file)\n\
    \x20       finally:\n\
    \x20           os.close(file)\n\
    \x20       os.unlink(name)\n\
    \x20       return 'written'\n\
    \x20   except OSError as error:\n\
    \x20       return errno.errorcode[error.errno]\n\
    class H(http.server.BaseHTTPRequestHandler):\n\
    \x20   def do_GET(self):\n\
    \x20       data, wal = [written('/%s/file-%d' % (volume, next(count))) for volume in ('data', 'wal')]\n\
    \x20       said = data if data == wal else 'data %s, wal %s' % (data, wal)\n\
    \x20       self.send_response(200); self.end_headers(); self.wfile.write(said.encode())\n\
    http.server.ThreadingHTTPServer(('', 8080), H).serve_forever()\n";

/// Of data and of WAL, told apart by their names, as those of an instance.
const VOLUMES: [&str; 2] = ["disk", "disk-wal"];

async fn writer(name: &str) -> (Environment, SocketAddr) {
    let environment = start_with(name, |options| options.volumes = Volumes::Ext4).await;
    for name in VOLUMES {
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "128Mi"}}}});
        claims(&environment).create(&PostParams::default(), &serde_json::from_value(claim).unwrap()).await.unwrap();
    }
    environment
        .create(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "disk"},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "disk", "image": "none", "command": ["/usr/bin/python3", "-c", SCRIPT],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "wal", "mountPath": "/wal"}],
                }],
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": VOLUMES[0]}},
                    {"name": "wal", "persistentVolumeClaim": {"claimName": VOLUMES[1]}},
                ],
            },
        }))
        .await;
    environment.wait("disk", "running", |pod| container(pod).started == Some(true)).await;
    let address = environment.handle.forward("default", "pod/disk", 8080).await.unwrap();
    says(address, "written").await;
    (environment, address)
}

fn claims(environment: &Environment) -> Api<PersistentVolumeClaim> {
    Api::namespaced(environment.client.clone(), "default")
}

async fn says(address: SocketAddr, wanted: &str) {
    let is = |answer: &std::io::Result<String>| answer.as_ref().is_ok_and(|said| said == wanted);
    eventually(address, wanted, is).await.unwrap();
}

async fn put(environment: &Environment, what: DiskFault) -> String {
    put_on(environment, Volume::Data, what).await
}

async fn put_on(environment: &Environment, volume: Volume, what: DiskFault) -> String {
    let request = FaultRequest::Disk { pod: "disk".to_owned(), volume, what };
    environment.handle.inject(request).await.unwrap().id.unwrap()
}

fn mounted(environment: &Environment) -> bool {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    mounts.contains(environment.directory.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_full_without_inodes_hung_read_only_or_failing_and_well_again() {
    let (environment, address) = writer("disk").await;
    // One of the two alone.
    for what in [DiskFault::Full { leave: 0 }, DiskFault::NoInodes] {
        for (volume, said) in [(Volume::Data, "data ENOSPC, wal written"), (Volume::Wal, "data written, wal ENOSPC")] {
            let id = put_on(&environment, volume, what).await;
            says(address, said).await;
            environment.handle.inject(FaultRequest::HealOne { id }).await.unwrap();
            says(address, "written").await;
        }
    }
    let id = put(&environment, DiskFault::Hung).await;
    eventually(address, "nothing is answered", Result::is_err).await.unwrap_err();
    let again = FaultRequest::Disk { pod: "disk".to_owned(), volume: Volume::Data, what: DiskFault::NoInodes };
    let page = Damage::Page { file: None, block: 0 };
    for again in [again, FaultRequest::Damage { pod: "disk".to_owned(), what: page }] {
        let refused = environment.handle.inject(again).await.expect_err("whoever writes there waits with it");
        assert!(format!("{refused:?}").contains("hangs"), "{refused:?}");
    }
    environment.handle.inject(FaultRequest::HealOne { id }).await.unwrap();
    says(address, "written").await;

    let full = put(&environment, DiskFault::Full { leave: 0 }).await;
    let hung = put(&environment, DiskFault::Hung).await;
    for id in [full, hung] {
        let healed = environment.handle.inject(FaultRequest::HealOne { id });
        tokio::time::timeout(Duration::from_secs(20), healed).await.expect("neither waits for the other").unwrap();
    }
    says(address, "written").await;

    let full = put(&environment, DiskFault::Full { leave: 0 }).await;
    let read_only = put(&environment, DiskFault::ReadOnly).await;
    says(address, "data EROFS, wal written").await;
    let heal = async |id: &str| environment.handle.inject(FaultRequest::HealOne { id: id.to_owned() }).await;
    heal(&full).await.expect_err("nothing can be removed there");
    assert_eq!(environment.handle.faults().await.unwrap().len(), 2, "what could not be ended lasts on");
    let repaired = async { heal(&read_only).await.unwrap() };
    let looks = async {
        loop {
            let last = environment.handle.faults().await.unwrap();
            assert!(last.iter().any(|fault| fault.id == full), "off for its repair, it is full still: {last:?}");
        }
    };
    tokio::select! { _ = repaired => {}, () = looks => {} }
    environment.wait("disk", "restarted", |pod| container(pod).restart_count == 1).await;
    says(address, "data ENOSPC, wal written").await;
    heal(&full).await.unwrap();
    says(address, "written").await;

    put(&environment, DiskFault::IoErrors).await;
    says(address, "data EIO, wal written").await;
    environment.handle.inject(FaultRequest::Heal).await.unwrap();
    environment.wait("disk", "restarted again", |pod| container(pod).restart_count == 2).await;
    says(address, "written").await;
    assert!(environment.handle.faults().await.unwrap().is_empty());
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_in_use_is_kept_until_its_pod_is_gone_and_then_its_data_go() {
    let (environment, address) = writer("claim").await;
    for name in VOLUMES {
        claims(&environment).delete(name, &DeleteParams::default()).await.unwrap();
    }
    let claim = claims(&environment).get("disk").await.unwrap();
    assert!(claim.metadata.deletion_timestamp.is_some());
    says(address, "written").await;
    environment.pods().delete("disk", &DeleteParams::default().grace_period(0)).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while claims(&environment).get_opt("disk").await.unwrap().is_some() || mounted(&environment) {
        assert!(Instant::now() < deadline, "the claim is not gone");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let images = environment.directory.join("node/images");
    let left = async || std::fs::read_dir(&images).unwrap().count();
    while left().await > 0 {
        assert!(Instant::now() < deadline, "its data are left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_a_disk_hangs_leaves_nothing_that_a_sweep_does_not_take() {
    let (environment, address) = writer("sweep").await;
    put(&environment, DiskFault::Hung).await;
    eventually(address, "nothing is answered", Result::is_err).await.unwrap_err();
    let text = std::fs::read(environment.directory.join("daemon.json")).unwrap();
    let daemon: ProcessId = serde_json::from_slice(&text).unwrap();
    let inside = environment.handle.process("default", "disk", "disk").await.unwrap();
    assert!(daemon.signal(nix::sys::signal::Signal::SIGKILL));
    let swept = sweep(&environment.directory).await.unwrap();
    assert!(swept.iter().any(|what| what.contains("volume")), "{swept:?}");
    assert!(!mounted(&environment));
    let deadline = Instant::now() + Duration::from_secs(20);
    while inside.is_alive() {
        assert!(Instant::now() < deadline, "a process is left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::remove_dir_all(&environment.directory).unwrap();
}
