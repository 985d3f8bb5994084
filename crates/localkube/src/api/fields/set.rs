//! Sets of fields in the form of `fieldsV1`: a tree whose edges are `f:NAME`, `k:{KEYS}` and `v:VALUE`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A set of fields. An edge that leads to nothing is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    member: bool,
    below: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// The field that the path leads to is in the set.
    pub fn insert(&mut self, path: &[String]) {
        match path.split_first() {
            None => self.member = true,
            Some((first, rest)) => self.below.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        !self.member && self.below.values().all(Self::is_empty)
    }

    /// The field itself is in it, whatever is below.
    pub fn is_member(&self) -> bool {
        self.member
    }

    /// What is in it below an edge.
    pub fn below(&self, edge: &str) -> Option<&Self> {
        self.below.get(edge)
    }

    /// What is in one of the two.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.member |= other.member;
        for (edge, more) in &other.below {
            let own = self.below.remove(edge).unwrap_or_default();
            self.below.insert(edge.clone(), own.union(more));
        }
        self
    }

    /// What is in this one alone.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let nothing = Self::default();
        let below = self.below.iter().filter_map(|(edge, own)| {
            let left = own.minus(other.below.get(edge).unwrap_or(&nothing));
            (!left.is_empty()).then(|| (edge.clone(), left))
        });
        Self { member: self.member && !other.member, below: below.collect() }
    }

    /// What is in both.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        let below = self.below.iter().filter_map(|(edge, own)| {
            let shared = own.both(other.below.get(edge)?);
            (!shared.is_empty()).then(|| (edge.clone(), shared))
        });
        Self { member: self.member && other.member, below: below.collect() }
    }

    /// Without a field and what is below it.
    pub fn cut(&mut self, path: &[&str]) {
        match path {
            [] => {}
            [last] => {
                self.below.remove(*last);
            }
            [first, rest @ ..] => {
                if let Some(inner) = self.below.get_mut(*first) {
                    inner.cut(rest);
                    if inner.is_empty() {
                        self.below.remove(*first);
                    }
                }
            }
        }
    }

    /// Without a field, but with what is below it.
    pub fn cut_itself(&mut self, edge: &str) {
        if let Some(inner) = self.below.get_mut(edge) {
            inner.member = false;
            if inner.is_empty() {
                self.below.remove(edge);
            }
        }
    }

    /// Only what is below some of the first edges.
    pub fn keep(&mut self, is: impl Fn(&str) -> bool) {
        self.below.retain(|edge, _| is(edge));
    }

    /// The path of every field; those of a level before what is below them, as the real server tells them.
    pub fn paths(&self) -> Vec<Vec<&str>> {
        let members = self.below.iter().filter(|(_, inner)| inner.member);
        let mut paths: Vec<Vec<&str>> = members.map(|(edge, _)| vec![edge.as_str()]).collect();
        for (edge, inner) in &self.below {
            for mut rest in inner.paths() {
                rest.insert(0, edge);
                paths.push(rest);
            }
        }
        paths
    }

    /// As `fieldsV1` has it.
    pub fn to_json(&self) -> Value {
        let mut map: Map<String, Value> =
            self.below.iter().map(|(edge, inner)| (edge.clone(), inner.to_json())).collect();
        if self.member && !map.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        Value::Object(map)
    }

    /// From `fieldsV1`; what is not of its form is left out. The root is no field.
    pub fn from_json(json: &Value) -> Self {
        let mut root = Self::inner(json);
        root.member = false;
        root
    }

    fn inner(json: &Value) -> Self {
        let Some(map) = json.as_object() else { return Self::default() };
        let is_edge = |edge: &str| ["f:", "k:", "v:", "i:"].iter().any(|kind| edge.starts_with(kind));
        let below: BTreeMap<_, _> = map
            .iter()
            .filter(|(edge, _)| is_edge(edge))
            .map(|(edge, inner)| (edge.clone(), Self::inner(inner)))
            .collect();
        Self { member: below.is_empty() || map.contains_key("."), below }
    }
}
