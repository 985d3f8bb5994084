//! Tables for structural schemas.

use serde_json::{Value, json};

use super::{apply_defaults, check_defaults, prune, validate};

fn schema() -> Value {
    json!({"type": "object", "required": ["spec"], "properties": {
    "spec": {"type": "object", "required": ["instances"], "properties": {
        "instances": {"type": "integer", "format": "int32", "minimum": 1, "default": 1},
        "mode": {"type": "string", "enum": ["async", "sync"]},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
        "size": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true},
        "parameters": {"type": "object", "additionalProperties": {"type": "string"}},
        "storage": {"type": "object", "default": {}, "properties": {"class": {"type": "string", "default": "std"}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                 "properties": {"known": {"type": "object", "properties": {}}}},
        "users": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                  "items": {"type": "object", "properties": {"name": {"type": "string"}}}}
    }}}})
}

#[test]
fn unknown_fields_are_dropped_and_named() {
    let mut object = json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "x", "labels": {"a": "b"}},
        "extra": 1, "spec": {"instances": 3, "nope": {"a": 1}, "parameters": {"any": "thing"},
        "free": {"unknown": {"deep": 1}, "known": {"gone": 1}}, "users": [{"name": "u", "password": "x"}]}});
    let mut dropped = prune(&schema(), &mut object);
    dropped.sort();
    assert_eq!(dropped, ["extra", "spec.free.known.gone", "spec.nope", "spec.users[0].password"]);
    assert_eq!(object["spec"]["parameters"]["any"], "thing");
    assert_eq!(object["spec"]["free"]["unknown"]["deep"], 1);
    assert_eq!(object["metadata"]["labels"]["a"], "b");
}

#[test]
fn defaults_are_filled_in_down_into_defaulted_objects() {
    let mut object = json!({"spec": {"mode": "sync", "instances": null, "name": null}});
    apply_defaults(&schema(), &mut object);
    assert_eq!(object, json!({"spec": {"mode": "sync", "instances": 1, "storage": {"class": "std"}}}));
}

#[test]
fn every_violation_is_found_with_its_path() {
    let cases = [
        (json!({}), vec!["spec"]),
        (json!({"spec": {}}), vec!["spec.instances"]),
        (json!({"spec": {"instances": 0}}), vec!["spec.instances"]),
        (json!({"spec": {"instances": "3"}}), vec!["spec.instances"]),
        (json!({"spec": {"instances": 4294967296_i64}}), vec!["spec.instances"]),
        (json!({"spec": {"instances": 1, "mode": "other"}}), vec!["spec.mode"]),
        (json!({"spec": {"instances": 1, "name": "UPPER"}}), vec!["spec.name"]),
        (json!({"spec": {"instances": 1, "name": "toolong"}}), vec!["spec.name"]),
        (json!({"spec": {"instances": 1, "size": "5Gi"}}), vec![]),
        (json!({"spec": {"instances": 1, "size": 5}}), vec![]),
        (json!({"spec": {"instances": 1, "size": true}}), vec!["spec.size"]),
        (json!({"spec": {"instances": 1, "parameters": {"a": 1}}}), vec!["spec.parameters.a"]),
        (json!({"spec": {"instances": 1, "users": [{"name": "a"}, {"name": "a"}]}}), vec!["spec.users[1]"]),
        (json!({"spec": {"instances": 0, "mode": 1}}), vec!["spec.instances", "spec.mode"]),
    ];
    for (object, expected) in cases {
        let found: Vec<String> = validate(&schema(), &object).into_iter().map(|c| c.field).collect();
        assert_eq!(found, expected, "{object}");
    }
}

#[test]
fn a_default_that_its_own_schema_refuses_is_found() {
    let schema = json!({"type": "object", "properties": {
        "good": {"type": "integer", "default": 1},
        "short": {"type": "string", "minLength": 1, "default": ""},
        "list": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string", "default": 1}}}},
        "none": {"type": "string", "default": null}}});
    let found: Vec<String> = check_defaults(&schema, "s").into_iter().map(|cause| cause.field).collect();
    assert_eq!(
        found,
        ["s.properties[list].items.properties[n].default", "s.properties[none].default", "s.properties[short].default",]
    );
}
