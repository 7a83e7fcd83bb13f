//! Scenarios.

pub mod measure;
pub mod report;
