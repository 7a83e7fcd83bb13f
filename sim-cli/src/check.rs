//! `vpnsim check`: whether scenarios are well-formed, and with `--advise` what they say about the design that they draw.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;
use sim_scenarios::Scenario;
use sim_scenarios::advice::{self, Review};
use sim_scenarios::plan::Warning;
use sim_scenarios::report::text;

use crate::args::{Format, Loudness};
use crate::failure::Failure;
use crate::{Verdict, engine, job, screen};

/// Arguments of `check`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Check {
    /// The scenarios (RON)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Change a value of each scenario first, as `vpnsim run` does; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub changes: Vec<String>,
    /// Review the design, too, without a run: what one failure takes away, which routes hide which, what is negotiated, who is told
    ///
    /// Each piece of advice says where it stands, what it means for this drawing, what to change, what it rests on, and which
    /// scenario of vpnsim's library shows it.
    #[arg(long)]
    pub advise: bool,
    /// How to print the advice
    #[arg(long, value_enum, default_value_t, requires = "advise")]
    pub format: Format,
    /// Exit with 1 if there is advice
    #[arg(long, requires = "advise")]
    pub strict: bool,
    #[command(flatten)]
    pub loudness: Loudness,
}

/// A review and the file that it is of.
#[derive(Serialize)]
struct Reviewed {
    file: String,
    #[serde(flatten)]
    review: Review,
}

/// Checks every file, also after one that is wrong.
pub fn check(typed: &Check) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::Held;
    let mut reviewed = Vec::new();
    let as_json = typed.format == Format::Json;
    for file in &typed.files {
        let changed = |question| engine::Question { changes: typed.changes.clone(), ..question };
        match job::read(file).and_then(|question| engine::understand(&changed(question))) {
            Ok(scenario) => {
                if !typed.loudness.quiet && !as_json {
                    remarks(file, &scenario)?;
                }
                if typed.advise {
                    let review = advice::review(&scenario);
                    let file = file.display().to_string();
                    if !as_json {
                        screen::answer(&text::render_sections(&review.sections(&file), job::layout()))?;
                    }
                    reviewed.push(Reviewed { file, review });
                }
            }
            Err(failure) => {
                screen::complain(&failure);
                verdict = Verdict::Unanswered;
            }
        }
    }
    if as_json {
        let text = serde_json::to_string_pretty(&reviewed).expect("texts and numbers");
        screen::answer(&format!("{text}\n"))?;
    }
    let some = reviewed.iter().any(|it| !it.review.advice.is_empty());
    Ok(if typed.strict && some && verdict == Verdict::Held { Verdict::Failed } else { verdict })
}

/// That it is well-formed, what its devices' profiles set, and what AWS does not have.
fn remarks(file: &Path, scenario: &Scenario) -> Result<(), Failure> {
    let file = file.display();
    screen::answer(&format!("{file}: ok\n"))?;
    for used in &scenario.plan().profiles {
        screen::remark(format_args!("profile: {file}: {}: {}: {}", used.device, used.profile, used.about));
        for (parameter, value, source) in &used.settings {
            screen::remark(format_args!("profile: {file}: {parameter}={value}: {source}"));
        }
    }
    for warning in &scenario.plan().warnings {
        let Warning { parameter, text } = warning;
        screen::remark(format_args!("warning: {file}: {parameter}: {text}"));
    }
    Ok(())
}
