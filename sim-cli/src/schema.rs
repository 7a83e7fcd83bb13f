//! `vpnsim schema`: what the scenario language, the report and the advice look like, as JSON Schema.
//!
//! Editors that complete by JSON Schema do so for JSON and YAML; none is known that does for RON. So the schema of the language is a
//! reference, for people and for generators of scenarios, and `vpnsim check` is what an editor should run on a file.

use schemars::{Schema, schema_for};
use serde_json::json;
use sim_scenarios::advice::Review;
use sim_scenarios::report::model::Report;
use sim_scenarios::schema::reference;
use sim_scenarios::why::document::Why;

use crate::args::{self, Document};
use crate::failure::Failure;
use crate::{Verdict, screen};

/// Prints a schema.
pub fn schema(typed: args::Schema) -> Result<Verdict, Failure> {
    let (name, title, schema) = match typed.of {
        Document::Scenario => ("scenario", "A scenario of vpnsim", sim_scenarios::schema::json_schema()),
        Document::Study => ("study", "A study of vpnsim", sim_scenarios::study::schema::json_schema()),
        Document::Report => ("report", "A report of vpnsim", schema_for!(Report)),
        Document::Why => ("why", "The answer of `vpnsim why --format json`", schema_for!(Why)),
        Document::Advice => ("advice", "A review of `vpnsim check --advise --format json`", schema_for!(Review)),
    };
    let schema = identified(schema, name, title);
    screen::answer(&match typed.markdown {
        true => reference::markdown(schema.as_value()),
        false => format!("{:#}\n", schema.as_value()),
    })?;
    Ok(Verdict::Held)
}

/// With an identity that does not change while the format's version does not.
fn identified(mut schema: Schema, name: &str, title: &str) -> Schema {
    schema.insert("$id".into(), json!(format!("urn:vpnsim:schema:{name}:1")));
    schema.insert("title".into(), json!(title));
    schema
}
