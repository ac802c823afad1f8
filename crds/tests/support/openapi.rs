//! The part of `OpenAPI` v3 our schemas use, in the API server's words.

use std::collections::HashSet;

use serde_json::Value;

/// What is wrong with an object, and where: `spec.outputs[].name`, as a place in the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub path: String,
    pub message: String,
}

/// `spec.outputs[3].name` to `spec.outputs[].name`.
pub fn without_indexes(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|character| {
            inside = (inside || *character == '[') && *character != ']';
            !inside || *character == '['
        })
        .collect()
}

/// Calls `look` with every schema in `schema` and its path.
pub fn visit(schema: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        visit(property, &below(path, name), look);
    }
    if schema["items"].is_object() {
        visit(&schema["items"], &format!("{path}[]"), look);
    }
}

/// Every value in `object` that the schema at `path` is about.
pub fn at<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    path.split('.')
        .filter(|part| !part.is_empty())
        .fold(vec![object], |values, part| {
            let (name, list) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
            let found = values.into_iter().filter_map(|value| value.get(name));
            if list {
                found.filter_map(Value::as_array).flatten().collect()
            } else {
                found.collect()
            }
        })
}

/// Everything in `object` that breaks `schema`, its CEL rules left aside.
pub fn check(schema: &Value, object: &Value) -> Vec<Violation> {
    let mut violations = Vec::new();
    check_value(schema, object, "", &mut violations);
    violations
}

fn check_value(schema: &Value, value: &Value, path: &str, violations: &mut Vec<Violation>) {
    let mut broken = |message: String| {
        violations.push(Violation {
            path: path.to_owned(),
            message,
        });
    };
    if let Some(allowed) = schema["enum"]
        .as_array()
        .filter(|allowed| !allowed.contains(value))
    {
        broken(format!(
            "Unsupported value: {value}: supported values: {allowed:?}"
        ));
    }
    match (schema["type"].as_str(), value) {
        (Some("string"), Value::String(text)) => check_text(schema, text, &mut broken),
        (Some("integer"), Value::Number(number)) if number.is_i64() => {
            check_number(schema, number.as_i64(), &mut broken);
        }
        (Some("boolean"), Value::Bool(_)) => {}
        (Some("array"), Value::Array(items)) => {
            check_list(schema, items, &mut broken);
            for item in items {
                check_value(&schema["items"], item, &format!("{path}[]"), violations);
            }
        }
        (Some("object"), Value::Object(_)) => check_properties(schema, value, path, violations),
        (wanted, _) => broken(format!("Invalid value: {value}: must be of type {wanted:?}")),
    }
}

fn check_text(schema: &Value, text: &str, broken: &mut impl FnMut(String)) {
    let length = text.chars().count() as u64;
    if let Some(max) = schema["maxLength"].as_u64().filter(|max| length > *max) {
        broken(format!("Too long: may not be more than {max} bytes"));
    }
    if let Some(min) = schema["minLength"].as_u64().filter(|min| length < *min) {
        broken(format!("should be at least {min} chars long"));
    }
}

fn check_number(schema: &Value, number: Option<i64>, broken: &mut impl FnMut(String)) {
    let number = number
        .and_then(|number| i32::try_from(number).ok())
        .map_or(f64::NAN, f64::from);
    if let Some(max) = schema["maximum"].as_f64().filter(|max| number > *max) {
        broken(format!("should be less than or equal to {max}"));
    }
    if let Some(min) = schema["minimum"].as_f64().filter(|min| number < *min) {
        broken(format!("should be greater than or equal to {min}"));
    }
}

fn check_list(schema: &Value, items: &[Value], broken: &mut impl FnMut(String)) {
    if let Some(max) = schema["maxItems"]
        .as_u64()
        .filter(|max| items.len() as u64 > *max)
    {
        broken(format!(
            "Too many: {}: must have at most {max} items",
            items.len()
        ));
    }
    if let Some(min) = schema["minItems"]
        .as_u64()
        .filter(|min| (items.len() as u64) < *min)
    {
        broken(format!("should have at least {min} items"));
    }
    if schema["x-kubernetes-list-type"] == "set" {
        let mut seen = HashSet::new();
        for value in items.iter().filter(|value| !seen.insert(value.to_string())) {
            broken(format!("Duplicate value: {value}"));
        }
    }
    for key in schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let mut seen = HashSet::new();
        let values = items.iter().filter_map(|item| item.get(key.as_str()?));
        for value in values.filter(|value| !seen.insert(value.to_string())) {
            broken(format!("Duplicate value: {value}"));
        }
    }
}

/// The root's `apiVersion`, `kind` and `metadata` are the API server's own and in no schema.
fn check_properties(schema: &Value, value: &Value, path: &str, violations: &mut Vec<Violation>) {
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.get(name).is_none() {
            violations.push(Violation {
                path: below(path, name),
                message: "Required value".to_owned(),
            });
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let property = &schema["properties"][name];
        if property.is_object() {
            check_value(property, value, &below(path, name), violations);
        } else if !path.is_empty() {
            violations.push(Violation {
                path: below(path, name),
                message: "unknown field".to_owned(),
            });
        }
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
