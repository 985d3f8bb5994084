//! Each rule as an API server evaluates it, against the function that is the authority.

use super::*;
use crate::definitions::definition;
use ::cel::{Context, Program, Value as Cel};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, json};
use std::cell::Cell;
use std::collections::HashMap;

/// A value as an API server has it in CEL: whole numbers are `int`.
fn cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::Number(number) => number.as_i64().map_or(Cel::Null, Cel::Int),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(cel).collect::<Vec<_>>().into(),
        Value::Object(fields) => {
            let fields: HashMap<String, Cel> = fields.iter().map(|(name, value)| (name.clone(), cel(value))).collect();
            Cel::Map(fields.into())
        }
    }
}

/// What a program says of `self`, and `oldSelf`; an error counts as a refusal, as in an API server.
fn allows(program: &Program, now: &Value, old: Option<&Value>) -> bool {
    let mut context = Context::default();
    context.add_variable_from_value("self", cel(now));
    if let Some(old) = old {
        context.add_variable_from_value("oldSelf", cel(old));
    }
    program.execute(&context).is_ok_and(|value| value == Cel::Bool(true))
}

/// Any value of a schema: fields are there or not, lists are short, texts are among those that rules know.
fn any_of(schema: &Value, depth: u32) -> BoxedStrategy<Value> {
    let choice = |values: Vec<Value>| proptest::sample::select(values).boxed();
    if let Some(all) = schema["enum"].as_array() {
        return choice(all.iter().filter(|value| !value.is_null()).cloned().collect());
    }
    match schema["type"].as_str() {
        Some("string") => choice(
            ["", "postgres", "template1", "app", "icu", "builtin", "libc", "pg_x", "cnpg_y", "ImageCatalog", "a", "b"]
                .map(|text| json!(text))
                .to_vec(),
        ),
        Some("integer") => {
            // A value out of its bounds is refused before any rule is evaluated.
            let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
            let within = |number: &i32| {
                least.is_none_or(|least| f64::from(*number) >= least)
                    && most.is_none_or(|most| f64::from(*number) <= most)
            };
            choice([-1, 0, 1, 2, 3, 16, 24, 1024].into_iter().filter(within).map(|number| json!(number)).collect())
        }
        Some("boolean") => choice(vec![json!(true), json!(false)]),
        Some("array") => {
            let item = any_of(&schema["items"], depth);
            proptest::collection::vec(item, 0..3).prop_map(Value::from).boxed()
        }
        Some("object") if depth > 0 && schema["properties"].is_object() => {
            let required: Vec<&str> =
                schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let fields: Vec<_> = schema["properties"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, inner)| {
                    // An API server applies defaults before it evaluates a rule.
                    let always = required.contains(&name.as_str()) || inner.get("default").is_some();
                    let value = any_of(inner, depth - 1);
                    let value = if always { value.prop_map(Some).boxed() } else { proptest::option::of(value).boxed() };
                    let name = name.clone();
                    value.prop_map(move |value| (name.clone(), value))
                })
                .collect();
            let object = |fields: Vec<(String, Option<Value>)>| {
                Value::Object(
                    fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect::<Map<_, _>>(),
                )
            };
            fields.prop_map(object).boxed()
        }
        _ => choice(vec![json!({})]),
    }
}

/// The part of a schema that has the fields of a rule, so that they meet often enough.
fn narrowed(schema: &Value, cel: &str) -> Value {
    let mut schema = schema.clone();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.retain(|name, _| cel.contains(&format!(".{name}")));
        properties.values_mut().for_each(|inner| *inner = narrowed(inner, cel));
    }
    if schema.get("items").is_some() {
        schema["items"] = narrowed(&schema["items"], cel);
    }
    schema
}

fn schema_at(rule: &Rule) -> Value {
    let definition = serde_json::to_value(definition(rule.kind).unwrap()).unwrap();
    let mut schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone();
    for step in rule.at.split('.') {
        schema = schema["properties"][step.trim_end_matches("[]")].clone();
        if step.ends_with("[]") {
            schema = schema["items"].clone();
        }
    }
    schema
}

#[test]
fn every_rule_says_what_its_authority_says() {
    let mut wrong = Vec::new();
    for rule in rules() {
        let program = Program::compile(rule.cel).unwrap_or_else(|error| panic!("{}: {error}", rule.cel));
        let whole = schema_at(rule);
        let mut schema = narrowed(&whole, rule.cel);
        if schema["properties"].as_object().is_some_and(Map::is_empty) {
            // It is about the object as it is.
            schema = whole;
        }
        // A rule about a number by itself is tried beyond the bounds of that number, too.
        if let Some(fields) = schema.as_object_mut().filter(|fields| fields["type"] == "integer") {
            fields.retain(|name, _| name == "type");
        }
        assert!(schema["type"].is_string(), "{} {} is no field", rule.kind, rule.at);
        let values = any_of(&schema, 4);
        // Of large objects no two are alike by chance.
        let same = values.clone().prop_map(|value| (value.clone(), value));
        let pairs = prop_oneof![same, (values.clone(), values)];
        // The same values each time: whether a rule is both kept and broken among them is not left to chance.
        let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, random);
        let (kept, broken) = (Cell::new(0_u32), Cell::new(0_u32));
        let held = runner.run(&pairs, |(now, old)| {
            let (right, said) = match rule.authority {
                Authority::Now(holds) => (holds(&now), allows(&program, &now, None)),
                Authority::Change(holds) => (holds(&old, &now), allows(&program, &now, Some(&old))),
            };
            let seen = if right { &kept } else { &broken };
            seen.set(seen.get() + 1);
            prop_assert_eq!(right, said, "{} {}: {} of {} (was {})", rule.kind, rule.at, rule.cel, now, old);
            Ok(())
        });
        wrong.extend(held.err().map(|error| error.to_string()));
        let (kept, broken) = (kept.get(), broken.get());
        if kept == 0 || broken == 0 {
            wrong.push(format!("{} {}: {kept} kept, {broken} broken: {}", rule.kind, rule.at, rule.cel));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_is_in_the_definition_of_its_kind() {
    for rule in rules() {
        let written = schema_at(rule)["x-kubernetes-validations"].clone();
        let found = written.as_array().into_iter().flatten().any(|written| written["rule"] == rule.cel);
        assert!(found, "{} {}: {}", rule.kind, rule.at, rule.cel);
    }
}

#[test]
fn a_broken_rule_is_said_at_its_place() {
    let object = json!({"spec": {"target": {"objects": [{"table": {"name": "a"}}, {}]}}});
    let found = broken("Publication", &object);
    assert_eq!(found.iter().map(|finding| finding.path.as_str()).collect::<Vec<_>>(), ["spec.target.objects[1]"]);
    let (old, new) = (json!({"spec": {"name": "a"}}), json!({"spec": {"name": "b"}}));
    assert_eq!(changed("Subscription", &old, &new).len(), 1);
    assert_eq!(changed("Subscription", &old, &old), []);
}
