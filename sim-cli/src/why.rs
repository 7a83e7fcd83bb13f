//! `vpnsim why`: asks why an outage lasted as long as it did, and says, draws or lists it.

use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use sim_scenarios::report::route_story::Unknown;
use sim_scenarios::report::text;
use sim_scenarios::why::{self, draw, tell};

use crate::args::{Format, Question};
use crate::failure::Failure;
use crate::secrets::Keys;
use crate::{Verdict, engine, job, screen};

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
    let picture = typed.svg.as_deref().map(Picture::prepare).transpose()?;
    let number = typed.outage.map(|number| number.get() as usize);
    let found = why::ask(&scenario, &Keys::beside(&question.directory), number);
    let found = found.map_err(|Unknown { what, help }| Failure::NothingToExplain { what, help })?;
    if let Some(picture) = picture {
        match draw::render(&found) {
            Some(svg) => picture.deliver(&svg)?,
            None => screen::remark("there is no critical path to draw"),
        }
    }
    screen::answer(&match typed.format {
        Format::Json => found.to_json(),
        Format::Text => text::render_sections(&tell::tell(&found), job::layout()),
    })?;
    Ok(Verdict::Held)
}

/// A picture that is whole or not there: written beside its place and renamed.
struct Picture<'p> {
    path: &'p Path,
    partial: tempfile::NamedTempFile,
}

impl<'p> Picture<'p> {
    /// Finds out before the work begins that the place can be written to.
    fn prepare(path: &'p Path) -> Result<Self, Failure> {
        let failed = |error| Failure::undeliverable(path, &error);
        if path.is_dir() {
            return Err(failed(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
        }
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".vpnsim-why-");
        // Whoever may read what else is made there may read it, too.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        Ok(Self { path, partial: builder.tempfile_in(folder).map_err(failed)? })
    }

    fn deliver(mut self, svg: &str) -> Result<(), Failure> {
        let failed = |error| Failure::undeliverable(self.path, &error);
        self.partial.write_all(svg.as_bytes()).map_err(failed)?;
        self.partial.persist(self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}
