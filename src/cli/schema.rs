//! The shape of what operators write, as JSON Schema and as a list of fields; both come from the types.

use serde_json::{Map, Value, json};

use crate::finding::Action;
use crate::policy::{API_VERSION, ExemptionSpec, GuardPolicySpec, METADATA, PodProfileSpec};
use crate::rules::{RULES, Rule};

/// One field, for people.
pub(super) struct Field {
    /// "match.namespaces.include"
    pub(super) path: String,
    /// "string", "Deny | Warn | Audit", "list of string".
    pub(super) kind: String,
    /// As JSON; `None` where there is none.
    pub(super) default: Option<String>,
    /// Whether it must be written.
    pub(super) required: bool,
    /// What it means.
    pub(super) meaning: String,
}

/// The JSON Schema of one of our kinds; `None` for another.
pub(super) fn of_kind(kind: &str) -> Option<Value> {
    let mut spec = match kind {
        "GuardPolicy" => rules(schemars::schema_for!(GuardPolicySpec).to_value()),
        "PodProfile" => schemars::schema_for!(PodProfileSpec).to_value(),
        "Exemption" => schemars::schema_for!(ExemptionSpec).to_value(),
        _ => return None,
    };
    let spec_object = spec.as_object_mut()?;
    let definitions = spec_object.remove("$defs").unwrap_or_else(|| json!({}));
    spec_object.remove("$schema");
    spec_object.remove("title");
    Some(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": metadata(),
            "spec": spec,
            "status": {"type": "object"},
        },
        "$defs": definitions,
    }))
}

/// Name, labels and annotations are typed; the rest is the cluster's.
fn metadata() -> Value {
    let mut properties: Map<String, Value> = METADATA.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    properties["name"] = json!({"type": "string"});
    for texts in ["labels", "annotations"] {
        properties[texts] = json!({"type": "object", "additionalProperties": {"type": "string"}});
    }
    json!({"type": "object", "required": ["name"], "additionalProperties": false, "properties": properties})
}

/// Says what each rule takes, where the type says only "a map".
fn rules(mut spec: Value) -> Value {
    let action =
        json!({"enum": [Action::Deny, Action::Warn, Action::Audit], "description": "What a finding leads to."});
    let mut each = Map::new();
    let mut definitions = Map::new();
    for rule in RULES {
        let mut parameters = (rule.parameters)().to_value();
        if let Some(object) = parameters.as_object_mut() {
            object.remove("$schema");
            object.remove("title");
            object.insert("description".to_owned(), json!(rule.summary));
            if let Some(Value::Object(own)) = object.remove("$defs") {
                definitions.extend(own);
            }
            let properties = object.entry("properties").or_insert_with(|| json!({}));
            let mut action = action.clone();
            action["default"] = json!(rule.default);
            properties["action"] = action;
        }
        each.insert(rule.id.to_owned(), parameters);
    }
    let own = &mut spec["properties"]["rules"];
    *own = json!({
        "type": "object",
        "description": own["description"],
        "additionalProperties": false,
        "minProperties": 1,
        "properties": each,
    });
    if !definitions.is_empty() {
        let all = spec["$defs"].as_object().cloned().unwrap_or_default();
        spec["$defs"] = Value::Object(all.into_iter().chain(definitions).collect());
    }
    spec
}

/// The parameters of a rule, without `action`.
pub(super) fn parameters(rule: &Rule) -> Vec<Field> {
    fields(&(rule.parameters)().to_value())
}

/// The fields of `spec` of one of our kinds; the rules of a GuardPolicy are a chapter of their own.
pub(super) fn spec_fields(kind: &str) -> Vec<Field> {
    let Some(mut schema) = of_kind(kind) else { return Vec::new() };
    if let Some(rules) = schema.pointer_mut("/properties/spec/properties/rules/properties") {
        *rules = json!({});
    }
    let mut spec = schema["properties"]["spec"].take();
    spec["$defs"] = schema["$defs"].take();
    fields(&spec)
}

/// All fields of an object's schema, those of nested objects behind their own.
fn fields(schema: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    collect(schema, schema, "", &mut found, 6);
    found
}

fn collect(root: &Value, schema: &Value, prefix: &str, found: &mut Vec<Field>, depth: usize) {
    let schema = resolve(root, schema);
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let target = resolve(root, property);
        let words = |value: &Value| {
            value["description"].as_str().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let default = property.get("default").filter(|default| !is_empty(default));
        found.push(Field {
            kind: kind(root, target),
            default: default.map(Value::to_string),
            required: required.contains(&name.as_str()),
            meaning: words(property).or_else(|| words(target)).unwrap_or_default(),
            path: path.clone(),
        });
        if depth > 0 {
            let items = target.get("items").map(|items| resolve(root, items));
            match items {
                Some(items) if items["properties"].is_object() => {
                    collect(root, items, &format!("{path}[]."), found, depth - 1);
                }
                _ => collect(root, target, &format!("{path}."), found, depth - 1),
            }
        }
    }
}

/// Defaults that say no more than "nothing": {}, [] and null, and maps of such.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        // What a map's own fields default to is said with them.
        Value::Object(_) => true,
        _ => false,
    }
}

/// Follows references, and looks through "this or null".
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut schema = schema;
    for _ in 0..8 {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
            schema = &root["$defs"][name];
        } else if let Some(one) = choices(schema).filter(|one| one.len() == 1).and_then(|one| one.first().copied()) {
            schema = one;
        } else {
            break;
        }
    }
    schema
}

/// The members of `anyOf`, `oneOf` or `allOf` but null.
fn choices(schema: &Value) -> Option<Vec<&Value>> {
    let all = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema[*key].as_array())?;
    Some(all.iter().filter(|one| one["type"] != "null").collect())
}

fn kind(root: &Value, schema: &Value) -> String {
    let schema = resolve(root, schema);
    if let Some(values) = schema["enum"].as_array() {
        return words(values.iter());
    }
    if let Some(choices) = choices(schema) {
        let constants: Vec<&Value> = choices.iter().filter_map(|one| one.get("const")).collect();
        if !constants.is_empty() {
            return words(constants.into_iter());
        }
        return choices.into_iter().map(|one| kind(root, one)).collect::<Vec<_>>().join(" | ");
    }
    let name = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("any"),
        Value::String(name) => name,
        _ => "any",
    };
    match name {
        "array" => format!("list of {}", kind(root, &schema["items"])),
        "object" if schema["properties"].is_object() => "map".to_owned(),
        "object" => match &schema["additionalProperties"] {
            Value::Object(_) => format!("map of {}", kind(root, &schema["additionalProperties"])),
            _ => "map".to_owned(),
        },
        name => name.to_owned(),
    }
}

fn words<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    let words = values.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    words.collect::<Vec<_>>().join(" | ")
}
