//! What a person wants to ask: the scenario language and the plans made from it.
//!
//! A scenario is a RON text ([`schema`] says which). [`Scenario::parse`] judges it whole and either explains every mistake
//! ([`Diagnostics`]) or holds a [`plan::Plan`]: resolved data that a world can be built from.

mod diagnostic;
pub mod leaf;
mod make;
pub mod place;
pub mod plan;
mod read;
mod scenario;
pub mod schema;
pub mod set;
mod source;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use scenario::{NoSecrets, Scenario, Secrets};
