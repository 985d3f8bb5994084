//! What is taken out of a report before anybody sees it: the values of Secrets, wherever they stand.

use serde_json::{Value, json};

/// In place of a secret.
pub const REDACTED: &str = "<redacted>";
/// Keys of Secrets that say nothing secret.
const OPEN_KEYS: &[&str] = &["username", "user", "dbname", "host", "port"];
/// Values shorter than this stand in too many places by chance.
const SHORTEST: usize = 6;
/// Lines of a key or of another long text that are worth looking for.
const SHORTEST_LINE: usize = 24;
/// Annotations that repeat what is in the object.
const REPEATED: &[&str] = &["kubectl.kubernetes.io/last-applied-configuration", "cnpg.io/podSpec"];

/// What must not be in any text: the values of Secrets, a long one by its lines too.
pub fn needles(secret: &Value) -> Vec<String> {
    let data = secret.get("data").and_then(Value::as_object).into_iter().flatten();
    let secret = data.filter(|(key, _)| !key.ends_with(".crt") && !OPEN_KEYS.contains(&key.as_str()));
    let texts = secret.filter_map(|(_, value)| decoded(value.as_str()?));
    texts
        .flat_map(|text| {
            let lines = text.lines().filter(|line| line.len() >= SHORTEST_LINE && !line.contains("-----"));
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            [text.trim().to_owned()].into_iter().chain(lines)
        })
        .filter(|needle| needle.len() >= SHORTEST)
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(json!(text)).ok()?;
    String::from_utf8(bytes.0).ok()
}

/// An object without what is secret in it by its place.
pub fn object(object: &mut Value) {
    for annotation in REPEATED {
        if let Some(Value::Object(all)) = object.pointer_mut("/metadata/annotations") {
            all.remove(*annotation);
        }
    }
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("managedFields");
    }
    if object.get("kind") == Some(&json!("Secret")) {
        for part in ["data", "stringData"] {
            for (_, value) in object.get_mut(part).and_then(Value::as_object_mut).into_iter().flatten() {
                *value = json!(REDACTED);
            }
        }
    }
    variables(object);
}

/// Values of environment variables whose names sound secret.
fn variables(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(variables),
        Value::Object(fields) => {
            let name = fields.get("name").and_then(Value::as_str).unwrap_or_default().to_uppercase();
            let sounds =
                ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "KEY", "CREDENTIAL"].iter().any(|word| name.contains(word));
            if let Some(value) = fields.get_mut("value").filter(|value| sounds && value.is_string()) {
                *value = json!(REDACTED);
            }
            fields.values_mut().for_each(variables);
        }
        _ => {}
    }
}

/// A text in which no needle is.
pub fn text(text: &str, needles: &[String]) -> String {
    needles.iter().fold(text.to_owned(), |text, needle| {
        if text.contains(needle.as_str()) { text.replace(needle.as_str(), REDACTED) } else { text }
    })
}

#[cfg(test)]
mod tests {
    use super::{REDACTED, needles, object, text};
    use serde_json::json;

    #[test]
    fn values_of_secrets_are_taken_out_wherever_they_stand() {
        // "hunter2-and-more", "app", a line of a key.
        let mut secret = json!({"kind": "Secret", "metadata": {"name": "s", "managedFields": [1],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2-and-more", "a": "b"}},
            "data": {"password": "aHVudGVyMi1hbmQtbW9yZQ==", "username": "YXBw",
                "tls.key": "LS0tLS1CRUdJTi0tLS0tCmFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6Ci0tLS0tRU5ELS0tLS0K"}});
        let found = needles(&secret);
        assert!(
            found.contains(&"hunter2-and-more".to_owned()) && found.contains(&"abcdefghijklmnopqrstuvwxyz".to_owned())
        );
        assert!(!found.iter().any(|needle| needle == "app" || needle.starts_with("-----BEGIN-----\n-")));
        object(&mut secret);
        let shown = secret.to_string();
        assert!(!shown.contains("aHVu") && !shown.contains("hunter2") && shown.contains("\"a\":\"b\""), "{shown}");
        assert_eq!(text("password=hunter2-and-more app", &found), format!("password={REDACTED} app"));
    }

    #[test]
    fn variables_that_sound_secret_lose_their_values_and_others_do_not() {
        let mut pod = json!({"spec": {"containers": [{"name": "postgres", "env": [
            {"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}, {"name": "TZ", "value": "UTC"},
            {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "n", "key": "k"}}}]}]}});
        object(&mut pod);
        let shown = pod.to_string();
        assert!(shown.contains(REDACTED) && shown.contains("UTC") && shown.contains("secretKeyRef"), "{shown}");
    }
}
