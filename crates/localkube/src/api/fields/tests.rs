//! Who owns what, by table; and whole objects as a real server had them.

use serde_json::{Value, json};

use super::super::resource::{GroupResource, ResourceInfo, built_in};
use super::managers::{Managers, Writer, updated};
use super::{apply, given};

fn info(plural: &str) -> ResourceInfo {
    built_in().into_iter().find(|info| info.gr == GroupResource::new("", plural)).unwrap()
}

fn by(manager: &str) -> Writer<'_> {
    Writer { manager, subresource: "", now: "2026-01-01T00:00:00Z" }
}

/// Applies, and answers the object with its owners in it.
fn applied(info: &ResourceInfo, old: Option<&Value>, manager: &str, config: &Value) -> Value {
    let done = apply(info, old, config, &by(manager), false).unwrap();
    let mut object = done.object;
    done.managers.put(&mut object);
    object
}

fn owned(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().find(|entry| entry["manager"] == manager).map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

fn map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data})
}

#[test]
fn a_field_goes_with_the_last_who_named_it() {
    let maps = info("configmaps");
    let first = applied(&maps, None, "one", &map(&json!({"a": "1", "b": "2"})));
    let both = applied(&maps, Some(&first), "two", &map(&json!({"b": "2", "c": "3"})));
    assert_eq!(owned(&both, "one"), json!({"f:data": {"f:a": {}, "f:b": {}}}));
    assert_eq!(owned(&both, "two"), json!({"f:data": {"f:b": {}, "f:c": {}}}));
    let less = applied(&maps, Some(&both), "one", &json!({"metadata": {"name": "m"}}));
    assert_eq!(less["data"], json!({"b": "2", "c": "3"}), "b is the other's too");
    let none = applied(&maps, Some(&less), "two", &json!({"metadata": {"name": "m"}}));
    assert_eq!(none.get("data"), None, "an emptied map goes too");
}

#[test]
fn what_another_owns_is_refused_by_name_and_taken_by_force() {
    let maps = info("configmaps");
    let first = applied(&maps, None, "one", &map(&json!({"a": "1", "b": "2"})));
    let wish = map(&json!({"a": "9", "b": "8"}));
    let refused = apply(&maps, Some(&first), &wish, &by("two"), false).unwrap_err();
    assert_eq!((refused.code, refused.reason), (409, "Conflict"));
    assert_eq!(refused.message, "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.a\n- .data.b");
    let causes = &refused.details.unwrap()["causes"];
    assert_eq!(
        causes[0],
        json!({"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.a"})
    );
    let forced = apply(&maps, Some(&first), &wish, &by("two"), true).unwrap();
    let mut object = forced.object;
    forced.managers.put(&mut object);
    assert_eq!((&object["data"]["a"], owned(&object, "one")), (&json!("9"), Value::Null));
    apply(&maps, Some(&object), &json!({"metadata": {"managedFields": []}}), &by("two"), true).unwrap_err();
}

#[test]
fn items_of_a_list_with_a_key_have_owners_of_their_own() {
    let pods = info("pods");
    let pod = |containers: Value| json!({"metadata": {"name": "p"}, "spec": {"containers": containers}});
    let mut first = applied(&pods, None, "one", &pod(json!([{"name": "a", "image": "x"}])));
    // A default that nobody owns goes with its item.
    first["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
    let both = applied(&pods, Some(&first), "two", &pod(json!([{"name": "b", "image": "y"}])));
    let names = |pod: &Value| {
        let all = pod["spec"]["containers"].as_array().unwrap();
        all.iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&both), ["a", "b"]);
    assert_eq!(
        owned(&both, "two"),
        json!({"f:spec": {"f:containers": {"k:{\"name\":\"b\"}": {".": {}, "f:image": {}, "f:name": {}}}}})
    );
    let other = applied(&pods, Some(&both), "one", &pod(json!([{"name": "b", "env": [{"name": "E", "value": "1"}]}])));
    assert_eq!(names(&other), ["b"]);
    assert_eq!(other["spec"]["containers"][0]["image"], "y");
    let conflict = pod(json!([{"name": "b", "image": "z"}]));
    let refused = apply(&pods, Some(&other), &conflict, &by("three"), false).unwrap_err();
    assert!(refused.message.ends_with("conflict with \"two\": .spec.containers[name=\"b\"].image"), "{refused}");
}

#[test]
fn an_update_owns_what_it_changes_and_others_lose_it() {
    let maps = info("configmaps");
    let mut object = map(&json!({"a": "1"}));
    updated(&maps, None, &object, Managers::default(), &by("maker")).put(&mut object);
    assert_eq!(owned(&object, "maker"), json!({"f:data": {".": {}, "f:a": {}}}));
    let mut newer = object.clone();
    newer["data"] = json!({"a": "2", "b": "3"});
    let all = given(&object, newer.pointer("/metadata/managedFields"));
    updated(&maps, Some(&object), &newer, all, &by("changer")).put(&mut newer);
    assert_eq!(owned(&newer, "maker"), json!({"f:data": {}}));
    assert_eq!(owned(&newer, "changer"), json!({"f:data": {"f:a": {}, "f:b": {}}}));
    let refused = apply(&maps, Some(&newer), &map(&json!({"a": "1"})), &by("kubectl"), false).unwrap_err();
    assert!(refused.message.ends_with("conflict with \"changer\" using v1: .data.a"), "{refused}");
    let forgotten = given(&newer, Some(&json!([{}])));
    assert_eq!(forgotten, Managers::default());
    assert_eq!(
        updated(&maps, Some(&newer), &object, forgotten, &by("later")),
        Managers::default(),
        "not known, stays so"
    );
}

#[test]
fn kubectl_is_the_heir_of_what_it_applied_on_the_clients_side() {
    let maps = info("configmaps");
    let mut object = map(&json!({"a": "1"}));
    let last = json!({"data": {"a": "1"}}).to_string();
    object["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": last});
    updated(&maps, None, &object, Managers::default(), &by("kubectl-client-side-apply")).put(&mut object);
    let wish = map(&json!({"a": "2"}));
    apply(&maps, Some(&object), &wish, &by("other"), false).unwrap_err();
    assert_eq!(applied(&maps, Some(&object), "kubectl", &wish)["data"]["a"], "2");
}
