//! What a person wants to ask: the scenario language and the plans made from it.

pub mod leaf;
pub mod place;
pub mod plan;
pub mod schema;
