//! What a person wants to ask: the scenario language, the worlds made from it, and the reports about them.

pub mod leaf;
pub mod measure;
pub mod observe;
pub mod place;
pub mod plan;
pub mod report;
pub mod schema;
pub mod underlay;
