//! The objects of one kind as they were last seen, by name and by the cluster that they belong to: what one cluster has is
//! found without looking at what a thousand others have.

use crate::caches::Key;
use crate::packed::{Packed, Packer};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;

/// How an object says which cluster it belongs to; always one of its own namespace.
pub type ClusterOf<K> = fn(&K) -> Option<Key>;

/// What is known, shared by whoever reads it.
pub struct Store<K> {
    known: Arc<RwLock<Known<K>>>,
    listed: watch::Receiver<bool>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self { known: self.known.clone(), listed: self.listed.clone() }
    }
}

/// The one who keeps a store up to date, from the events of a watch.
pub struct Writer<K> {
    known: Arc<RwLock<Known<K>>>,
    listed: watch::Sender<bool>,
    cluster: ClusterOf<K>,
    packer: Packer,
    /// What a list that is not over yet has brought.
    listing: Known<K>,
}

/// An object, and what is asked of it most.
struct Kept<K> {
    cluster: Option<Key>,
    version: Option<String>,
    object: Packed<K>,
}

struct Known<K> {
    /// By the objects' own namespaces and names.
    objects: HashMap<Key, Kept<K>>,
    /// The names of a cluster's objects. The cluster's name comes first, so that those of one name stand together.
    clusters: BTreeMap<(String, String), BTreeSet<String>>,
}

impl<K> Default for Known<K> {
    fn default() -> Self {
        Self { objects: HashMap::new(), clusters: BTreeMap::new() }
    }
}

impl<K> Known<K> {
    /// Answers what was there.
    fn remove(&mut self, own: &Key) -> Option<Kept<K>> {
        let kept = self.objects.remove(own)?;
        if let Some(Key { namespace, name }) = kept.cluster.clone() {
            let at = (name, namespace);
            if let Some(names) = self.clusters.get_mut(&at) {
                names.remove(&own.name);
                if names.is_empty() {
                    self.clusters.remove(&at);
                }
            }
        }
        Some(kept)
    }

    /// Answers what was there before.
    fn put(&mut self, own: Key, kept: Kept<K>) -> Option<Kept<K>> {
        let before = self.remove(&own);
        if let Some(Key { namespace, name }) = kept.cluster.clone() {
            self.clusters.entry((name, namespace)).or_default().insert(own.name.clone());
        }
        self.objects.insert(own, kept);
        before
    }
}

fn own<K: Resource>(object: &K) -> Option<Key> {
    Some(Key { namespace: object.namespace()?, name: object.meta().name.clone()? })
}

/// An empty store and its writer.
#[must_use]
pub fn store<K>(cluster: ClusterOf<K>) -> (Store<K>, Writer<K>) {
    let known = Arc::new(RwLock::new(Known::default()));
    let (told, listed) = watch::channel(false);
    let (packer, listing) = (Packer::default(), Known::default());
    (Store { known: known.clone(), listed }, Writer { known, listed: told, cluster, packer, listing })
}

impl<K: Resource + Serialize + DeserializeOwned> Writer<K> {
    /// Takes note of an event. Answers the clusters that something is new about: of a list, those whose objects have
    /// changed since the list before, or are gone.
    pub fn apply(&mut self, event: Event<K>) -> BTreeSet<Key> {
        match event {
            Event::Init => {
                self.listing = Known::default();
                BTreeSet::new()
            }
            Event::InitApply(object) => {
                if let Some((own, kept)) = self.kept(object) {
                    self.listing.put(own, kept);
                }
                BTreeSet::new()
            }
            Event::InitDone => self.listed(),
            Event::Apply(object) => {
                let Some((own, kept)) = self.kept(object) else { return BTreeSet::new() };
                let cluster = kept.cluster.clone();
                let before = self.write().put(own, kept);
                cluster.into_iter().chain(before.and_then(|kept| kept.cluster)).collect()
            }
            Event::Delete(object) => {
                let before = own(&object).and_then(|own| self.write().remove(&own));
                (self.cluster)(&object).into_iter().chain(before.and_then(|kept| kept.cluster)).collect()
            }
        }
    }

    /// `None` is nobody's: all that there is has a name.
    fn kept(&mut self, object: K) -> Option<(Key, Kept<K>)> {
        let (own, cluster, version) = (own(&object)?, (self.cluster)(&object), object.resource_version());
        Some((own, Kept { cluster, version, object: self.packer.pack(object) }))
    }

    fn listed(&mut self) -> BTreeSet<Key> {
        let fresh = std::mem::take(&mut self.listing);
        let stale = std::mem::replace(&mut *self.write(), fresh);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let same = |own: &Key, kept: &Kept<K>, other: &Known<K>| {
            kept.version.is_some() && other.objects.get(own).is_some_and(|other| other.version == kept.version)
        };
        let news = |one: &Known<K>, other: &Known<K>| {
            let differs = one.objects.iter().filter(|(own, kept)| !same(own, kept, other));
            differs.filter_map(|(_, kept)| kept.cluster.clone()).collect::<BTreeSet<Key>>()
        };
        let all = news(&known, &stale).into_iter().chain(news(&stale, &known)).collect();
        drop(known);
        self.listed.send_replace(true);
        all
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Known<K>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: DeserializeOwned> Store<K> {
    /// One of them.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let own = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        self.read().objects.get(&own)?.object.get()
    }

    /// Those of one cluster, by name.
    #[must_use]
    pub fn of(&self, cluster: &Key) -> Vec<Arc<K>> {
        let known = self.read();
        let names = known.clusters.get(&(cluster.name.clone(), cluster.namespace.clone()));
        let own = |name: &String| Key { namespace: cluster.namespace.clone(), name: name.clone() };
        let found = |name: &String| known.objects.get(&own(name))?.object.get();
        names.into_iter().flatten().filter_map(found).collect()
    }

    /// The clusters with an object that `wanted` says yes to. Looks at all objects: not for what happens often.
    #[must_use]
    pub fn clusters_with(&self, wanted: impl Fn(&K) -> bool) -> BTreeSet<Key> {
        // One by one: whoever writes does not wait for all of them.
        let all: Vec<Key> = self.read().objects.keys().cloned().collect();
        let found =
            all.into_iter().filter(|own| self.get(&own.namespace, &own.name).is_some_and(|object| wanted(&object)));
        found.filter_map(|own| self.read().objects.get(&own)?.cluster.clone()).collect()
    }
}

impl<K> Store<K> {
    /// `metadata.resourceVersion` of one of them.
    #[must_use]
    pub fn version(&self, namespace: &str, name: &str) -> Option<String> {
        let own = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        self.read().objects.get(&own)?.version.clone()
    }

    /// The names of one cluster's.
    #[must_use]
    pub fn names(&self, cluster: &Key) -> BTreeSet<String> {
        let at = (cluster.name.clone(), cluster.namespace.clone());
        self.read().clusters.get(&at).cloned().unwrap_or_default()
    }

    /// The namespaces with something of a cluster of this name.
    #[must_use]
    pub fn namespaces(&self, cluster: &str) -> Vec<String> {
        let known = self.read();
        let from = (cluster.to_owned(), String::new());
        let same = known.clusters.range(from..).take_while(|((name, _), _)| name == cluster);
        same.map(|((_, namespace), _)| namespace.clone()).collect()
    }

    /// Every cluster that something belongs to.
    #[must_use]
    pub fn clusters(&self) -> Vec<Key> {
        let key = |(name, namespace): &(String, String)| Key { namespace: namespace.clone(), name: name.clone() };
        self.read().clusters.keys().map(key).collect()
    }

    /// Waits for the first list.
    ///
    /// # Errors
    /// The watch has ended before.
    pub async fn ready(&self) -> Result<(), watch::error::RecvError> {
        self.listed.clone().wait_for(|listed| *listed).await.map(drop)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known<K>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caches::by_label;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    fn pod(cluster: &str, name: &str, version: &str) -> Pod {
        serde_json::from_value(json!({ "metadata": { "namespace": "ns", "name": name, "resourceVersion": version,
            "labels": { "cnpg.io/cluster": cluster } } }))
        .unwrap()
    }

    fn key(name: &str) -> Key {
        Key { namespace: "ns".into(), name: name.into() }
    }

    fn names(store: &Store<Pod>, cluster: &str) -> Vec<String> {
        store.of(&key(cluster)).iter().map(|pod| pod.name_any()).collect()
    }

    fn list(writer: &mut Writer<Pod>, pods: impl IntoIterator<Item = Pod>) -> Vec<String> {
        assert!(writer.apply(Event::Init).is_empty());
        for pod in pods {
            assert!(writer.apply(Event::InitApply(pod)).is_empty(), "half a list is no news");
        }
        writer.apply(Event::InitDone).into_iter().map(|key| key.name).collect()
    }

    #[tokio::test]
    async fn what_a_cluster_has_is_found_by_it_and_by_name_and_half_a_list_is_not_seen() {
        let (store, mut writer) = store(by_label::<Pod>);
        let _ = writer.apply(Event::InitApply(pod("a", "a-1", "1")));
        assert!(store.get("ns", "a-1").is_none());
        assert!(!*store.listed.borrow());
        assert_eq!(list(&mut writer, [pod("a", "a-2", "1"), pod("a", "a-1", "1"), pod("b", "b-1", "1")]), ["a", "b"]);
        store.ready().await.unwrap();
        assert_eq!((names(&store, "a"), names(&store, "b")), (vec!["a-1".into(), "a-2".into()], vec!["b-1".into()]));
        assert_eq!(store.names(&key("a")), BTreeSet::from(["a-1".to_owned(), "a-2".to_owned()]));
        assert!(store.names(&key("c")).is_empty());
        assert!(store.get("ns", "b-1").is_some() && store.get("other", "b-1").is_none());
        assert_eq!(store.clusters(), [key("a"), key("b")]);
        assert_eq!((store.namespaces("a"), store.namespaces("c")), (vec!["ns".to_owned()], vec![]));
        assert_eq!(store.clusters_with(|pod| pod.name_any() == "b-1"), BTreeSet::from([key("b")]));
    }

    #[test]
    fn an_object_that_changes_its_cluster_is_news_to_both_and_one_that_goes_leaves_nothing() {
        let (store, mut writer) = store(by_label::<Pod>);
        assert_eq!(writer.apply(Event::Apply(pod("a", "p", "1"))), BTreeSet::from([key("a")]));
        assert_eq!(writer.apply(Event::Apply(pod("b", "p", "2"))), BTreeSet::from([key("a"), key("b")]));
        assert_eq!((names(&store, "a").len(), names(&store, "b").len()), (0, 1));
        assert_eq!(writer.apply(Event::Delete(pod("b", "p", "3"))), BTreeSet::from([key("b")]));
        assert!(store.clusters().is_empty() && store.get("ns", "p").is_none());
    }

    #[test]
    fn of_a_list_only_what_has_changed_is_news_and_what_is_missing_in_it() {
        let (store, mut writer) = store(by_label::<Pod>);
        let before = [pod("a", "a-1", "1"), pod("b", "b-1", "1"), pod("c", "c-1", "1")];
        assert_eq!(list(&mut writer, before), ["a", "b", "c"]);
        let after = [pod("a", "a-1", "1"), pod("b", "b-1", "2"), pod("d", "d-1", "1")];
        assert_eq!(list(&mut writer, after), ["b", "c", "d"]);
        assert!(names(&store, "c").is_empty());
    }
}
