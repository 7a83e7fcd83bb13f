//! What a person wants to ask: the scenario language, the worlds made from it, and the reports about them.
//!
//! A scenario is a RON text ([`schema`] says which). [`Scenario::parse`] judges it whole and either explains every mistake
//! ([`Diagnostics`]) or holds a [`plan::Plan`]: resolved data that a world can be built from.

pub mod advice;
pub mod breakage;
pub mod build;
pub mod compare;
mod copies;
pub mod detect;
pub mod diagnose;
pub mod diagnosis;
mod diagnostic;
pub mod ends;
pub mod expect;
pub mod export;
pub mod firewall_profile;
pub mod leaf;
mod make;
pub mod measure;
pub mod observe;
mod picture;
pub mod place;
pub mod plan;
pub mod pool;
pub mod profile;
mod read;
pub mod report;
pub mod run;
mod scenario;
pub mod scene;
pub mod schema;
pub mod set;
mod source;
pub mod starter;
pub mod study;
pub mod telemetry;
pub mod underlay;
pub mod why;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use run::Simulation;
pub use scenario::{NoSecrets, Scenario, Secrets};
