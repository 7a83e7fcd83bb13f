//! The seam to the simulator: everything this program asks of `sim-scenarios` about a scenario passes through here.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use sim_core::time::Instant;
use sim_scenarios::report::Outcome;

use crate::args::Subject;
use crate::failure::Failure;
use crate::job::Delivery;
use crate::output::{self, OutputDirectory};
use crate::secrets::Secrets;

/// A scenario as it was asked, not yet understood.
#[derive(Clone, Debug)]
pub struct Question {
    /// The file as the user named it.
    pub name: String,
    /// Where the file is, and files that it names.
    pub directory: PathBuf,
    /// The file's text.
    pub text: String,
    /// Changes in the grammar of `--set`, in order.
    pub changes: Vec<String>,
}

/// A scenario that makes sense.
#[derive(Debug)]
pub struct Plan;

/// Where the trace goes while the world runs.
#[derive(Debug, Default)]
pub struct Taps {
    /// Kept records, one JSON object a line.
    pub events: Option<BufWriter<File>>,
    /// Whether packet hops are among them.
    pub packet_records: bool,
    /// One capture for each link of the plan, in its order.
    pub captures: Vec<BufWriter<File>>,
    /// Rows of Wireshark's `ikev2_decryption_table`.
    pub ike_keys: Option<BufWriter<File>>,
    /// Rows of Wireshark's `esp_sa`.
    pub esp_keys: Option<BufWriter<File>>,
}

impl Taps {
    /// Opens the files that were asked for.
    pub fn into_directory(
        out: &OutputDirectory,
        delivery: &Delivery,
        plan: &Plan,
    ) -> Result<Self, Failure> {
        let mut taps = Self {
            events: Some(out.create(output::EVENTS)?),
            packet_records: delivery.packet_records,
            ..Self::default()
        };
        if delivery.captures {
            let links = plan.links();
            taps.captures = links
                .map(|link| out.capture(link))
                .collect::<Result<_, _>>()?;
            taps.ike_keys = Some(out.create(output::IKE_KEYS)?);
            taps.esp_keys = Some(out.create(output::ESP_KEYS)?);
        }
        Ok(taps)
    }

    /// Writes out what is still in memory; a full disk shows here at the latest.
    pub fn close(self) -> Result<(), Failure> {
        let files = [self.events, self.ike_keys, self.esp_keys];
        for mut file in files.into_iter().flatten().chain(self.captures) {
            file.flush()
                .map_err(|error| Failure::undeliverable("the answer's files".as_ref(), &error))?;
        }
        Ok(())
    }
}

impl Plan {
    fn links(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}

/// Understands a question.
pub fn plan(question: &Question) -> Result<Plan, Failure> {
    let _secrets = Secrets::beside(&question.directory);
    Ok(Plan)
}

/// Runs the world to its end. `progress` hears now and then how far it is.
pub fn run(
    _plan: &Plan,
    _taps: &mut Taps,
    _progress: &mut dyn FnMut(Instant, Instant),
) -> Result<Outcome, Failure> {
    unreachable!("wired by the integrator")
}

/// Runs the world again and tells one story of it.
pub fn explain(_plan: &Plan, _subject: Subject) -> Result<String, Failure> {
    unreachable!("wired by the integrator")
}

/// The JSON Schema of the scenario language.
pub fn scenario_schema() -> serde_json::Value {
    serde_json::Value::Null
}
