//! `vpnsim diagnose`: asks, and says it for people or for programs.

use sim_scenarios::diagnose::{self, report};

use crate::args::{self, Format};
use crate::engine;
use crate::failure::Failure;
use crate::job;
use crate::secrets::Keys;
use crate::{Verdict, screen};

/// Diagnoses a scenario. What is wrong with it counts as an expectation that does not hold.
pub fn diagnose(typed: &args::Diagnose) -> Result<Verdict, Failure> {
    let question = job::question(&typed.question)?;
    let scenario = engine::understand(&question)?;
    let found = diagnose::diagnose(&scenario, &Keys::beside(&question.directory));
    screen::answer(&match typed.format {
        Format::Json => found.to_json(),
        Format::Text => report::text(&found),
    })?;
    Ok(if found.healthy { Verdict::Held } else { Verdict::Failed })
}
