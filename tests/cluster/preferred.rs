//! `dataDurability: preferred`: the primary writes alone while nobody follows, and nobody who may lack an acknowledged
//! commit takes its place, unless a person says what he gives up.

use pgherd_localkube::fault::{Cut, FaultRequest};
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER};
use crate::cluster::text;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_may_lack_a_commit_is_promoted_unless_a_person_says_what_is_given_up() {
    let bed = Bed::start("preferred", |cluster| {
        cluster["spec"]["postgresql"]["synchronous"] =
            json!({"method": "any", "number": 1, "dataDurability": "preferred"});
    })
    .await;
    let primary = bed.healthy(120).await;
    bed.ask_in(&primary, "app", "CREATE TABLE alone (note text)").await.unwrap();

    bed.writes_alone_and_is_lost(&primary, "kept").await;
    let refused = bed.refused().await;
    bed.say(&text(&refused, "/reason"));
    let shown = said(&bed.program(&["status"], &[CLUSTER]).await.stdout);
    for words in ["NOT safe", "nobody can be elected", "--force` gives that up"] {
        assert!(shown.contains(words), "{shown}");
    }
    assert_eq!(bed.primary().await, primary, "nobody takes its place");
    bed.fault(FaultRequest::Heal).await;
    assert_eq!(bed.healthy(120).await, primary, "who has all of it is the only one who can be elected");
    assert_eq!(bed.ask_in(&primary, "app", "SELECT note FROM alone").await.unwrap(), "kept");

    bed.writes_alone_and_is_lost(&primary, "given up").await;
    let refused = bed.refused().await;
    let loss = &refused["losses"][0];
    let (chosen, bytes) = (text(loss, "/instance"), loss["bytes"].to_string());
    let (cluster, chosen) = (CLUSTER, chosen.as_str());
    let force = |bytes: String| {
        let rest = [cluster, "--instance", chosen, "--force", "--accept-loss", &bytes].map(str::to_owned);
        let bed = &bed;
        async move { bed.program(&["promote"], &rest.each_ref().map(String::as_str)).await }
    };
    let wrong = force("1234567".to_owned()).await;
    assert!(!wrong.status.success() && bed.primary().await == primary, "{wrong:?}");
    let forced = force(bytes).await;
    assert!(forced.status.success(), "{forced:?}");
    bed.say(said(&forced.stdout).trim());
    assert_eq!(bed.another_primary(&primary, 60).await, chosen);
    let election = bed.cluster().await.unwrap()["status"]["election"].clone();
    assert_eq!(election["acceptedLossBytes"], loss["bytes"], "{election}");
    bed.fault(FaultRequest::Heal).await;
    assert_eq!(bed.healthy(120).await, chosen);
    for pod in [chosen, &primary] {
        let rows = bed.until("the rows of the new history", 30, async || {
            let read = bed.ask_in(pod, "app", "SELECT string_agg(note, ',') FROM alone");
            read.await.map_err(|error| format!("{error:#}"))
        });
        assert_eq!(rows.await, "kept", "{pod} has what was not given up, and no more");
    }
    bed.down().await;
}

impl Bed {
    /// No standby hears of what is committed last; then nobody hears of the primary.
    async fn writes_alone_and_is_lost(&self, primary: &str, note: &str) {
        let pod = self.full(primary);
        self.until("somebody to wait for", 60, async || {
            match self.ask(primary, "SHOW synchronous_standby_names").await {
                Ok(names) if !names.is_empty() => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        self.say(&format!("{primary} without its standbys"));
        let from = vec!["pods".to_owned()];
        self.fault(FaultRequest::Cut(Cut { pods: vec![pod.clone()], from, ..Cut::default() })).await;
        self.until("nobody to wait for", 60, async || {
            match self.ask(primary, "SHOW synchronous_standby_names").await {
                Ok(names) if names.is_empty() => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        self.ask_in(primary, "app", &format!("INSERT INTO alone VALUES ('{note}')")).await.unwrap();
        self.say(&format!("a commit that {primary} alone has; then it is cut off"));
        let from = ["all", "api"].map(str::to_owned).to_vec();
        self.fault(FaultRequest::Cut(Cut { pods: vec![pod], from, ..Cut::default() })).await;
    }

    /// The election that is refused, with what forcing somebody would lose.
    async fn refused(&self) -> Value {
        let refused = self.until("an election that is refused", 60, async || {
            let condition = self.condition("PrimaryElected").await?;
            let refusal = self.cluster().await?["status"]["electionRefusal"].clone();
            let named = refusal["losses"].as_array().is_some_and(|losses| !losses.is_empty());
            match text(&condition, "/reason").as_str() {
                "ElectionRefused" if named => Ok(refusal),
                other => Err(format!("{other}: {}; {refusal}", text(&condition, "/message"))),
            }
        });
        refused.await
    }
}

fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}
