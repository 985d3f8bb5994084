//! One instance of a cluster, named as `kubectl cnpg` does (CLUSTER INSTANCE), or by itself: its name says whose it is.

use anyhow::bail;
use clap::Args;

use crate::args::ClusterArguments;
use crate::cluster::{Found, find_cluster};

/// Everybody.
pub const ALL: &str = "*";

/// A cluster, and an instance of it.
#[derive(Debug, Clone, Args)]
pub struct InstanceArguments {
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// The instance, as `db-2`; where the cluster is left out, it may stand first.
    pub instance: Option<String>,
}

/// The cluster, and the instance if one was named.
pub async fn find(wanted: &InstanceArguments) -> anyhow::Result<(Found, Option<String>)> {
    let (found, instance) = match (&wanted.cluster.cluster, &wanted.instance) {
        (Some(word), None) => match owner_of(word) {
            None => (find_cluster(&wanted.cluster).await?, None),
            Some(owner) => {
                let by_instance = ClusterArguments { cluster: owner.map(str::to_owned), ..wanted.cluster.clone() };
                match find_cluster(&wanted.cluster).await {
                    Ok(found) => (found, None),
                    Err(_) => (find_cluster(&by_instance).await?, Some(word.clone())),
                }
            }
        },
        _ => (find_cluster(&wanted.cluster).await?, wanted.instance.clone()),
    };
    if let Some(instance) = instance.as_deref().filter(|instance| *instance != ALL) {
        check(&found.name, instance)?;
    }
    Ok((found, instance))
}

/// The same, where one must be named.
pub async fn find_one(wanted: &InstanceArguments) -> anyhow::Result<(Found, String)> {
    match find(wanted).await? {
        (found, Some(instance)) => Ok((found, instance)),
        (found, None) => bail!("which instance of {}? They are called {0}-1, {0}-2 and so on", found.name),
    }
}

/// Whether this can be an instance of the cluster.
pub fn check(cluster: &str, instance: &str) -> anyhow::Result<()> {
    if pgherd_proto::names::serial(cluster, instance).is_none() {
        bail!("{instance} is no instance of {cluster}: they are called {cluster}-1, {cluster}-2 and so on");
    }
    Ok(())
}

/// The cluster that an instance of this name would be of; of any cluster, for [`ALL`].
fn owner_of(word: &str) -> Option<Option<&str>> {
    if word == ALL {
        return Some(None);
    }
    let (owner, serial) = word.rsplit_once('-')?;
    serial.parse::<u32>().is_ok().then_some(Some(owner))
}

#[cfg(test)]
mod tests {
    use super::{check, owner_of};

    #[test]
    fn an_instances_name_says_whose_it_is() {
        assert_eq!(owner_of("my-db-2"), Some(Some("my-db")));
        assert_eq!(owner_of("*"), Some(None));
        assert_eq!([owner_of("my-db"), owner_of("db")], [None, None]);
        assert!(check("db", "db-2").is_ok());
        assert!(check("db", "other-2").unwrap_err().to_string().contains("db-1, db-2"));
    }
}
