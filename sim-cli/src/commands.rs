//! What each command does.

use schemars::schema_for;
use sim_scenarios::report::model::Report;
use sim_scenarios::report::text;

use crate::args::{self, Args, Command, Document, Format};
use crate::engine::{self, Taps};
use crate::failure::Failure;
use crate::job::{self, RunJob};
use crate::output::OutputDirectory;
use crate::progress::Progress;
use crate::{Verdict, screen};

/// Does what was typed.
pub fn execute(typed: Args) -> Result<Verdict, Failure> {
    match typed.command {
        Command::Run(typed) => run(&RunJob::new(typed)?),
        Command::Check(typed) => check(&typed),
        Command::Explain(typed) => explain(&typed),
        Command::Schema(typed) => schema(typed.of),
    }
}

fn run(job: &RunJob) -> Result<Verdict, Failure> {
    let plan = engine::plan(&job.question)?;
    let out = job
        .delivery
        .as_ref()
        .map(|delivery| OutputDirectory::prepare(&delivery.directory))
        .transpose()?;
    let mut taps = match (&out, &job.delivery) {
        (Some(out), Some(delivery)) => Taps::into_directory(out, delivery, &plan)?,
        _ => Taps::default(),
    };

    let mut progress = Progress::start(job.progress);
    let outcome = engine::run(&plan, &mut taps, &mut |at, end| progress.at(at, end))?;
    let pace = progress.finish(outcome.report.simulated_s.0);

    if let Some(out) = out {
        taps.close()?;
        out.report(&outcome)?;
        let place = out.deliver()?;
        if !job.answer_only {
            screen::remark(format_args!("wrote {}", place.display()));
        }
    }
    screen::answer(&match (job.format, job.answer_only) {
        (Format::Json, _) => outcome.report.to_json(),
        (Format::Text, false) => text::render(&outcome, job.layout),
        (Format::Text, true) => text::render_answer(&outcome, job.layout),
    })?;
    if job.verbose {
        screen::remark(pace);
    }
    Ok(match outcome.report.all_held() {
        true => Verdict::Held,
        false => Verdict::Failed,
    })
}

/// Checks every file, also after one that is wrong.
fn check(typed: &args::Check) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::Held;
    for file in &typed.files {
        match job::read(file).and_then(|question| engine::plan(&question)) {
            Ok(_) if typed.loudness.quiet => {}
            Ok(_) => screen::answer(&format!("{}: ok\n", file.display()))?,
            Err(failure) => {
                screen::complain(&failure);
                verdict = Verdict::Unanswered;
            }
        }
    }
    Ok(verdict)
}

fn explain(typed: &args::Explain) -> Result<Verdict, Failure> {
    let plan = engine::plan(&job::question(&typed.question)?)?;
    let story = engine::explain(&plan, typed.subject)?;
    screen::answer(&story)?;
    Ok(Verdict::Held)
}

fn schema(of: Document) -> Result<Verdict, Failure> {
    let schema = match of {
        Document::Scenario => engine::scenario_schema(),
        Document::Report => schema_for!(Report).into(),
    };
    screen::answer(&format!("{schema:#}\n"))?;
    Ok(Verdict::Held)
}
