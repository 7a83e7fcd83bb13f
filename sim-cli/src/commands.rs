//! What each command does.

use sim_core::time::Instant;
use sim_core::trace::Sink;
use sim_core::world::World;
use sim_scenarios::Scenario;
use sim_scenarios::plan::{Depth, Plan};
use sim_scenarios::report::Outcome;
use sim_scenarios::report::text;

use crate::args::{self, Args, Command, Format, Subject};
use crate::check;
use crate::completions;
use crate::diagnose;
use crate::diff;
use crate::engine;
use crate::export;
use crate::failure::Failure;
use crate::job::{self, AnswerJob, Delivery, ExportJob, LiveJob, RunJob};
use crate::live::{self, Journal};
use crate::man;
use crate::new;
use crate::output::OutputDirectory;
use crate::page;
use crate::progress::Progress;
use crate::schema;
use crate::study;
use crate::taps::Taps;
use crate::watch;
use crate::{Verdict, screen, suite, whole, why};

/// Does what was typed.
pub fn execute(typed: Args) -> Result<Verdict, Failure> {
    match typed.command {
        Command::Run(typed) => run(RunJob::new(typed)?),
        Command::Live(typed) => live(&LiveJob::new(typed)?),
        Command::Why(typed) => why::why(&typed),
        Command::Check(typed) => check::check(&typed),
        Command::Watch(typed) => watch::watch(&typed),
        Command::Explain(typed) => explain(&typed),
        Command::Test(typed) => suite::test(&typed),
        Command::Diff(typed) => diff::diff(&typed),
        Command::Diagnose(typed) => diagnose::diagnose(&typed),
        Command::Export(typed) => export(&ExportJob::new(typed)?),
        Command::Schema(typed) => schema::schema(typed),
        Command::New(typed) => new::new(typed),
        Command::Completions(typed) => completions::completions(typed),
        Command::Man(typed) => man::man(&typed),
        Command::Study(typed) => study::study(&typed),
    }
}

fn run(mut job: RunJob) -> Result<Verdict, Failure> {
    let journal = job.replay.as_deref().map(Journal::read).transpose()?;
    if let Some(journal) = &journal {
        journal.recall(&mut job.question);
    }
    let scenario = engine::understand(&job.question)?;
    if let Some(depth) = job.breaks {
        return break_everything(&job, &scenario, depth);
    }
    if let Some(depth) = scenario.plan().breaks.filter(|_| journal.is_none()) {
        if job.answer.delivery.is_some() || job.answer.html.is_some() || job.assumption_ends {
            return Err(Failure::NothingToExplain {
                what: format!("the scenario has `faults: \"{}\"`: its answer is one table of many runs", depth.code()),
                help: Some("leave out --out, --html and --assumption-ends, or give it `--set faults={}`".into()),
            });
        }
        return break_everything(&job, &scenario, depth);
    }
    if journal.is_none() && !job.answer.answer_only {
        for name in live::marked(scenario.plan()) {
            screen::remark(format_args!("{name} is simulated: `vpnsim live` puts a real device in its place"));
        }
    }
    let place = Place::prepare(&job.answer)?;
    let mut taps = Taps::default();
    let mut progress = Progress::start(job.progress, Instant::START + scenario.plan().duration);
    let listeners = |world: &World| place.open(&mut taps, world, scenario.plan());
    let heard = &mut |at| progress.at(at);
    let mut outcome = match &journal {
        None => engine::run(&scenario, listeners, heard)?,
        Some(journal) => live::replay(&job.question, &scenario, journal, listeners, heard)?.answer(),
    };
    let pace = progress.finish(outcome.report.simulated_s.0);
    if job.assumption_ends {
        engine::ask_at_ends(&job.question, &scenario, &mut outcome)?;
    }
    let again = || match &job.replay {
        Some(journal) => page::replay_again(&job.question.name, journal),
        None if job.assumption_ends => page::run_again(&job.question.name, &scenario, &["--assumption-ends"]),
        None => page::run_again(&job.question.name, &scenario, &[]),
    };
    place.answer(taps, &outcome, &pace, || page::page(&outcome, &scenario, &again()))
}

fn break_everything(job: &RunJob, scenario: &Scenario, depth: Depth) -> Result<Verdict, Failure> {
    let answer = engine::break_everything(scenario, depth, job.fault_window)?;
    screen::answer(&match job.answer.format {
        Format::Json => answer.to_json(),
        Format::Text => text::render_sections(&answer.sections(), job.answer.layout),
    })?;
    Ok(Verdict::Held)
}

fn live(job: &LiveJob) -> Result<Verdict, Failure> {
    let scenario = engine::understand(&job.question)?;
    let place = Place::prepare(&job.answer)?;
    let mut taps = Taps::default();
    let told = live::Live {
        devices: &job.devices,
        hosts: &job.hosts,
        native_esp: job.native_esp,
        listening: &job.listening,
        duration: job.duration,
        journal: job.journal.as_deref(),
        remarks: !job.answer.answer_only,
    };
    let outcome = live::run(&job.question, &scenario, &told, |world| place.open(&mut taps, world, scenario.plan()))?;
    let pace = format!("{} in real time", outcome.report.simulated_s.0);
    // Without a journal nobody knows what the real ones sent.
    let again = || job.journal.as_deref().map_or_else(String::new, |it| page::replay_again(&job.question.name, it));
    place.answer(taps, &outcome, &pace, || page::page(&outcome, &scenario, &again()))
}

/// Where an answer goes, made ready before the work begins.
struct Place<'a> {
    job: &'a AnswerJob,
    out: Option<(&'a Delivery, OutputDirectory)>,
    page: Option<whole::Place>,
}

impl<'a> Place<'a> {
    fn prepare(job: &'a AnswerJob) -> Result<Self, Failure> {
        let out = match &job.delivery {
            Some(delivery) => Some((delivery, OutputDirectory::prepare(&delivery.directory)?)),
            None => None,
        };
        let page = job.html.as_deref().map(whole::Place::prepare).transpose()?;
        Ok(Self { job, out, page })
    }

    /// The files that are written while the world runs.
    fn open(&self, taps: &mut Taps, world: &World, plan: &Plan) -> Result<Vec<Box<dyn Sink>>, Failure> {
        match &self.out {
            Some((delivery, out)) => taps.open(world, plan.begins, out, delivery),
            None => Ok(Vec::new()),
        }
    }

    /// `page` makes the report's page, if anybody wants it.
    fn answer(
        self,
        taps: Taps,
        outcome: &Outcome,
        pace: &str,
        page: impl FnOnce() -> String,
    ) -> Result<Verdict, Failure> {
        let job = self.job;
        taps.close()?;
        let page = if self.out.is_some() || self.page.is_some() { page() } else { String::new() };
        let mut written = Vec::new();
        if let Some((_, out)) = self.out {
            out.report(outcome, &page)?;
            out.logs(outcome)?;
            out.telemetry(outcome)?;
            written.push(out.deliver()?);
        }
        if let Some(file) = self.page {
            written.push(file.write(page.as_bytes())?);
        }
        for place in written.iter().filter(|_| !job.answer_only) {
            screen::remark(format_args!("wrote {}", place.display()));
        }
        screen::answer(&match (job.format, job.answer_only) {
            (Format::Json, _) => outcome.report.to_json(),
            (Format::Text, false) => text::render(outcome, job.layout),
            (Format::Text, true) => text::render_answer(outcome, job.layout),
        })?;
        if job.verbose {
            screen::remark(pace);
        }
        Ok(if outcome.report.all_held() { Verdict::Held } else { Verdict::Failed })
    }
}

fn explain(typed: &args::Explain) -> Result<Verdict, Failure> {
    let journal = typed.replay.as_deref().map(Journal::read).transpose()?;
    let mut question = job::question(&typed.question)?;
    if let Some(journal) = &journal {
        journal.recall(&mut question);
    }
    let scenario = engine::understand(&question)?;
    let again = |listeners, until| match (&journal, until) {
        (None, until) => Ok(engine::run_with(&scenario, listeners, until)),
        (Some(journal), None) => live::replay(&question, &scenario, journal, |_| Ok(listeners), &mut |_| {}),
        (Some(_), Some(_)) => Err(Failure::NothingToExplain {
            what: "a replayed run is explained as it stands at its end".into(),
            help: Some("leave --at out".into()),
        }),
    };
    let story = match (&typed.subject, &journal) {
        (Subject::Outage { number }, None) => engine::why(&question, &scenario, *number)?,
        (subject, _) => engine::explain(subject, &scenario, again)?,
    };
    screen::answer(&text::render_sections(&story, job::layout()))?;
    Ok(Verdict::Held)
}

fn export(job: &ExportJob) -> Result<Verdict, Failure> {
    export::deliver(job, &engine::understand(&job.question)?)?;
    Ok(Verdict::Held)
}
