//! What kinds of objects there are: names, scope, subresources, and the rules that differ between kinds.

use std::fmt;
use std::sync::Arc;

use super::crd::CustomVersion;

/// A resource type without its version: `pods`, `leases.coordination.k8s.io`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupResource {
    /// Empty for the core group.
    pub group: String,
    /// Plural name in lower case.
    pub plural: String,
}

impl GroupResource {
    /// From its two parts.
    pub fn new(group: &str, plural: &str) -> Self {
        Self { group: group.to_owned(), plural: plural.to_owned() }
    }
}

impl From<&str> for GroupResource {
    /// `plural` or `plural.group`, as kubectl writes it.
    fn from(text: &str) -> Self {
        let (plural, group) = text.split_once('.').unwrap_or((text, ""));
        Self::new(group, plural)
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

/// Where the scale subresource finds its numbers, as JSON paths (`.spec.instances`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    /// Wished number.
    pub spec: String,
    /// Observed number.
    pub status: String,
    /// Serialised label selector.
    pub selector: Option<String>,
}

/// One served version of one resource.
#[derive(Debug, Clone)]
pub struct ResourceInfo {
    /// Group and plural.
    pub gr: GroupResource,
    /// Version, `v1`.
    pub version: String,
    /// Kind, `Pod`.
    pub kind: String,
    /// Kind of a list.
    pub list_kind: String,
    /// Singular name.
    pub singular: String,
    /// Short names, `po`.
    pub short_names: Vec<String>,
    /// Categories, `all`.
    pub categories: Vec<String>,
    /// Namespaced or cluster-scoped.
    pub namespaced: bool,
    /// `/status` exists: the main endpoint ignores status, `/status` everything else.
    pub has_status: bool,
    /// `/scale` exists.
    pub scale: Option<ScalePaths>,
    /// Where objects are kept, when another resource shares them (`events.k8s.io` with core events).
    pub stored_as: GroupResource,
    /// `metadata.generation` is kept and counts changes outside metadata and status.
    pub has_generation: bool,
    /// An update without resourceVersion overwrites whatever is there.
    pub unconditional_update: bool,
    /// A PUT of an absent object creates it.
    pub create_on_update: bool,
    /// Schema, columns and versions of a custom resource; absent for built-in ones.
    pub custom: Option<Arc<CustomVersion>>,
}

impl ResourceInfo {
    /// `v1` or `group/v1`.
    pub fn api_version(&self) -> String {
        if self.gr.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.gr.group, self.version) }
    }

    /// Further subresources than status and scale: name and kind of what is posted.
    pub fn subresources(&self) -> &'static [(&'static str, &'static str)] {
        match (self.gr.group.as_str(), self.gr.plural.as_str()) {
            ("", "pods") => &[("log", "Pod"), ("eviction", "Eviction")],
            ("", "serviceaccounts") => &[("token", "TokenRequest")],
            _ => &[],
        }
    }
}

/// Status subresource and metadata.generation.
const STATUS: u8 = 1;
const GENERATION: u8 = 2;
/// No update without a resourceVersion.
const STRICT: u8 = 4;
const CREATE_ON_UPDATE: u8 = 8;
/// In category `all`.
const ALL: u8 = 16;
const CLUSTER: u8 = 32;

/// group, version, plural, singular, kind, short names, flags. Flags follow each type's strategy in the real server.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static [&'static str], u8);

const BUILT_IN: &[Row] = &[
    (
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        "validatingwebhookconfiguration",
        "ValidatingWebhookConfiguration",
        &[],
        GENERATION | CLUSTER,
    ),
    ("apps", "v1", "deployments", "deployment", "Deployment", &["deploy"], STATUS | GENERATION | ALL),
    ("networking.k8s.io", "v1", "networkpolicies", "networkpolicy", "NetworkPolicy", &["netpol"], GENERATION),
    ("", "v1", "configmaps", "configmap", "ConfigMap", &["cm"], 0),
    ("", "v1", "endpoints", "endpoints", "Endpoints", &["ep"], CREATE_ON_UPDATE),
    ("", "v1", "events", "event", "Event", &["ev"], CREATE_ON_UPDATE),
    ("", "v1", "namespaces", "namespace", "Namespace", &["ns"], STATUS | CLUSTER),
    ("", "v1", "nodes", "node", "Node", &["no"], STATUS | CLUSTER),
    ("", "v1", "persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim", &["pvc"], STATUS),
    ("", "v1", "persistentvolumes", "persistentvolume", "PersistentVolume", &["pv"], STATUS | CLUSTER),
    ("", "v1", "pods", "pod", "Pod", &["po"], STATUS | GENERATION | ALL),
    ("", "v1", "secrets", "secret", "Secret", &[], 0),
    ("", "v1", "serviceaccounts", "serviceaccount", "ServiceAccount", &["sa"], 0),
    ("", "v1", "services", "service", "Service", &["svc"], STATUS | ALL | CREATE_ON_UPDATE),
    (
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "customresourcedefinition",
        "CustomResourceDefinition",
        &["crd", "crds"],
        STATUS | GENERATION | STRICT | CLUSTER,
    ),
    ("coordination.k8s.io", "v1", "leases", "lease", "Lease", &[], STRICT | CREATE_ON_UPDATE),
    ("discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice", &[], GENERATION),
    ("events.k8s.io", "v1", "events", "event", "Event", &["ev"], CREATE_ON_UPDATE),
    (
        "policy",
        "v1",
        "poddisruptionbudgets",
        "poddisruptionbudget",
        "PodDisruptionBudget",
        &["pdb"],
        STATUS | GENERATION | STRICT,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "clusterrolebindings",
        "clusterrolebinding",
        "ClusterRoleBinding",
        &[],
        CLUSTER,
    ),
    ("rbac.authorization.k8s.io", "v1", "clusterroles", "clusterrole", "ClusterRole", &[], CLUSTER),
    ("rbac.authorization.k8s.io", "v1", "rolebindings", "rolebinding", "RoleBinding", &[], 0),
    ("rbac.authorization.k8s.io", "v1", "roles", "role", "Role", &[], 0),
    ("storage.k8s.io", "v1", "storageclasses", "storageclass", "StorageClass", &["sc"], CLUSTER),
];

/// The built-in resources.
pub fn built_in() -> Vec<ResourceInfo> {
    BUILT_IN.iter().map(from_row).collect()
}

fn from_row(&(group, version, plural, singular, kind, short_names, flags): &Row) -> ResourceInfo {
    let gr = GroupResource::new(group, plural);
    let stored_as = if group == "events.k8s.io" { GroupResource::new("", "events") } else { gr.clone() };
    ResourceInfo {
        gr,
        version: version.to_owned(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        singular: singular.to_owned(),
        short_names: short_names.iter().map(|s| (*s).to_owned()).collect(),
        categories: if flags & ALL != 0 { vec!["all".to_owned()] } else { Vec::new() },
        namespaced: flags & CLUSTER == 0,
        has_status: flags & STATUS != 0,
        scale: None,
        stored_as,
        has_generation: flags & GENERATION != 0,
        unconditional_update: flags & STRICT == 0,
        create_on_update: flags & CREATE_ON_UPDATE != 0,
        custom: None,
    }
}
