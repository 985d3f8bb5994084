//! What is watched of one kind: everywhere, or in each of some namespaces, where a list of all is not ours to ask for.

use crate::caches::Key;
use crate::queue::Waker;
use crate::retry::Retry;
use futures::StreamExt;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The namespaces that are looked after; none stands for all.
#[derive(Clone, Debug, Default)]
pub struct Scope(pub Vec<String>);

impl Scope {
    /// The ways to ask for objects of one kind.
    #[must_use]
    pub fn apis<K>(&self, client: &Client) -> Vec<Api<K>>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        if self.0.is_empty() {
            return vec![Api::all(client.clone())];
        }
        self.0.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
    }
}

/// The objects of one kind, as far as they are looked after.
#[derive(Clone)]
pub struct Watched<K: Resource<DynamicType = ()> + 'static>(Vec<Store<K>>);

/// Nothing is watched.
impl<K: Resource<DynamicType = ()> + 'static> Default for Watched<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> Watched<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    /// Starts the watches, which end with `tasks`; each change of an object wakes its cluster.
    pub fn start(
        client: &Client,
        scope: &Scope,
        config: &watcher::Config,
        waker: &Waker,
        tasks: &mut JoinSet<()>,
        key: fn(&K) -> Option<Key>,
    ) -> Self {
        Self(scope.apis(client).into_iter().map(|api| watch(api, config.clone(), waker.clone(), tasks, key)).collect())
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, object: &ObjectRef<K>) -> Option<Arc<K>> {
        self.0.iter().find_map(|store| store.get(object))
    }

    /// All of them.
    #[must_use]
    pub fn state(&self) -> Vec<Arc<K>> {
        self.0.iter().flat_map(Store::state).collect()
    }

    /// Those that `wanted` says yes to.
    pub fn state_filter(&self, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.0.iter().flat_map(|store| store.state_filter(&wanted)).collect()
    }

    /// Waits until each watch has listed what there is.
    ///
    /// # Errors
    /// A watch has ended.
    pub async fn wait_until_ready(&self) -> Result<(), reflector::store::WriterDropped> {
        for store in &self.0 {
            store.wait_until_ready().await?;
        }
        Ok(())
    }
}

fn watch<K>(
    api: Api<K>,
    config: watcher::Config,
    waker: Waker,
    tasks: &mut JoinSet<()>,
    key: fn(&K) -> Option<Key>,
) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let stream = watcher(api, config).backoff(Retry::default()).reflect(writer);
    tasks.spawn(async move {
        let mut stream = std::pin::pin!(stream);
        while let Some(event) = stream.next().await {
            match event {
                Ok(
                    watcher::Event::Apply(object) | watcher::Event::Delete(object) | watcher::Event::InitApply(object),
                ) => {
                    if let Some(key) = key(&object) {
                        waker.wake(key).await;
                    }
                }
                Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
                Err(error) => {
                    tracing::warn!(kind = %K::kind(&()), error = %pgherd_telemetry::chain(&error),
                        "a watch failed and is taken up again");
                }
            }
        }
    });
    store
}
