//! `vpnsim study`: asks a scenario many times, keeps every run, and goes on where it was interrupted.
//!
//! ```text
//!   DIR/runs.log               each run as it ends: what a study that was killed goes on from
//!   DIR/runs.csv, runs.parquet one row a run, in order: written whole at the end
//!   DIR/study.json             what was asked
//!   DIR/study.md, *.svg, *.png what was found, and its pictures
//!   DIR/shard-3-of-16.log      the same of a part
//!   DIR/shard-3-of-16.part     a part that is whole: what --merge puts together
//! ```
//!
//! The tables do not depend on the number of threads or parts, nor on how often the study was killed. A machine that loses power may
//! lose the runs of its last seconds, which are then done again.

mod available;
mod keep;
mod place;
mod tell;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Instant as WallInstant;

use clap::Args as ClapArgs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sim_scenarios::report::text;
use sim_scenarios::study::availability::make::is_one as is_availability;
use sim_scenarios::study::results::Row;
use sim_scenarios::study::shard::Shard;
use sim_scenarios::study::{Library, Study, carry_out, findings, log, summary};
use sim_scenarios::{Diagnostics, Secrets};

use crate::args::Loudness;
use crate::failure::{self, Failure};
use crate::secrets::Keys;
use crate::{Verdict, job, screen};
use keep::Keeper;
use place::{Environment, Placing};

/// Arguments of `study`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = HELP)]
pub struct Args {
    /// The study (RON)
    pub file: PathBuf,
    /// Keep the runs in this directory, and write runs.csv, runs.parquet and study.json there at the end
    ///
    /// The same command again goes on where it was interrupted, by whatever. Without it nothing is kept.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Do so many runs at once; as many as this machine has cores, if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub jobs: Option<u32>,
    /// Do part I of N only, counted from 1, and write it as a part for --merge; `auto` takes I and N from the scheduler
    ///
    /// `auto` reads a Slurm job array (SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT) or an AWS Batch array job
    /// (AWS_BATCH_JOB_ARRAY_INDEX and _SIZE). `auto/16` takes the index alone and counts it from 0: for Kubernetes Indexed Jobs
    /// (JOB_COMPLETION_INDEX), or to do a few tasks of an array again (--array=3 of 0-15).
    #[arg(long, value_name = "I/N|auto|auto/N", requires = "out", conflicts_with = "merge")]
    pub shard: Option<Placing>,
    /// Run nothing: put these parts together, or the parts in these directories
    #[arg(long, value_name = "PART|DIR", num_args = 1..)]
    pub merge: Vec<PathBuf>,
    /// Add what each design costs, by a CSV file of item, price and what it is for (hour, month, year or dark_minute)
    ///
    /// Only for a file that asks for availability. No price comes with vpnsim.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Run nothing: list the points and say how many runs there are
    #[arg(long, conflicts_with_all = ["merge", "shard", "out"])]
    pub dry_run: bool,
    #[command(flatten)]
    pub loudness: Loudness,
}

const HELP: &str = "\
`vpnsim schema study` describes the language. A run that fails is a row like the others, with its failure, and the exit code is 1.";

/// Does what was typed.
pub fn study(typed: &Args) -> Result<Verdict, Failure> {
    let asked = std::fs::read_to_string(&typed.file).map_err(|error| Failure::unreadable(&typed.file, &error))?;
    if is_availability(&asked) {
        return available::answer(typed, &asked);
    }
    if typed.prices.is_some() {
        return Err(Failure::Study {
            what: format!("{} does not ask for availability: there is nothing to price", typed.file.display()),
            help: Some("leave out --prices".into()),
        });
    }
    let study = read(&typed.file, &asked)?;
    if typed.dry_run {
        screen::answer(&text::render_sections(&summary::plan(&study), job::layout()))?;
        return Ok(Verdict::Held);
    }
    if !typed.merge.is_empty() {
        return merge(typed, &study);
    }
    let shard = match &typed.shard {
        None => Shard::WHOLE,
        Some(placing) => placing.resolve(&Environment).map_err(|(what, help)| Failure::Study { what, help })?,
    };
    if typed.shard.is_some() && study.stops_early() {
        return Err(Failure::Study {
            what: "a study that stops early is not cut into shards: whether a point has been run often enough is known only \
                   where all its runs are"
                .into(),
            help: Some("leave out `stop` in the study, or --shard".into()),
        });
    }
    let keeper = typed.out.as_deref().map(|out| Keeper::open(out, &study, shard)).transpose()?;
    let rows = run(typed, &study, shard, keeper.as_ref())?;
    // Until the tables are there nobody else writes into the directory.
    match (&keeper, &typed.shard) {
        (Some(keeper), Some(_)) => {
            let place = keeper.part(&log::part(&study, shard, &rows))?;
            if !typed.loudness.quiet {
                screen::remark(format_args!("wrote {}: {} runs", place.display(), rows.len()));
            }
            let failed = rows.values().any(|row| row.failure.is_some());
            Ok(if failed { Verdict::Failed } else { Verdict::Held })
        }
        (keeper, _) => answer(typed, &study, rows, keeper.as_ref().map(Keeper::directory)),
    }
}

/// Understands the study in a file.
fn read(file: &Path, text: &str) -> Result<Study, Failure> {
    let directory = file.parent().unwrap_or(Path::new("")).to_path_buf();
    let parsed: Result<Study, Diagnostics> = Study::parse(&file.display().to_string(), text, &Shelf { directory });
    parsed.map_err(Failure::Malformed)
}

/// The scenarios beside a study.
struct Shelf {
    directory: PathBuf,
}

impl Library for Shelf {
    fn scenario(&self, path: &str) -> Result<(String, String), String> {
        let file = self.directory.join(path);
        let text = std::fs::read_to_string(&file).map_err(|error| failure::plain_reason(&error))?;
        Ok((file.display().to_string(), text))
    }

    fn secrets(&self, path: &str) -> Box<dyn Secrets + Send + Sync> {
        let file = self.directory.join(path);
        Box::new(Keys::beside(file.parent().unwrap_or(Path::new(""))))
    }
}

/// How many runs are done at once.
fn threads(typed: &Args) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    typed.jobs.map_or_else(cores, |jobs| jobs as usize)
}

/// Does all runs that are not kept yet.
fn run(typed: &Args, study: &Study, shard: Shard, keeper: Option<&Keeper>) -> Result<BTreeMap<u64, Row>, Failure> {
    let mut rows = keeper.map(Keeper::rows).unwrap_or_default();
    let threads = threads(typed);
    if let Some(keeper) = keeper
        && !typed.loudness.quiet
    {
        keeper.damaged().into_iter().for_each(screen::remark);
        if !rows.is_empty() {
            screen::remark(format_args!("{} runs are there already", rows.len()));
        }
    }
    let began = now();
    let (known, watched) = (rows.len(), !typed.loudness.quiet && io::stderr().is_terminal());
    let bar = watched.then(|| bar(study.points() * study.runs_of_a_point() / u64::from(shard.of())));
    loop {
        let wanted = study.next(&rows, shard);
        if wanted.is_empty() {
            break;
        }
        if let Some(bar) = &bar {
            bar.set_length((rows.len() + wanted.len()) as u64);
            bar.set_position(rows.len() as u64);
            // What was there already says nothing of how fast it goes.
            bar.reset_eta();
        }
        let mut broken = None;
        carry_out(study, &wanted, threads, |row| {
            if let Some(Err(error)) = keeper.map(|keeper| keeper.keep(&row)) {
                broken.get_or_insert(error);
                return false;
            }
            rows.insert(row.run, row);
            bar.iter().for_each(|bar| bar.inc(1));
            true
        });
        if let Some(failure) = broken {
            return Err(failure);
        }
    }
    bar.iter().for_each(ProgressBar::finish_and_clear);
    if typed.loudness.verbose {
        let (runs, wall) = (rows.len() - known, began.elapsed().as_secs_f64());
        screen::remark(format_args!("{runs} runs in {wall:.3} s: {:.1} a second", runs as f64 / wall.max(1e-9)));
    }
    Ok(rows)
}

fn bar(runs: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(runs), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {pos} of {len} runs  {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Puts parts together.
fn merge(typed: &Args, study: &Study) -> Result<Verdict, Failure> {
    let mut parts = Vec::new();
    for path in &typed.merge {
        for part in keep::parts(path)? {
            let octets = std::fs::read(&part).map_err(|error| Failure::unreadable(&part, &error))?;
            let name = part.display().to_string();
            let read =
                log::read(&octets).map_err(|why| Failure::Study { what: format!("{name} {why}"), help: None })?;
            parts.push((name, read));
        }
    }
    let rows = log::merge(study, parts).map_err(|what| Failure::Study {
        what,
        help: Some("--merge wants each part of one --shard I/N once, made from this study by this version".into()),
    })?;
    if let Some(out) = &typed.out {
        Keeper::replace(out, study, &log::part(study, Shard::WHOLE, &rows))?;
    }
    answer(typed, study, rows, typed.out.as_deref())
}

/// Writes the tables and prints the summary.
fn answer(typed: &Args, study: &Study, rows: BTreeMap<u64, Row>, directory: Option<&Path>) -> Result<Verdict, Failure> {
    let results = study.results(rows);
    let sections = summary::sections(study, &results);
    if let Some(directory) = directory {
        keep::deliver(directory, study, &results)?;
        tell::report(directory, study.name(), &sections, &findings::pictures(study, &results))?;
        if !typed.loudness.quiet {
            let place = directory.display();
            screen::remark(format_args!(
                "wrote runs.csv, runs.parquet, study.json, study.md and its pictures into {place}"
            ));
        }
    }
    screen::answer(&text::render_sections(&sections, job::layout()))?;
    let failed = results.rows.iter().any(|row| row.failure.is_some());
    Ok(if failed { Verdict::Failed } else { Verdict::Held })
}

#[expect(clippy::disallowed_methods, reason = "the wall clock measures the simulator, never the world")]
fn now() -> WallInstant {
    WallInstant::now()
}
