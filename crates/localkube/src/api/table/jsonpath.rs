//! The part of JSONPath that printer columns use: fields, quoted keys, indexes, `[*]` and `[?(@.a=="b")]`.

use serde_json::Value;

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    Index(usize),
    All,
    Filter(Vec<String>, String),
}

/// Everything the path finds. A path that cannot be read finds nothing.
pub fn evaluate<'a>(path: &str, object: &'a Value) -> Vec<&'a Value> {
    let Some(steps) = parse(path) else { return Vec::new() };
    steps.iter().fold(vec![object], |found, step| found.into_iter().flat_map(|value| follow(step, value)).collect())
}

fn follow<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    match step {
        Step::Field(name) => value.get(name).into_iter().collect(),
        Step::Index(index) => value.get(index).into_iter().collect(),
        Step::All => match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => Vec::new(),
        },
        Step::Filter(field, wanted) => {
            let matches = |item: &&Value| {
                let found = field.iter().try_fold(*item, |value, key| value.get(key));
                found.is_some_and(|found| render(found) == *wanted)
            };
            value.as_array().into_iter().flatten().filter(matches).collect()
        }
    }
}

/// A value as text: strings bare, the rest as JSON.
pub fn render(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[?(@.") {
            let (condition, after) = after.split_once(")]")?;
            let (field, wanted) = condition.split_once("==")?;
            let field = field.trim().split('.').map(str::to_owned).collect();
            steps.push(Step::Filter(field, wanted.trim().trim_matches(['"', '\'']).to_owned()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (inside, after) = after.split_once(']')?;
            steps.push(match inside.trim() {
                "*" => Step::All,
                quoted if quoted.starts_with(['\'', '"']) => {
                    Step::Field(quoted.trim_matches(['"', '\'']).replace("\\.", "."))
                }
                number => Step::Index(number.parse().ok()?),
            });
            rest = after;
        } else {
            let (field, after) = take_field(rest.strip_prefix('.').unwrap_or(rest));
            if field.is_empty() {
                return None;
            }
            steps.push(if field == "*" { Step::All } else { Step::Field(field) });
            rest = after;
        }
    }
    Some(steps)
}

/// A field name up to an unescaped dot or a bracket.
fn take_field(text: &str) -> (String, &str) {
    let mut field = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => field.extend(chars.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (field, text.get(at..).unwrap_or_default()),
            other => field.push(other),
        }
    }
    (field, "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{evaluate, render};

    #[test]
    fn paths_of_printer_columns_find_their_values() {
        let object = json!({"spec": {"n": 3}, "metadata": {"labels": {"a.b/c": "x"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]}});
        let cases = [
            (".spec.n", vec!["3"]),
            ("{.spec.n}", vec!["3"]),
            (".status.conditions[?(@.type==\"Ready\")].status", vec!["True"]),
            (".status.conditions[?(@.type=='Other')].status", vec!["False"]),
            (".status.conditions[*].type", vec!["Ready", "Other"]),
            (".status.conditions[1].type", vec!["Other"]),
            (".metadata.labels.a\\.b/c", vec!["x"]),
            (".metadata.labels['a.b/c']", vec!["x"]),
            (".none.here", vec![]),
            (".broken[", vec![]),
        ];
        for (path, expected) in cases {
            let found: Vec<String> = evaluate(path, &object).into_iter().map(render).collect();
            assert_eq!(found, expected, "{path}");
        }
    }
}
