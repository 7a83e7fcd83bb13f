//! `vpnsim watch`: a run, played on the terminal.
//!
//! | file | what |
//! |---|---|
//! | `playback` | a run that can be moved to any of its moments |
//! | `model` | what is shown after which keys; knows neither terminal nor clock |
//! | `view`, `theme` | the model as a picture; signs and colours |
//! | `keys`, `speed` | what is typed |
//! | `terminal` | taken, and given back whatever happens |
//! | `plain` | the same without a terminal |
//!
//! The wall clock is read here and in `plain` only. It says how far the run has come, never what happens in it.
//!
//! Left out: who is real (`vpnsim live` has no view), packets one by one (`vpnsim explain packet`), a run recorded by a journal.

mod keys;
mod model;
mod plain;
mod playback;
mod speed;
mod terminal;
mod theme;
mod view;

use std::io::{self, IsTerminal as _};
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration as Wall, Instant as WallInstant};

use clap::Args as ClapArgs;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event};
use sim_core::id::NodeId;
use sim_core::time::{Duration, Instant};
use sim_scenarios::plan::Plan;
use sim_scenarios::report::text;

use crate::args::Question;
use crate::failure::{Failure, nearest};
use crate::progress::Progress;
use crate::{Verdict, engine, job, screen};
use keys::Key;
use model::{Leave, Mode, Model};
use playback::{Goal, Playback};
use speed::Speed;
use terminal::Guard;
use theme::Theme;

/// Arguments of `watch`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = WATCH)]
pub struct Watch {
    #[command(flatten)]
    pub question: Question,
    /// How many times as fast as the clock: 1x, 10x, 0.5x, or max
    ///
    /// 10x if not given; without a terminal, max.
    #[arg(long, value_name = "SPEED")]
    pub speed: Option<Speed>,
    /// Begin at this time, paused, for example 300s
    #[arg(long, value_name = "TIME", value_parser = sim_scenarios::leaf::duration)]
    pub at: Option<Duration>,
    /// Begin with what this device holds, by its name in the scenario
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Draw with ASCII alone, as happens by itself where the locale is not UTF-8
    #[arg(long)]
    pub ascii: bool,
    /// Print what happens line by line, as happens by itself without a terminal
    #[arg(long, conflicts_with_all = ["at", "node", "ascii"])]
    pub plain: bool,
}

const WATCH: &str = "\
The key ? shows all keys. q leaves and prints the answer of the whole run, with the exit code of `vpnsim run`; Ctrl-C leaves at once (130), \
and so does SIGTERM (143). NO_COLOR is respected. Without a terminal, or with TERM=dumb, the timeline is printed as it happens, then the \
report.";

/// The default speed on a terminal.
const USUAL: Speed = Speed::Times(10_000);
/// How long a picture lasts while time passes.
const FRAME: Wall = Wall::from_millis(40);
/// How long the run goes on before the next picture.
const WORK: Wall = Wall::from_millis(25);
/// How long a key is waited for while nothing moves; a signal is noticed then.
const PATIENCE: Wall = Wall::from_millis(200);
/// How long after a signal this program may take to leave by itself.
const GRACE: Wall = Wall::from_secs(2);
/// Events of a world between two looks at the clock.
const EVENTS: u64 = 2_000;

/// Plays a scenario.
pub fn watch(typed: &Watch) -> Result<Verdict, Failure> {
    let question = job::question(&typed.question)?;
    let scenario = engine::understand(&question)?;
    let plan = scenario.plan();
    let node = typed.node.as_deref().map(|name| device(plan, name)).transpose()?;
    if let Some(at) = typed.at.filter(|at| *at > plan.duration) {
        return Err(Failure::NothingToExplain {
            what: format!("the scenario ends at {}, before {at}", plan.duration),
            help: Some("give --at an earlier time".into()),
        });
    }
    if typed.plain || !is_on_terminal() {
        let mut playback = Playback::new(&scenario)?;
        plain::tell(&mut playback, typed.speed.unwrap_or(Speed::Max))?;
        return answer(playback, false, &AtomicBool::default());
    }
    let mut model = Model::new(&scenario, typed.speed.unwrap_or(USUAL))?;
    if let Some(node) = node {
        model.show(node);
    }
    if let Some(at) = typed.at {
        model.go_to(Instant::START + at)?;
    }
    let theme = Theme::of_environment(typed.ascii, |name| std::env::var_os(name));
    let told = Arc::new(AtomicBool::default());
    let heard = Arc::clone(&told);
    let hear = move || {
        heard.store(true, Ordering::Relaxed);
        // Whoever reads keys from a terminal that hung up never comes back to hear of it.
        sleep(GRACE);
        terminal::give_back(&mut io::stdout(), true);
        std::process::exit(TERMINATED.into());
    };
    ctrlc::set_handler(hear.clone()).map_err(|error| Failure::NoSignals { reason: error.to_string() })?;
    #[cfg(unix)]
    std::thread::spawn(move || {
        if terminal::hangs_up(None) {
            hear();
        }
    });
    let left = match play(&mut model, theme, &told) {
        Ok(left) => left,
        // Whoever is to tell of a terminal that hung up may come to it long after reading or writing has failed.
        Err(Stopped::Terminal(_)) if terminal::is_hung_up() || told.load(Ordering::Relaxed) => None,
        Err(Stopped::Terminal(error)) => return Err(Failure::undeliverable(Path::new("the terminal"), &error)),
        Err(Stopped::Run(failure)) => return Err(failure),
    };
    match left {
        Some(Leave::Answer) => answer(model.playback, true, &told),
        Some(Leave::AtOnce) => Ok(Verdict::Interrupted(INTERRUPTED)),
        None => Ok(Verdict::Interrupted(TERMINATED)),
    }
}

/// What a shell says of a program that SIGINT ended.
const INTERRUPTED: u8 = 128 + 2;
/// The same of SIGTERM.
const TERMINATED: u8 = 128 + 15;

/// The device of that name.
fn device(plan: &Plan, name: &str) -> Result<NodeId, Failure> {
    plan.node(name).ok_or_else(|| {
        let names = || plan.nodes.iter().map(|node| node.name.as_str());
        let help = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names().take(20).collect::<Vec<_>>().join(", ")),
        };
        Failure::Nobody { name: name.into(), what: "device".into(), help: Some(help) }
    })
}

fn is_on_terminal() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !dumb && io::stdout().is_terminal() && io::stdin().is_terminal()
}

/// Runs the rest unseen and answers as `vpnsim run` does; shortly, if the run was watched. A signal ends it, too.
fn answer(mut playback: Playback<'_>, short: bool, told: &AtomicBool) -> Result<Verdict, Failure> {
    let end = playback.end();
    let mut progress = Progress::start(io::stderr().is_terminal(), end);
    playback.go(Goal::At(end))?;
    while !playback.work(EVENTS) {
        progress.at(playback.now());
        if told.load(Ordering::Relaxed) {
            return Ok(Verdict::Interrupted(TERMINATED));
        }
    }
    let outcome = playback.answer();
    progress.finish(outcome.report.simulated_s.0);
    let layout = job::layout();
    screen::answer(&if short {
        text::render_answer(&outcome, layout)
    } else {
        format!("\n{}", text::render(&outcome, layout))
    })?;
    Ok(if outcome.report.all_held() { Verdict::Held } else { Verdict::Failed })
}

/// Why nothing is shown any more.
enum Stopped {
    Terminal(io::Error),
    Run(Failure),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Terminal(error)
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Run(failure)
    }
}

/// Shows the model until the user leaves; `None` if a signal ended it.
fn play(model: &mut Model<'_>, theme: Theme, told: &AtomicBool) -> Result<Option<Leave>, Stopped> {
    let _guard = Guard::take()?;
    // Dropping it would show the cursor, which the guard does, and complain where nobody hears it, which is a panic.
    let mut terminal = ManuallyDrop::new(Terminal::new(CrosstermBackend::new(io::stdout()))?);
    let mut last = clock();
    let mut stale = true;
    while !told.load(Ordering::Relaxed) {
        let began = clock();
        model.pass(began.duration_since(last).min(FRAME * 4))?;
        last = began;
        let was = (model.playback.now(), model.seeking(), model.mode);
        let mut idle = model.work(EVENTS);
        while !idle && began.elapsed() < WORK {
            idle = model.work(EVENTS);
        }
        stale |= was != (model.playback.now(), model.seeking(), model.mode) || model.seeking().is_some();
        if stale {
            let mut extent = model.extent;
            terminal.draw(|frame| extent = view::draw(frame, model, theme))?;
            model.extent = extent;
            stale = false;
        }
        let moves = model.mode == Mode::Playing || !idle;
        let pause = if moves { FRAME.saturating_sub(began.elapsed()) } else { PATIENCE };
        if !event::poll(pause)? {
            continue;
        }
        stale = true;
        if let Event::Key(pressed) = event::read()?
            && let Some(key) = Key::of(&pressed)
        {
            model.press(key)?;
        }
        if model.left.is_some() {
            return Ok(model.left);
        }
    }
    Ok(None)
}

#[expect(clippy::disallowed_methods, reason = "the wall clock paces what is shown, never the world")]
fn clock() -> WallInstant {
    WallInstant::now()
}

#[expect(clippy::disallowed_methods, reason = "a paced run waits for the clock")]
fn sleep(time: Wall) {
    std::thread::sleep(time);
}
