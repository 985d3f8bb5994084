//! The entries of `metadata.managedFields`: read, written, and changed by a write that is not an apply.

use serde_json::{Map, Value, json};

use super::super::object::{as_map, at, list, meta_mut, text};
use super::super::resource::ResourceInfo;
use super::cap::capped;
use super::compare::{Compared, compare};
use super::set::FieldSet;
use super::shape::Shape;

/// What an entry is of: an apply owns what it named until it no longer names it, an update what it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Everything else.
    Update,
}

/// One owner and what it owns.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub manager: String,
    pub operation: Operation,
    pub subresource: String,
    pub api_version: String,
    pub time: String,
    pub fields: FieldSet,
}

/// All owners of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Managers(pub(super) Vec<Entry>);

/// Who writes.
#[derive(Debug, Clone)]
pub struct Writer<'a> {
    /// The name that it gave itself.
    pub manager: &'a str,
    /// `status`, or empty.
    pub subresource: &'a str,
    /// Now, as metadata has it.
    pub now: &'a str,
}

impl Managers {
    /// Of an object.
    pub fn of(object: &Value) -> Self {
        Self(list(object, "/metadata/managedFields").iter().filter_map(read).collect())
    }

    /// Writes them into an object.
    pub fn put(mut self, object: &mut Value) {
        self.0.retain(|entry| !entry.fields.is_empty());
        self.0.sort_by(|a, b| {
            let order = |entry: &Entry| (entry.operation, entry.time.clone(), entry.manager.clone());
            order(a).cmp(&order(b)).then_with(|| a.subresource.cmp(&b.subresource))
        });
        let metadata = meta_mut(object);
        if self.0.is_empty() {
            metadata.remove("managedFields");
        } else {
            metadata.insert("managedFields".to_owned(), self.0.iter().map(write).collect());
        }
    }

    /// Without fields and what is below them, whoever owned them.
    #[must_use]
    pub fn without(mut self, fields: &[&[&str]]) -> Self {
        for entry in &mut self.0 {
            fields.iter().for_each(|field| entry.fields.cut(field));
        }
        self
    }

    /// Whatever changed or has gone is no longer theirs.
    pub(super) fn lose(&mut self, changes: &Compared) {
        for entry in &mut self.0 {
            entry.fields = entry.fields.minus(&changes.taken).minus(&changes.removed);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read(entry: &Value) -> Option<Entry> {
    let operation = match text(entry, "/operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return None,
    };
    Some(Entry {
        manager: text(entry, "/manager").to_owned(),
        operation,
        subresource: text(entry, "/subresource").to_owned(),
        api_version: text(entry, "/apiVersion").to_owned(),
        time: text(entry, "/time").to_owned(),
        fields: FieldSet::from_json(at(entry, "/fieldsV1")),
    })
}

fn write(entry: &Entry) -> Value {
    let mut written = json!({
        "manager": entry.manager,
        "operation": if entry.operation == Operation::Apply { "Apply" } else { "Update" },
        "apiVersion": entry.api_version, "time": entry.time, "fieldsType": "FieldsV1",
        "fieldsV1": entry.fields.to_json(),
    });
    if !entry.subresource.is_empty() {
        as_map(&mut written).insert("subresource".to_owned(), entry.subresource.clone().into());
    }
    written
}

/// The owners that a write goes on from: those that it brings itself, else those that were. An empty list, or one with
/// an empty entry, forgets them all.
pub fn given(old: &Value, brought: Option<&Value>) -> Managers {
    let Some(brought) = brought.and_then(Value::as_array) else { return Managers::of(old) };
    let forget = match brought.as_slice() {
        [] => true,
        [one] => one.as_object().is_some_and(Map::is_empty),
        _ => false,
    };
    if forget {
        return Managers::default();
    }
    let read: Option<Vec<Entry>> = brought.iter().map(read).collect();
    read.map_or_else(|| Managers::of(old), Managers)
}

/// The owners after a write that is not an apply. An object whose owners are not known stays so.
pub fn updated(info: &ResourceInfo, old: Option<&Value>, new: &Value, mut all: Managers, by: &Writer) -> Managers {
    if all.is_empty() && old.is_some() {
        return all;
    }
    let empty = old.is_none().then(|| empty_of(info));
    let Some(old) = old.or(empty.as_ref()) else { return all };
    let mut found = compare(Shape::of(info), old, new);
    strip(&mut found.taken);
    all.lose(&found);
    if found.taken.is_empty() {
        return capped(all);
    }
    let api_version = info.api_version();
    let own = all.0.iter_mut().find(|entry| {
        entry.operation == Operation::Update
            && entry.manager == by.manager
            && entry.subresource == by.subresource
            && entry.api_version == api_version
    });
    match own {
        Some(own) => {
            own.fields = std::mem::take(&mut own.fields).union(&found.taken);
            by.now.clone_into(&mut own.time);
        }
        None => all.0.push(Entry {
            manager: by.manager.to_owned(),
            operation: Operation::Update,
            subresource: by.subresource.to_owned(),
            api_version,
            time: by.now.to_owned(),
            fields: found.taken,
        }),
    }
    capped(all)
}

/// The fields of a new object that the server fills in after it has seen who owns what, so that they belong to nobody.
pub fn assigned(info: &ResourceInfo, submitted: &Value) -> Vec<&'static [&'static str]> {
    if info.kind != "Pod" {
        return Vec::new();
    }
    let by_admission: [(&str, &'static [&'static str]); 4] = [
        ("/spec/preemptionPolicy", &["f:spec", "f:preemptionPolicy"]),
        ("/spec/priority", &["f:spec", "f:priority"]),
        ("/spec/serviceAccount", &["f:spec", "f:serviceAccount"]),
        ("/spec/serviceAccountName", &["f:spec", "f:serviceAccountName"]),
    ];
    let absent = by_admission.into_iter().filter(|(pointer, _)| submitted.pointer(pointer).is_none());
    let status: &'static [&'static str] = &["f:status"];
    absent.map(|(_, field)| field).chain([status]).collect()
}

/// What belongs to nobody: identity, and what the server alone writes.
pub(super) fn strip(set: &mut FieldSet) {
    for field in ["f:apiVersion", "f:kind"] {
        set.cut(&[field]);
    }
    for field in [
        "f:name",
        "f:namespace",
        "f:creationTimestamp",
        "f:selfLink",
        "f:uid",
        "f:generation",
        "f:managedFields",
        "f:resourceVersion",
    ] {
        set.cut(&["f:metadata", field]);
    }
    set.cut_itself("f:metadata");
}

/// An object before it is created. One of a built-in kind has the parts that its Go type cannot leave out, so that
/// nobody comes to own them as a whole.
pub(super) fn empty_of(info: &ResourceInfo) -> Value {
    if info.custom.is_some() {
        return json!({"metadata": {}});
    }
    let spec = match info.kind.as_str() {
        "Pod" => json!({"containers": null}),
        "PersistentVolumeClaim" => json!({"resources": {}}),
        "Deployment" => json!({"selector": null, "strategy": {},
            "template": {"metadata": {}, "spec": {"containers": null}}}),
        "NetworkPolicy" => json!({"podSelector": {}}),
        "CustomResourceDefinition" => json!({"group": "", "scope": "", "names": {"plural": "", "kind": ""},
            "versions": null}),
        _ => json!({}),
    };
    let status = match info.kind.as_str() {
        "Service" => json!({"loadBalancer": {}}),
        "Node" => json!({"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}, "nodeInfo": {}}),
        "CustomResourceDefinition" => json!({"acceptedNames": {"plural": "", "kind": ""}, "conditions": null,
            "storedVersions": null}),
        _ => json!({}),
    };
    json!({"metadata": {}, "spec": spec, "status": status, "source": {}, "involvedObject": {}, "rules": null,
        "endpoints": null, "ports": null})
}
