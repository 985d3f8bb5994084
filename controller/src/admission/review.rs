//! What is answered to an AdmissionReview: by the rules by which `pgherd validate` and the controller judge.

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use pgherd_proto::cluster::{Cluster, ClusterSpec};
use pgherd_proto::finding::{Finding, Kind};
use pgherd_proto::labels;
use pgherd_proto::validate::{change, manifest};
use serde_json::{Value, json};

/// An object may have 1.5 MB, and the one before is sent with it.
const LARGEST: usize = 8 * 1024 * 1024;
/// The API server cuts longer ones.
const LONGEST_WARNING: usize = 250;

pub(super) fn router() -> Router {
    Router::new().route("/validate", post(validate)).layer(DefaultBodyLimit::max(LARGEST))
}

async fn validate(Json(review): Json<Value>) -> Result<Json<Value>, StatusCode> {
    answer(&review).map(Json).ok_or(StatusCode::BAD_REQUEST)
}

/// The answer; `None` to what is no AdmissionReview.
fn answer(review: &Value) -> Option<Value> {
    let request = review.get("request")?;
    let uid = request.get("uid").and_then(Value::as_str)?;
    let (new, old) = (request.get("object").unwrap_or(&Value::Null), request.get("oldObject"));
    let findings = if is_nothing_new(new, old) { Vec::new() } else { findings(new, old) };
    let (errors, others): (Vec<_>, Vec<_>) = findings.into_iter().partition(is_refused);
    let warnings: Vec<String> = others.iter().map(|finding| cut(said(finding))).collect();
    let mut response = json!({ "uid": uid, "allowed": errors.is_empty(), "warnings": warnings });
    if let (false, Some(fields)) = (errors.is_empty(), response.as_object_mut()) {
        let message = errors.iter().map(said).collect::<Vec<_>>().join("; ");
        fields.insert("status".to_owned(), json!({ "code": 422, "reason": "Invalid", "message": message }));
    }
    Some(json!({ "apiVersion": review.get("apiVersion"), "kind": review.get("kind"), "response": response }))
}

/// An object that is stored already can be labelled, annotated and deleted whatever its spec is.
fn is_nothing_new(new: &Value, old: Option<&Value>) -> bool {
    let Some(old) = old.filter(|old| old.is_object()) else { return false };
    !new.pointer("/metadata/deletionTimestamp").unwrap_or(&Value::Null).is_null() || new.get("spec") == old.get("spec")
}

fn findings(new: &Value, old: Option<&Value>) -> Vec<Finding> {
    let mut all = manifest(new);
    let is_cluster = new.get("kind").and_then(Value::as_str) == Some("Cluster");
    if let (true, Some(old)) = (is_cluster, old.and_then(in_force))
        && let Ok(new) = serde_json::from_value::<Cluster>(new.clone())
    {
        all.extend(change(&old, &new.spec));
    }
    all
}

/// The spec in force: the last valid one, which need not be the one that is stored.
fn in_force(old: &Value) -> Option<ClusterSpec> {
    let cluster: Cluster = serde_json::from_value(old.clone()).ok()?;
    let noted = cluster.metadata.annotations.as_ref().and_then(|all| all.get(labels::LAST_VALID_SPEC));
    Some(noted.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(cluster.spec))
}

/// What the controller would not put in force. A field that nobody has does nothing there, and is a warning here.
fn is_refused(finding: &Finding) -> bool {
    matches!(finding.kind, Kind::Invalid | Kind::Refused)
}

fn said(finding: &Finding) -> String {
    let Finding { path, message, hint, .. } = finding;
    let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    if path.is_empty() { format!("{message}{hint}") } else { format!("{path}: {message}{hint}") }
}

fn cut(text: String) -> String {
    if text.chars().count() <= LONGEST_WARNING {
        return text;
    }
    text.chars().take(LONGEST_WARNING).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Value {
        serde_yaml_ng::from_str(include_str!("../../../docs/examples/cluster.yaml")).unwrap()
    }

    fn asked(new: &Value, old: &Value) -> Value {
        let review = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": { "uid": "u1", "operation": "UPDATE", "object": new, "oldObject": old } });
        answer(&review).unwrap()["response"].clone()
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut object = example();
        *object.pointer_mut(pointer).unwrap() = value;
        object
    }

    #[test]
    fn the_example_is_allowed_and_what_may_be_lost_is_a_warning() {
        let response = asked(&example(), &Value::Null);
        assert_eq!((&response["uid"], &response["allowed"]), (&json!("u1"), &json!(true)));
        assert!(response["warnings"].to_string().contains("asynchronous"), "{response}");
    }

    #[test]
    fn a_broken_rule_is_refused_with_the_field_and_the_reason() {
        let response = asked(&with("/spec/instances", json!(0)), &Value::Null);
        assert_eq!(response["allowed"], false);
        assert!(response["status"]["message"].as_str().unwrap().starts_with("spec.instances: "), "{response}");
    }

    #[test]
    fn a_volume_does_not_shrink_below_the_spec_in_force() {
        let smaller = with("/spec/storage/size", json!("1Gi"));
        let response = asked(&smaller, &example());
        assert!(response["status"]["message"].as_str().unwrap().contains("spec.storage.size"), "{response}");
        // What is stored was never in force: it is compared with what is.
        let mut old = smaller.clone();
        let in_force = example()["spec"].to_string();
        old["metadata"]["annotations"] = json!({ labels::LAST_VALID_SPEC: in_force });
        let other = {
            let mut other = smaller;
            other["spec"]["instances"] = json!(2);
            other
        };
        assert_eq!(asked(&other, &old)["allowed"], false);
    }

    #[test]
    fn what_is_stored_with_a_bad_spec_can_be_labelled_and_deleted() {
        let bad = with("/spec/instances", json!(0));
        let mut labelled = bad.clone();
        labelled["metadata"]["labels"] = json!({ "a": "b" });
        assert_eq!(asked(&labelled, &bad)["allowed"], true);
        let mut deleted = with("/spec/instances", json!(-1));
        deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(asked(&deleted, &bad)["allowed"], true);
    }

    #[test]
    fn what_is_no_review_has_no_answer() {
        assert_eq!(answer(&json!({ "kind": "Pod" })), None);
    }
}
