//! Where in a file something is written: [`At`] keeps a value together with its place, [`Named`] a list of named things.
//!
//! RON has no spans for values, and serde stops at the first error. So a leaf takes its own raw text, which is a slice of
//! the file: the slice's position is its place, and a text that does not read as the wanted value is kept as an error, to be
//! reported together with all others.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;
use std::borrow::Cow;

use ron::value::RawValue;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::leaf::{Leaf, Name, Scalar};

/// A slice of the text that is being read, by its address: meaningful only together with that text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    start: usize,
    len: usize,
}

impl Place {
    fn of(slice: &str) -> Self {
        Self { start: slice.as_ptr() as usize, len: slice.len() }
    }

    /// As a range of octets of `text`, the whole that it was cut from.
    pub(crate) fn range_in(self, text: &str) -> Range<usize> {
        let start = self.start.wrapping_sub(text.as_ptr() as usize).min(text.len());
        start..(start + self.len).min(text.len())
    }
}

/// A leaf: its value if the text reads as one, and its place.
#[derive(Clone, Debug)]
pub struct At<T> {
    pub(crate) place: Place,
    /// The value, or what is wrong with the text.
    pub(crate) value: Result<T, Unreadable>,
}

/// A leaf's text that does not read as what it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unreadable {
    /// What stands there instead.
    pub(crate) found: String,
    /// What is wrong, if there is more to say than what was expected.
    pub(crate) because: Option<String>,
}

impl<'de, T: Leaf> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?.trim().get_ron();
        let value = Scalar::read(raw)
            .and_then(|scalar| T::read(&scalar))
            .map_err(|because| Unreadable { found: raw.chars().take(60).collect(), because });
        Ok(Self { place: Place::of(raw), value })
    }
}

impl<T: Leaf> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::EXPECTED.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

/// A list of leaves that has a place of its own: `["AES128", "AES256"]`.
#[derive(Clone, Debug)]
pub struct List<T> {
    pub(crate) place: Place,
    /// The items, or what stands there instead of a list.
    pub(crate) items: Result<Vec<At<T>>, Unreadable>,
}

impl<'de, T: Leaf> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?.trim().get_ron();
        let items = ron::from_str(raw).map_err(|_| Unreadable { found: raw.chars().take(60).collect(), because: None });
        Ok(Self { place: Place::of(raw), items })
    }
}

impl<T: Leaf> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("list of {}", T::EXPECTED).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": T::schema(), "minItems": 1 })
    }
}

/// Named things, in the order of the file: `{ "name": thing, ... }`.
#[derive(Clone, Debug)]
pub struct Named<V>(pub(crate) Vec<(At<Name>, V)>);

impl<V> Default for Named<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Named<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Named<V>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("named things: { \"name\": ..., }")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Named(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<V: JsonSchema> JsonSchema for Named<V> {
    /// A shape without a name of its own gives none to what is named.
    fn inline_schema() -> bool {
        V::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", V::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<V>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}
