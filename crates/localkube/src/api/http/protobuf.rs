//! Reading the protobuf bodies that `kubectl create` sends for built-in kinds. Answers are always JSON, which clients
//! accept. Only the kinds that kubectl makes from its arguments are known; numbers are those of `generated.proto`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::super::lifecycle::timestamp;

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Bytes,
    Number,
    Bool,
    Time,
    TextMap,
    BytesMap,
    Message(&'static [Field]),
    TextList,
    MessageList(&'static [Field]),
}

/// Number, JSON name and kind of a field.
type Field = (u64, &'static str, Kind);

const OWNER: &[Field] = &[
    (1, "kind", Kind::Text),
    (3, "name", Kind::Text),
    (4, "uid", Kind::Text),
    (5, "apiVersion", Kind::Text),
    (6, "controller", Kind::Bool),
    (7, "blockOwnerDeletion", Kind::Bool),
];
const METADATA: &[Field] = &[
    (1, "name", Kind::Text),
    (2, "generateName", Kind::Text),
    (3, "namespace", Kind::Text),
    (5, "uid", Kind::Text),
    (6, "resourceVersion", Kind::Text),
    (8, "creationTimestamp", Kind::Time),
    (11, "labels", Kind::TextMap),
    (12, "annotations", Kind::TextMap),
    (13, "ownerReferences", Kind::MessageList(OWNER)),
    (14, "finalizers", Kind::TextList),
];
const META: Field = (1, "metadata", Kind::Message(METADATA));
const CONFIG_MAP: &[Field] =
    &[META, (2, "data", Kind::TextMap), (3, "binaryData", Kind::BytesMap), (4, "immutable", Kind::Bool)];
const SECRET: &[Field] = &[
    META,
    (2, "data", Kind::BytesMap),
    (3, "type", Kind::Text),
    (4, "stringData", Kind::TextMap),
    (5, "immutable", Kind::Bool),
];
const ONLY_METADATA: &[Field] = &[META];
const BOUND_OBJECT: &[Field] =
    &[(1, "kind", Kind::Text), (2, "apiVersion", Kind::Text), (3, "name", Kind::Text), (4, "uid", Kind::Text)];
const TOKEN_SPEC: &[Field] = &[
    (1, "audiences", Kind::TextList),
    (3, "boundObjectRef", Kind::Message(BOUND_OBJECT)),
    (4, "expirationSeconds", Kind::Number),
];
const TOKEN_REQUEST: &[Field] = &[META, (2, "spec", Kind::Message(TOKEN_SPEC))];
const ATTRIBUTES: &[Field] = &[
    (1, "namespace", Kind::Text),
    (2, "verb", Kind::Text),
    (3, "group", Kind::Text),
    (4, "version", Kind::Text),
    (5, "resource", Kind::Text),
    (6, "subresource", Kind::Text),
    (7, "name", Kind::Text),
];
const ACCESS_SPEC: &[Field] = &[(1, "resourceAttributes", Kind::Message(ATTRIBUTES))];
const ACCESS_REVIEW: &[Field] = &[META, (2, "spec", Kind::Message(ACCESS_SPEC))];
const PRECONDITIONS: &[Field] = &[(1, "uid", Kind::Text), (2, "resourceVersion", Kind::Text)];
const DELETE_OPTIONS: &[Field] = &[
    (1, "gracePeriodSeconds", Kind::Number),
    (2, "preconditions", Kind::Message(PRECONDITIONS)),
    (3, "orphanDependents", Kind::Bool),
    (4, "propagationPolicy", Kind::Text),
    (5, "dryRun", Kind::TextList),
];
const EVICTION: &[Field] = &[META, (2, "deleteOptions", Kind::Message(DELETE_OPTIONS))];

fn fields_of(kind: &str) -> Option<&'static [Field]> {
    Some(match kind {
        "ConfigMap" => CONFIG_MAP,
        "Secret" => SECRET,
        "Namespace" | "ServiceAccount" | "SelfSubjectReview" => ONLY_METADATA,
        "TokenRequest" => TOKEN_REQUEST,
        "SelfSubjectAccessReview" => ACCESS_REVIEW,
        "DeleteOptions" => DELETE_OPTIONS,
        "Eviction" => EVICTION,
        _ => return None,
    })
}

/// The object in a body: the magic `k8s\0`, then `runtime.Unknown` around the object. `None` if it is not that, or of a
/// kind that is not known here.
pub(super) fn decode(body: &[u8]) -> Option<Value> {
    const UNKNOWN: &[Field] = &[
        (1, "type", Kind::Message(&[(1, "apiVersion", Kind::Text), (2, "kind", Kind::Text)])),
        (2, "raw", Kind::Bytes),
    ];
    let envelope = message(UNKNOWN, body.strip_prefix(b"k8s\0")?)?;
    let kind = envelope.get("type")?.get("kind")?.clone();
    let raw = STANDARD.decode(envelope.get("raw").and_then(Value::as_str).unwrap_or_default()).ok()?;
    let mut object = message(fields_of(kind.as_str()?)?, &raw)?;
    object.insert("apiVersion".into(), envelope.get("type")?.get("apiVersion")?.clone());
    object.insert("kind".into(), kind);
    Some(Value::Object(object))
}

fn message(fields: &[Field], mut bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut map = Map::new();
    while !bytes.is_empty() {
        let (tag, wire) = take_entry(&mut bytes)?;
        let Some((_, name, kind)) = fields.iter().find(|(number, _, _)| *number == tag) else { continue };
        let value = match (*kind, wire) {
            (Kind::Text, Wire::Bytes(b)) => text(b)?.into(),
            (Kind::Bytes, Wire::Bytes(b)) => STANDARD.encode(b).into(),
            (Kind::Number, Wire::Number(n)) => n.cast_signed().into(),
            (Kind::Bool, Wire::Number(n)) => (n != 0).into(),
            (Kind::Time, Wire::Bytes(b)) => match time(b)? {
                Some(time) => time.into(),
                None => continue,
            },
            (Kind::Message(fields), Wire::Bytes(b)) => Value::Object(message(fields, b)?),
            (Kind::TextMap, Wire::Bytes(b)) => {
                merge_entry(&mut map, name, message(&[(1, "k", Kind::Text), (2, "v", Kind::Text)], b)?);
                continue;
            }
            (Kind::BytesMap, Wire::Bytes(b)) => {
                merge_entry(&mut map, name, message(&[(1, "k", Kind::Text), (2, "v", Kind::Bytes)], b)?);
                continue;
            }
            (Kind::TextList, Wire::Bytes(b)) => {
                push(&mut map, name, text(b)?.into());
                continue;
            }
            (Kind::MessageList(fields), Wire::Bytes(b)) => {
                push(&mut map, name, Value::Object(message(fields, b)?));
                continue;
            }
            _ => return None,
        };
        // Empty is how protobuf writes absent.
        if value != "" {
            map.insert((*name).to_owned(), value);
        }
    }
    Some(map)
}

fn merge_entry(map: &mut Map<String, Value>, name: &str, mut entry: Map<String, Value>) {
    let key = entry.remove("k").and_then(|k| k.as_str().map(str::to_owned)).unwrap_or_default();
    let value = entry.remove("v").unwrap_or_else(|| "".into());
    super::super::object::map_mut(map, name).insert(key, value);
}

fn push(map: &mut Map<String, Value>, name: &str, value: Value) {
    if let Some(items) = map.entry(name).or_insert_with(|| Value::Array(Vec::new())).as_array_mut() {
        items.push(value);
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// `Time{seconds, nanos}`; none for the zero time.
fn time(bytes: &[u8]) -> Option<Option<String>> {
    let fields = message(&[(1, "seconds", Kind::Number)], bytes)?;
    let seconds = fields.get("seconds").and_then(Value::as_i64).filter(|seconds| *seconds > 0);
    Some(seconds.and_then(|s| jiff::Timestamp::from_second(s).ok()).map(timestamp))
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn take_entry<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = take_number(bytes)?;
    let wire = match key & 7 {
        0 => Wire::Number(take_number(bytes)?),
        1 => Wire::Bytes(take(bytes, 8)?),
        2 => {
            let length = usize::try_from(take_number(bytes)?).ok()?;
            Wire::Bytes(take(bytes, length)?)
        }
        5 => Wire::Bytes(take(bytes, 4)?),
        _ => return None,
    };
    Some((key >> 3, wire))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(length)?;
    *bytes = tail;
    Some(head)
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number: u64 = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::decode;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut all = vec![(number << 3) | 2, u8::try_from(bytes.len()).unwrap()];
        all.extend_from_slice(bytes);
        all
    }

    #[test]
    fn a_secret_made_by_kubectl_is_understood() {
        let entry = [field(1, b"password"), field(2, b"abc")].concat();
        let secret = [field(1, &field(1, b"s")), field(2, &entry), field(3, b"Opaque")].concat();
        let kind = [field(1, b"v1"), field(2, b"Secret")].concat();
        let body = [b"k8s\0".to_vec(), field(1, &kind), field(2, &secret)].concat();
        let expected = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque",
            "data": {"password": "YWJj"}});
        assert_eq!(decode(&body), Some(expected));
    }

    #[test]
    fn bytes_that_are_no_object_are_refused_without_a_panic() {
        let mut seed: u32 = 1;
        for length in 0..200 {
            let mut body = b"k8s\0".to_vec();
            for _ in 0..length {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                body.push(seed.to_be_bytes()[0]);
            }
            let _ = decode(&body);
        }
        assert_eq!(decode(b"{}"), None);
    }
}
