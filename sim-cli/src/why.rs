//! `vpnsim why`: asks why an outage lasted as long as it did, and says, draws or lists it.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use sim_scenarios::report::route_story::Unknown;
use sim_scenarios::report::text;
use sim_scenarios::why::{self, draw, tell};

use crate::args::{Format, Question};
use crate::failure::Failure;
use crate::secrets::Keys;
use crate::whole::Place;
use crate::{Verdict, engine, job, picture, screen};

/// Arguments of `why`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = HELP)]
pub struct Why {
    #[command(flatten)]
    pub question: Question,
    /// The outage's number in the report, from 1; the longest if not given
    #[arg(long, value_name = "N")]
    pub outage: Option<NonZeroU32>,
    /// Also draw the critical path into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Also draw it into this file, for what shows no SVG
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

const HELP: &str = "\
The slack of a wait is how much it may shrink before something else decides, the runner-up; until then the outage shrinks with it, \
unless a later step is tied to an absolute instant, which is named then. What was needed besides may come later by its own slack. \
Each change was run again on the same seed: the table says what it really saves. Exit code 0 also if there is no outage.";

/// Explains an outage.
pub fn why(typed: &Why) -> Result<Verdict, Failure> {
    let question = job::question(&typed.question)?;
    let scenario = engine::understand(&question)?;
    let svg = typed.svg.as_deref().map(Place::prepare).transpose()?;
    let png = typed.png.as_deref().map(Place::prepare).transpose()?;
    let number = typed.outage.map(|number| number.get() as usize);
    let found = why::ask(&scenario, &Keys::beside(&question.directory), number);
    let found = found.map_err(|Unknown { what, help }| Failure::NothingToExplain { what, help })?;
    match draw::render(&found) {
        Some(drawn) => {
            svg.map(|place| place.write(drawn.as_bytes())).transpose()?;
            if let Some(place) = png {
                let octets = picture::of(&drawn, place.path())?;
                place.write(&octets)?;
            }
        }
        None if svg.is_some() || png.is_some() => screen::remark("there is no critical path to draw"),
        None => {}
    }
    screen::answer(&match typed.format {
        Format::Json => found.to_json(),
        Format::Text => text::render_sections(&tell::tell(&found), job::layout()),
    })?;
    Ok(Verdict::Held)
}
