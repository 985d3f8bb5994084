//! `spec.postgresql.synchronous`, and the fields before it, edited on one running cluster: the running postgres names
//! those whom the manifest asks for, commits wait for them, and whoever is frozen, fenced or cut off, none is lost.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use pgherd_localkube::daemon::NodeOptions;
use pgherd_localkube::fault::{Cut, FaultRequest, Target};
use pgherd_postgres::version::Major;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::load::Load;

/// A standby that is none of the cluster's.
const OUTSIDER: &str = "elsewhere";
/// A label of nodes.
const RACK: &str = "example.com/rack";

#[tokio::test(flavor = "multi_thread")]
async fn commits_wait_for_whom_the_manifest_names_as_it_is_edited_and_none_is_lost() {
    let edit = |cluster: &mut Value| {
        cluster["spec"]["postgresql"]["synchronous"] =
            json!({"method": "first", "number": 1, "dataDurability": "required"});
    };
    let node = |name: &str| NodeOptions { name: name.to_owned(), zone: "z".to_owned() };
    let bed = Bed::start_with("names", edit, |options| {
        options.nodes = ["n1", "n2", "n3"].map(node).to_vec();
        options.backoff_scale = 0.02;
    })
    .await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;

    bed.the_first_acknowledges(&load, &primary).await;
    bed.an_outsider_counts_for_nothing(&load, &primary).await;
    bed.one_is_named(&load, &primary).await;
    bed.fewer_are_waited_for_down_to_the_least(&load, &primary).await;
    bed.another_rack_is_waited_for(&load, &primary).await;

    bed.healthy(120).await;
    let newer = json!({"synchronous": {"method": "any", "number": 1}, "syncReplicaElectionConstraint": null});
    let two = json!({"instances": 2, "minSyncReplicas": null, "maxSyncReplicas": null, "postgresql": newer});
    bed.change("two instances, each commit on both", two).await;
    let primary = bed.healthy(120).await;
    bed.names(&primary, "ANY 1", &[&bed.standby().await]).await;
    bed.hurt(&load, "kill -9 of the primary's postmaster, one of two instances", async || {
        let run = bed.started(&primary).await;
        bed.kill(Target::Postmaster, &primary).await;
        bed.started_again(&primary, &run, 90).await;
    })
    .await;
    let primary = bed.healthy(120).await;
    bed.nothing_lost(&load).await;
    bed.the_only_standby_stands_still(&load, &primary).await;
    bed.healthy(120).await;
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    /// `first`: the first of the list has every commit. When it hangs, the next one does.
    async fn the_first_acknowledges(&self, load: &Load, primary: &str) {
        let [first, second] = self.both().await;
        self.names(primary, "FIRST 1", &[&first, &second]).await;
        self.states(primary, &format!("{first} sync, {second} potential")).await;
        self.hurt(load, "the walreceiver of the synchronous standby frozen", async || {
            self.fault(FaultRequest::Freeze { target: Target::Walreceiver, pod: self.full(&first) }).await;
            self.states(primary, &format!("{second} sync")).await;
        })
        .await;
        self.fault(FaultRequest::Heal).await;
        self.nothing_lost(load).await;
    }

    /// A name before the members: it acknowledges, and an election asks for one of the members all the same.
    async fn an_outsider_counts_for_nothing(&self, load: &Load, primary: &str) {
        let [first, second] = self.both().await;
        let pre = json!({"number": 2, "standbyNamesPre": [OUTSIDER]});
        self.change("a name before those of the cluster", json!({"postgresql": {"synchronous": pre}})).await;
        self.names(primary, "FIRST 2", &[OUTSIDER, &first, &second]).await;
        self.states(primary, &format!("{first} sync, {second} sync")).await;
        self.written(load, 30).await;

        let outsider = self.outsider(primary).await;
        self.states(primary, &format!("{OUTSIDER} sync, {first} sync, {second} potential")).await;
        self.written(load, 30).await;
        self.until("a quorum of one of the members", 30, async || {
            let object = self.objects("postgresql.cnpg.io", "FailoverQuorum").get(CLUSTER).await;
            let status = object.map_err(|error| error.to_string())?.data["status"].clone();
            let told = status["standbyNumber"] == 1 && status["standbyNames"] == json!([first, second]);
            if told { Ok(()) } else { Err(status.to_string()) }
        })
        .await;

        let post = json!({"standbyNamesPre": null, "standbyNamesPost": [OUTSIDER], "maxStandbyNamesFromCluster": 1});
        self.change("that name after one of the cluster", json!({"postgresql": {"synchronous": post}})).await;
        self.names(primary, "FIRST 2", &[&first, OUTSIDER]).await;
        self.states(primary, &format!("{OUTSIDER} sync, {first} sync, {second} async")).await;
        self.written(load, 30).await;
        self.say("it goes, and two of one are to acknowledge");
        drop(outsider);
        self.nobody_is_acknowledged(load, primary).await;
    }

    /// `maxStandbyNamesFromCluster: 1`, without anybody else: what waited goes on.
    async fn one_is_named(&self, load: &Load, primary: &str) {
        let [first, second] = self.both().await;
        let one = json!({"method": "any", "number": 1, "standbyNamesPost": null});
        self.change("one name of the cluster alone", json!({"postgresql": {"synchronous": one}})).await;
        self.names(primary, "ANY 1", &[&first]).await;
        self.states(primary, &format!("{first} quorum, {second} async")).await;
        self.written(load, 30).await;
        self.nothing_lost(load).await;
    }

    /// `minSyncReplicas` and `maxSyncReplicas`, and the second standby alone is in another rack than the primary: it
    /// stands first. While it is fenced the other one is enough, though it shares the primary's rack.
    async fn fewer_are_waited_for_down_to_the_least(&self, load: &Load, primary: &str) {
        let [near, far] = self.both().await;
        for (pod, rack) in [(primary, "a"), (&near, "a"), (&far, "b")] {
            let node = self.pods().get(pod).await.unwrap().spec.and_then(|spec| spec.node_name).unwrap();
            let label = Patch::Merge(json!({"metadata": {"labels": {RACK: rack}}}));
            Api::<Node>::all(self.client.clone()).patch(&node, &PatchParams::default(), &label).await.unwrap();
        }
        let racks = json!({"enabled": true, "nodeLabelsAntiAffinity": [RACK]});
        let older = json!({"synchronous": null, "syncReplicaElectionConstraint": racks});
        let older = json!({"minSyncReplicas": 1, "maxSyncReplicas": 2, "postgresql": older});
        self.change("the older fields, and racks", older).await;
        self.names(primary, "ANY 2", &[&far, &near]).await;
        self.written(load, 30).await;
        self.fence(&json!([far])).await;
        self.names(primary, "ANY 1", &[&near]).await;
        self.written(load, 30).await;
        self.fence(&Value::Null).await;
        self.names(primary, "ANY 2", &[&far, &near]).await;
        self.nothing_lost(load).await;
    }

    /// One is enough: the standby in the primary's rack is not named. So nothing is lost with that rack.
    async fn another_rack_is_waited_for(&self, load: &Load, primary: &str) {
        let [near, far] = self.both().await;
        self.change("one is enough", json!({"maxSyncReplicas": 1})).await;
        self.names(primary, "ANY 1", &[&far]).await;
        self.states(primary, &format!("{near} async, {far} quorum")).await;
        self.hurt(load, "the primary's rack cut off, with a standby in it", async || {
            let pods = vec![self.full(primary), self.full(&near)];
            let from = ["all", "api"].map(str::to_owned).to_vec();
            self.fault(FaultRequest::Cut(Cut { pods, from, ..Cut::default() })).await;
            assert_eq!(self.another_primary(primary, 60).await, far);
            self.nothing_lost(load).await;
            self.fault(FaultRequest::Heal).await;
        })
        .await;
        let [one, other] = self.both().await;
        self.names(&far, "ANY 1", &[&one, &other]).await;
    }

    /// One of two instances hangs: no commit is acknowledged, whatever postgres ends meanwhile, until it goes on.
    async fn the_only_standby_stands_still(&self, load: &Load, primary: &str) {
        let standby = self.standby().await;
        self.hurt(load, "the only standby frozen", async || {
            self.fault(FaultRequest::Freeze { target: Target::Pod, pod: self.full(&standby) }).await;
            self.nobody_is_acknowledged(load, primary).await;
            let before = load.promised().len();
            self.states(primary, "").await;
            self.names(primary, "ANY 1", &[&standby]).await;
            assert_eq!(load.promised().len(), before, "a commit went on without the standby");
            self.fault(FaultRequest::Heal).await;
        })
        .await;
        self.until("nobody who waits", 30, async || match self.waiting(primary).await? {
            // The one that is being written.
            0 | 1 => Ok(()),
            many => Err(format!("{many} wait")),
        })
        .await;
        self.nothing_lost(load).await;
    }

    /// Rows that the writer has given up on pile up, and none is acknowledged.
    async fn nobody_is_acknowledged(&self, load: &Load, primary: &str) {
        let pile = async |wanted: usize| {
            self.until(&format!("{wanted} commits that wait"), 60, async || match self.waiting(primary).await? {
                many if many >= wanted => Ok(()),
                many => Err(format!("{many} wait")),
            })
            .await;
            load.promised().len()
        };
        let before = pile(3).await;
        assert_eq!(pile(8).await, before, "somebody was acknowledged");
        self.say("commits wait");
    }

    async fn waiting(&self, primary: &str) -> Result<usize, String> {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        let said = self.ask(primary, sql).await?;
        said.parse().map_err(|_| said)
    }

    /// Waits until the running postgres has this list.
    async fn names(&self, primary: &str, method: &str, names: &[&str]) {
        let wanted = format!("{method} (\"{}\")", names.join("\",\""));
        self.until(&wanted, 60, async || match self.ask(primary, "SHOW synchronous_standby_names").await? {
            said if said == wanted => Ok(()),
            said => Err(said),
        })
        .await;
        self.say(&wanted);
    }

    /// Waits until those who stream, and no others, are to the primary what is wanted.
    async fn states(&self, primary: &str, wanted: &str) {
        let sql = "SELECT string_agg(application_name || ' ' || sync_state, ', ' ORDER BY application_name) \
                   FROM pg_stat_replication";
        self.until(&format!("{wanted:?} in pg_stat_replication"), 60, async || match self.ask(primary, sql).await? {
            said if said == wanted => Ok(()),
            said => Err(said),
        })
        .await;
    }

    /// The two standbys, by name.
    async fn both(&self) -> [String; 2] {
        self.standbys().await.try_into().expect("two standbys")
    }

    /// Somebody outside of the cluster who receives its WAL.
    async fn outsider(&self, primary: &str) -> Child {
        let directory = self.directory.join(OUTSIDER);
        std::fs::create_dir(&directory).unwrap();
        let own = |key: &str| directory.join(key).display().to_string();
        for key in ["tls.crt", "tls.key"] {
            let secret = self.secret(&format!("{CLUSTER}-replication"), key).await.unwrap();
            std::fs::write(own(key), secret).unwrap();
            // libpq takes no key that others could read.
            std::fs::set_permissions(own(key), Permissions::from_mode(0o600)).unwrap();
        }
        let at = self.handle.forward(NAMESPACE, &format!("pod/{primary}"), 5432).await.unwrap();
        let (ip, port, certificate, key) = (at.ip(), at.port(), own("tls.crt"), own("tls.key"));
        let to = format!(
            "host={ip} port={port} user=streaming_replica application_name={OUTSIDER} sslmode=require \
             sslcert={certificate} sslkey={key}"
        );
        let program = Major::installed().last().unwrap().bin_dir().unwrap().join("pg_receivewal");
        let mut command = Command::new(program);
        command.args(["--synchronous", "-D"]).arg(&directory).args(["-d", &to]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap()
    }
}
