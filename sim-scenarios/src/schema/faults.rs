//! What `faults` may be: a timeline, or a word for breaking everything.

use core::fmt;
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Unexpected, Visitor};

use crate::place::Named;
use crate::plan::Depth;

use super::Fault;

/// What happens to the world: named faults, or "every_single" or "every_pair", with which `vpnsim run` breaks each component of the drawing in
/// turn, alone or two at once, as its `--faults` does.
#[derive(Debug, Default)]
pub struct Faults {
    /// What happens by name.
    pub named: Named<Fault>,
    /// What is broken in turn.
    pub breaks: Option<Depth>,
}

impl<'de> Deserialize<'de> for Faults {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Faults;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("named faults: { \"name\": ..., }, or \"every_single\" or \"every_pair\"")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Faults, A::Error> {
                Named::deserialize(MapAccessDeserializer::new(map)).map(|named| Faults { named, breaks: None })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Faults, E> {
                let depth = Depth::ALL.into_iter().find(|depth| depth.code() == text);
                let depth = depth.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))?;
                Ok(Faults { named: Named::default(), breaks: Some(depth) })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Faults {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Faults".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let named = generator.subschema_for::<Named<Fault>>();
        let codes = Depth::ALL.map(Depth::code);
        json_schema!({ "anyOf": [named, { "type": "string", "enum": codes }] })
    }
}
