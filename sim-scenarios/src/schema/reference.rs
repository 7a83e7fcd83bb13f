//! A JSON Schema of this crate's types as Markdown: the reference of the language in the manual.
//!
//! One heading for each shape, in the order in which the document leads to them, with a table of its settings or kinds. Only what
//! schemars makes of these types is known: objects with settings, kinds (`oneOf`), named things, lists, leaves.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use serde_json::{Map, Value};

const DEFINITIONS: &str = "#/$defs/";

/// The whole document, ending in a newline.
pub fn markdown(schema: &Value) -> String {
    let none = Map::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&none);
    let mut text = String::new();
    let title = schema.get("title").and_then(Value::as_str).unwrap_or("Reference");
    let _ = writeln!(text, "# {title}\n");
    let mut queue = VecDeque::new();
    let mut seen = BTreeSet::new();
    shape(schema, &mut text);
    follow(schema, &mut seen, &mut queue);
    while let Some(name) = queue.pop_front() {
        let Some(definition) = definitions.get(name) else { continue };
        // Lists of named things have no heading of their own: what is named has.
        if named(definition).is_none() {
            let _ = writeln!(text, "\n## {name}\n");
            shape(definition, &mut text);
        }
        follow(definition, &mut seen, &mut queue);
    }
    text
}

/// Puts what a shape leads to behind what is known already.
fn follow<'s>(at: &'s Value, seen: &mut BTreeSet<&'s str>, queue: &mut VecDeque<&'s str>) {
    match at {
        Value::Object(all) => {
            if let Some(name) = reference(at)
                && seen.insert(name)
            {
                queue.push_back(name);
            }
            // The definitions themselves are reached by references alone.
            all.iter().filter(|(key, _)| *key != "$defs").for_each(|(_, value)| follow(value, seen, queue));
        }
        Value::Array(all) => all.iter().for_each(|value| follow(value, seen, queue)),
        _ => {}
    }
}

fn reference(at: &Value) -> Option<&str> {
    at.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix(DEFINITIONS))
}

/// What a list of named things names.
fn named(definition: &Value) -> Option<&Value> {
    let is_open = definition.get("properties").is_none() && definition.get("oneOf").is_none();
    definition.get("additionalProperties").filter(|inner| is_open && inner.is_object())
}

fn shape(definition: &Value, text: &mut String) {
    let _ = writeln!(text, "{}", description(definition));
    if let Some(kinds) = definition.get("oneOf").and_then(Value::as_array) {
        text.push_str("\n| kind | what it is | its settings |\n|---|---|---|\n");
        for kind in kinds {
            for (name, inner) in kind.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let _ = writeln!(text, "| `{name}(...)` | {} | {} |", description(kind), value(inner));
            }
        }
        return;
    }
    let Some(settings) = definition.get("properties").and_then(Value::as_object) else { return };
    if settings.is_empty() {
        return;
    }
    let required = definition.get("required").and_then(Value::as_array);
    let needed = |name: &str| required.is_some_and(|all| all.iter().any(|it| it == name));
    text.push_str("\n| setting | value | what it is |\n|---|---|---|\n");
    // What must be there comes first.
    let (first, then): (Vec<_>, Vec<_>) = settings.iter().partition(|(name, _)| needed(name));
    for (name, setting) in first.into_iter().chain(then) {
        let mark = if needed(name) { "**required** " } else { "" };
        let _ = writeln!(text, "| `{name}` | {} | {mark}{} |", value(setting), description(setting));
    }
}

/// One line of a table.
fn description(of: &Value) -> String {
    let words = of.get("description").and_then(Value::as_str).unwrap_or_default();
    words.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

/// What a value looks like in a file.
fn value(of: &Value) -> String {
    if let Some(name) = reference(of) {
        return linked(name);
    }
    if let Some(choices) = of.get("anyOf").and_then(Value::as_array) {
        let all: Vec<String> = choices.iter().filter(|choice| !is_null(choice)).map(value).collect();
        return all.join(" or ");
    }
    if let Some(words) = of.get("enum").and_then(Value::as_array) {
        let all: Vec<String> = words.iter().filter(|word| !word.is_null()).map(|word| format!("`{word}`")).collect();
        return all.join(", ");
    }
    if let Some(pair) = of.get("prefixItems").and_then(Value::as_array) {
        let all: Vec<String> = pair.iter().map(value).collect();
        return format!("({})", all.join(", "));
    }
    let types = match of.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).filter(|it| *it != "null").collect(),
        _ => Vec::new(),
    };
    let spelt = types.iter().map(|kind| match *kind {
        "string" => "`\"text\"`".to_owned(),
        "integer" => range(of).map_or("number".into(), |range| format!("number {range}")),
        "number" => "number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => format!("list of {}", of.get("items").map_or_else(|| "values".into(), value)),
        "object" => match named(of) {
            Some(inner) => format!("named: {}", value(inner)),
            None => "`(...)`".to_owned(),
        },
        other => other.to_owned(),
    });
    spelt.collect::<Vec<_>>().join(" or ")
}

/// A list of named things is shown as what it names.
fn linked(name: &str) -> String {
    match name.strip_prefix("Named") {
        Some(inner) if !inner.is_empty() => format!("named: [{inner}](#{})", inner.to_lowercase()),
        _ => format!("[{name}](#{})", name.to_lowercase()),
    }
}

fn is_null(choice: &Value) -> bool {
    choice.get("type").is_some_and(|kind| kind == "null")
}

/// "0 to 65535", of numbers whose range says something.
fn range(of: &Value) -> Option<String> {
    let bound = |name| of.get(name).and_then(Value::as_u64);
    Some(format!("{} to {}", bound("minimum")?, bound("maximum")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every shape that the language has is in the reference once, and every link leads to one of them.
    #[test]
    fn nothing_is_left_out_and_no_link_is_dead() {
        for schema in [crate::schema::json_schema(), crate::study::schema::json_schema()] {
            whole(&schema, &markdown(schema.as_value()));
        }
    }

    fn whole(schema: &schemars::Schema, text: &str) {
        let headings: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_lowercase).collect();
        let unique: BTreeSet<&String> = headings.iter().collect();
        assert_eq!(unique.len(), headings.len());
        let definitions = schema.as_value()["$defs"].as_object().unwrap();
        for (name, definition) in definitions {
            assert!(named(definition).is_some() || headings.contains(&name.to_lowercase()), "{name} is missing");
        }
        for link in text.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(headings.iter().any(|heading| heading == link), "#{link} leads nowhere");
        }
    }
}
