//! What each command does.

use schemars::schema_for;
use sim_core::time::Instant;
use sim_scenarios::report::model::Report;
use sim_scenarios::report::text;

use crate::args::{self, Args, Command, Document, Format};
use crate::engine;
use crate::failure::Failure;
use crate::job::{self, RunJob};
use crate::output::OutputDirectory;
use crate::progress::Progress;
use crate::taps::Taps;
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
    let scenario = engine::understand(&job.question)?;
    let out = match &job.delivery {
        Some(delivery) => Some((delivery, OutputDirectory::prepare(&delivery.directory)?)),
        None => None,
    };

    let mut taps = Taps::default();
    let mut progress = Progress::start(job.progress, Instant::START + scenario.plan().duration);
    let outcome = engine::run(
        &scenario,
        |world| match &out {
            Some((delivery, out)) => taps.open(world, out, delivery),
            None => Ok(Vec::new()),
        },
        &mut |at| progress.at(at),
    )?;
    let pace = progress.finish(outcome.report.simulated_s.0);

    taps.close()?;
    if let Some((_, out)) = out {
        out.report(&outcome)?;
        out.tunnel_logs(&outcome.detail.logs)?;
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
    Ok(if outcome.report.all_held() { Verdict::Held } else { Verdict::Failed })
}

/// Checks every file, also after one that is wrong.
fn check(typed: &args::Check) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::Held;
    for file in &typed.files {
        match job::read(file).and_then(|question| engine::understand(&question)) {
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
    let scenario = engine::understand(&job::question(&typed.question)?)?;
    let story = engine::explain(&scenario, typed.subject)?;
    screen::answer(&text::render_sections(&story, job::layout()))?;
    Ok(Verdict::Held)
}

fn schema(of: Document) -> Result<Verdict, Failure> {
    let schema = match of {
        Document::Scenario => schema_for!(sim_scenarios::schema::Scenario),
        Document::Report => schema_for!(Report),
    };
    screen::answer(&format!("{:#}\n", schema.as_value()))?;
    Ok(Verdict::Held)
}
