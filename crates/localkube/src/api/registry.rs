//! All resources that are served now: the built-in ones and those of the CRDs in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::crd;
use super::resource::{GroupResource, ResourceInfo, built_in};

/// An immutable view; the store makes a new one when a CRD changes.
#[derive(Debug, Default)]
pub struct Registry {
    /// Per resource its served versions, preferred first.
    resources: BTreeMap<GroupResource, Vec<Arc<ResourceInfo>>>,
}

impl Registry {
    /// Built-in resources and those of the given CustomResourceDefinition objects.
    pub fn new<'a>(definitions: impl Iterator<Item = &'a Value>) -> Self {
        let mut resources: BTreeMap<GroupResource, Vec<Arc<ResourceInfo>>> = BTreeMap::new();
        for info in built_in().into_iter().chain(definitions.flat_map(crd::served)) {
            resources.entry(info.gr.clone()).or_default().push(Arc::new(info));
        }
        Self { resources }
    }

    /// The preferred version of a resource.
    pub fn preferred(&self, gr: &GroupResource) -> Option<&Arc<ResourceInfo>> {
        self.resources.get(gr).and_then(|versions| versions.first())
    }

    /// Exactly this version of a resource.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<ResourceInfo>> {
        self.resources.get(&GroupResource::new(group, plural))?.iter().find(|info| info.version == version)
    }

    /// Every served version of every resource, in the order of group and name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<ResourceInfo>> {
        self.resources.values().flatten()
    }

    /// Named groups with their versions, preferred first. The core group is left out.
    pub fn groups(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for group in ["authentication.k8s.io", "authorization.k8s.io"] {
            groups.insert(group.to_owned(), vec!["v1".to_owned()]);
        }
        for info in self.all().filter(|info| !info.gr.group.is_empty()) {
            let versions = groups.entry(info.gr.group.clone()).or_default();
            if !versions.contains(&info.version) {
                versions.push(info.version.clone());
            }
        }
        groups
    }

    /// The distinct resources in which namespaced objects are kept.
    pub fn namespaced_storage(&self) -> BTreeSet<GroupResource> {
        self.all().filter(|info| info.namespaced).map(|info| info.stored_as.clone()).collect()
    }
}
