//! What a value is for the purposes of ownership: one whole, a map of fields, or a list whose items have a key.

use serde_json::{Map, Value, json};

use super::super::resource::ResourceInfo;

/// Where in a kind a value stands.
#[derive(Debug, Clone, Copy)]
pub enum Shape<'a> {
    /// A custom resource, with its schema.
    Root(&'a Value),
    /// A part of one, with the schema of that part; null where the schema says nothing.
    Custom(&'a Value),
    /// A field of a built-in kind, or an item of it, and the field that it is in.
    BuiltIn(&'a str, &'a str),
}

/// A part of a value: its edge in a set of fields, where it stands, and what it is.
pub type Part<'a> = (String, Shape<'a>, &'a Value);

static UNKNOWN: Value = Value::Null;

impl<'a> Shape<'a> {
    /// A whole object.
    pub fn of(info: &'a ResourceInfo) -> Self {
        match &info.custom {
            Some(custom) => Self::Root(&custom.schema),
            None => Self::BuiltIn("", ""),
        }
    }

    /// The parts of a value that are owned one by one; none if it is owned as a whole.
    pub fn parts(self, value: &'a Value) -> Option<Vec<Part<'a>>> {
        match value {
            Value::Object(map) if !self.is_one_whole() => {
                Some(map.iter().map(|(field, inner)| (format!("f:{field}"), self.field(field), inner)).collect())
            }
            Value::Array(items) => {
                let edges = self.edges(items)?;
                Some(edges.into_iter().zip(items).map(|(edge, item)| (edge, self.item(), item)).collect())
            }
            _ => None,
        }
    }

    /// A field of it.
    pub fn field(self, field: &'a str) -> Self {
        match self {
            Self::Root(_) if field == "metadata" => Self::BuiltIn("", "metadata"),
            Self::Root(schema) | Self::Custom(schema) => {
                let declared = schema.get("properties").and_then(|all| all.get(field));
                let any = || schema.get("additionalProperties").filter(|any| any.is_object());
                Self::Custom(declared.or_else(any).unwrap_or(&UNKNOWN))
            }
            Self::BuiltIn(_, own) => Self::BuiltIn(own, field),
        }
    }

    /// An item of it.
    pub fn item(self) -> Self {
        match self {
            Self::Root(schema) | Self::Custom(schema) => Self::Custom(schema.get("items").unwrap_or(&UNKNOWN)),
            Self::BuiltIn(..) => self,
        }
    }

    /// A field that its type names, rather than a key of a map.
    pub fn declares(self, field: &str) -> bool {
        match self {
            Self::Root(schema) | Self::Custom(schema) => {
                schema.get("properties").is_some_and(|all| all.get(field).is_some())
            }
            Self::BuiltIn(..) => true,
        }
    }

    fn is_one_whole(self) -> bool {
        match self {
            Self::Root(_) => false,
            Self::Custom(schema) => schema.get("x-kubernetes-map-type").is_some_and(|kind| kind == "atomic"),
            Self::BuiltIn(_, own) => matches!(
                own,
                "selector"
                    | "labelSelector"
                    | "nodeSelector"
                    | "secretKeyRef"
                    | "configMapKeyRef"
                    | "fieldRef"
                    | "resourceFieldRef"
                    | "roleRef"
                    | "involvedObject"
                    | "dataSource"
            ),
        }
    }

    /// The edges of the items of a list; none if it is owned as a whole.
    pub fn edges(self, items: &[Value]) -> Option<Vec<String>> {
        let edge: Edge<'_> = match self {
            Self::Root(schema) | Self::Custom(schema) => match schema.get("x-kubernetes-list-type")?.as_str()? {
                "set" => Box::new(by_value),
                "map" => {
                    let keys = schema.get("x-kubernetes-list-map-keys")?.as_array()?;
                    let keys = keys.iter().filter_map(Value::as_str).map(|key| (key, default_of(schema, key)));
                    let keys: Vec<_> = keys.collect();
                    Box::new(move |item| by_keys(&keys, item))
                }
                _ => return None,
            },
            Self::BuiltIn(parent, own) if is_set(parent, own) => Box::new(by_value),
            Self::BuiltIn(parent, own) => {
                let keys: Vec<_> = keys(parent, own)?.iter().map(|key| (*key, built_in_default(key))).collect();
                Box::new(move |item| by_keys(&keys, item))
            }
        };
        let edges: Vec<String> = items.iter().map(edge).collect::<Option<_>>()?;
        let mut sorted: Vec<_> = edges.iter().collect();
        sorted.sort();
        let twice = sorted.windows(2).any(|two| two.first() == two.last());
        (!twice).then_some(edges)
    }
}

/// What an item of a list is called.
type Edge<'a> = Box<dyn Fn(&Value) -> Option<String> + 'a>;

fn by_value(item: &Value) -> Option<String> {
    (!item.is_object() && !item.is_array()).then(|| format!("v:{item}"))
}

fn by_keys(keys: &[(&str, Option<Value>)], item: &Value) -> Option<String> {
    let mut found = Map::new();
    for (key, default) in keys {
        found.insert((*key).to_owned(), item.get(key).cloned().or_else(|| default.clone())?);
    }
    Some(format!("k:{}", Value::Object(found)))
}

fn default_of(schema: &Value, key: &str) -> Option<Value> {
    schema.get("items")?.get("properties")?.get(key)?.get("default").cloned()
}

fn built_in_default(key: &str) -> Option<Value> {
    (key == "protocol").then(|| json!("TCP"))
}

fn is_set(parent: &str, own: &str) -> bool {
    matches!((parent, own), ("metadata", "finalizers") | ("spec", "podCIDRs"))
}

/// The keys of the lists of built-in kinds, from the `listMapKey` and `patchMergeKey` tags of their types.
fn keys(parent: &str, own: &str) -> Option<&'static [&'static str]> {
    Some(match (parent, own) {
        ("spec", "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "imagePullSecrets")
        | (_, "env")
        | ("", "secrets") => &["name"],
        ("containers" | "initContainers" | "ephemeralContainers", "ports") => &["containerPort", "protocol"],
        ("spec", "ports") => &["port", "protocol"],
        (_, "volumeMounts") => &["mountPath"],
        (_, "volumeDevices") => &["devicePath"],
        ("spec", "hostAliases") => &["ip"],
        ("spec", "topologySpreadConstraints") => &["topologyKey", "whenUnsatisfiable"],
        ("status", "conditions" | "addresses") => &["type"],
        ("status", "podIPs") => &["ip"],
        ("metadata", "ownerReferences") => &["uid"],
        _ => return None,
    })
}
