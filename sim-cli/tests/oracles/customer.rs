//! A scenario's two ends: AWS's as settings for a machine of the tests, the customer's as our export writes it.

use std::path::PathBuf;

use sim_core::proto::ike::Config;
use sim_scenarios::build::ike_config;
use sim_scenarios::plan::Side;
use sim_scenarios::{NoSecrets, Scenario};
use tempfile::TempDir;

use crate::process::{Outcome, command, run};

/// A scenario with one tunnel, `a` of connection `vpn`.
pub struct Customer {
    scenario: Scenario,
    dir: TempDir,
    changes: Vec<String>,
}

impl Customer {
    /// The customer of this scenario after these changes.
    pub fn of(text: &str, changes: &[String]) -> Outcome<Self> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        std::fs::write(dir.path().join("scenario.ron"), text).map_err(|e| e.to_string())?;
        let scenario = Scenario::parse("scenario.ron", text, &NoSecrets).map_err(|e| e.to_string())?;
        let scenario = scenario.with(changes, &NoSecrets).map_err(|e| e.to_string())?;
        Ok(Self { scenario, dir, changes: changes.to_vec() })
    }

    /// What AWS's end is told.
    pub fn aws(&self) -> Config {
        ike_config(&self.scenario.plan().connections[0].tunnels[0], Side::Aws)
    }

    /// The file that `vpnsim export` writes for the customer's end; `more` are words of its command line.
    pub fn export(&self, format: &str, more: &str) -> Outcome<PathBuf> {
        let file = self.dir.path().join(format!("{format}.conf"));
        let program = assert_cmd::cargo::cargo_bin("vpnsim");
        let mut line = command(&format!("{} export scenario.ron vpn --as {format} {more}", program.display()));
        line.args(self.changes.iter().flat_map(|change| ["--set", change]));
        run(line.arg("--out").arg(&file).current_dir(self.dir.path()))?;
        Ok(file)
    }
}
