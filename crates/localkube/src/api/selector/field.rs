//! Field selectors: `metadata.name=x,status.phase!=Running`.

use serde_json::Value;

use super::super::error::ApiError;
use super::super::resource::ResourceInfo;

/// A conjunction of comparisons; empty selects everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldSelector(Vec<Comparison>);

#[derive(Debug, Clone, PartialEq)]
struct Comparison {
    path: Vec<String>,
    equal: bool,
    value: String,
}

/// The fields that built-in kinds can be selected by, beside name and namespace.
fn selectable(info: &ResourceInfo) -> &'static [&'static str] {
    match (info.gr.group.as_str(), info.gr.plural.as_str()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "events") | ("events.k8s.io", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "reason",
            "reportingComponent",
            "reportingController",
            "source",
            "type",
        ],
        ("", "secrets") => &["type"],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        _ => &[],
    }
}

impl FieldSelector {
    /// Parses the text form for one kind of resource.
    ///
    /// # Errors
    /// 400 if it cannot be parsed or names a field this resource cannot be selected by.
    pub fn parse(info: &ResourceInfo, text: &str) -> Result<Self, ApiError> {
        let custom: &[String] = info.custom.as_ref().map(|c| c.selectable.as_slice()).unwrap_or_default();
        let mut all = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (field, equal, value) = if let Some((field, value)) = part.split_once("!=") {
                (field, false, value)
            } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (field, true, value)
            } else {
                return Err(ApiError::bad_request(format!("invalid field selector: {part:?}")));
            };
            let known = matches!(field, "metadata.name" | "metadata.namespace")
                || selectable(info).contains(&field)
                || custom.iter().any(|path| path == field);
            if !known {
                return Err(ApiError::bad_request(format!("field label not supported: {field}")));
            }
            let path = stored_path(info, field).split('.').map(str::to_owned).collect();
            all.push(Comparison { path, equal, value: value.to_owned() });
        }
        Ok(Self(all))
    }

    /// Whether the object's fields satisfy every comparison. An absent field compares as the empty string.
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|comparison| {
            let found = comparison.path.iter().try_fold(object, |value, key| value.get(key));
            let found = match found {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            };
            (found == comparison.value) == comparison.equal
        })
    }
}

/// Where a selectable field stands in the stored object: events are stored in their core form.
fn stored_path(info: &ResourceInfo, field: &str) -> String {
    if info.gr.plural != "events" {
        return field.to_owned();
    }
    match field {
        "source" => "source.component".to_owned(),
        "reportingController" => "reportingComponent".to_owned(),
        other => other.replace("regarding.", "involvedObject."),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::resource::built_in;
    use super::FieldSelector;

    #[test]
    fn field_selectors_compare_the_fields_a_kind_offers() {
        let pods = built_in().into_iter().find(|info| info.gr.plural == "pods").unwrap();
        let pod = json!({"metadata": {"name": "c-1", "namespace": "n"}, "spec": {"nodeName": "a"},
            "status": {"phase": "Running"}});
        let cases = [
            ("metadata.name=c-1", true),
            ("metadata.name==c-2", false),
            ("metadata.namespace!=n", false),
            ("spec.nodeName=a,status.phase=Running", true),
            ("status.podIP=", true),
        ];
        for (text, expected) in cases {
            assert_eq!(FieldSelector::parse(&pods, text).unwrap().matches(&pod), expected, "{text}");
        }
        assert_eq!(FieldSelector::parse(&pods, "spec.color=red").unwrap_err().code, 400);
        assert_eq!(FieldSelector::parse(&pods, "nonsense").unwrap_err().code, 400);
    }
}
