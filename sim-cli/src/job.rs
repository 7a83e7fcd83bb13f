//! What the arguments mean: files read, defaults chosen, the terminal asked.

use std::io::IsTerminal as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use sim_core::time::Duration;
use sim_scenarios::export::Format;
use sim_scenarios::plan::Depth;
use sim_scenarios::report::text::Layout;

use crate::args;
use crate::engine::Question;
use crate::failure::Failure;
use crate::live::{Listening, RealHost};

/// A scenario to run, and where its answer goes.
#[derive(Debug)]
pub struct RunJob {
    pub question: Question,
    pub replay: Option<PathBuf>,
    /// Whether the answer is wanted at the ends of what is assumed, too.
    pub assumption_ends: bool,
    /// Whether components are broken instead of the scenario's own faults.
    pub breaks: Option<Depth>,
    /// From when until when.
    pub fault_window: Option<(Duration, Duration)>,
    pub answer: AnswerJob,
    pub progress: bool,
}

/// A scenario to run with real devices, and where its answer goes.
#[derive(Debug)]
pub struct LiveJob {
    pub question: Question,
    pub devices: Vec<String>,
    pub hosts: Vec<RealHost>,
    pub native_esp: bool,
    pub listening: Listening,
    /// When to end, if the scenario does not end before.
    pub duration: Option<Duration>,
    pub journal: Option<PathBuf>,
    pub answer: AnswerJob,
}

/// A configuration to write.
#[derive(Debug)]
pub struct ExportJob {
    pub question: Question,
    pub connection: String,
    pub tunnel: Option<String>,
    pub format: Format,
    /// Where `vpnsim live` listens, if that is where AWS's end is.
    pub listening: Option<Listening>,
    pub local: Option<Ipv4Addr>,
    pub policy_based: bool,
    pub redact: bool,
    pub out: Option<PathBuf>,
}

/// Where an answer goes.
#[derive(Debug)]
pub struct AnswerJob {
    pub format: args::Format,
    pub delivery: Option<Delivery>,
    /// Where the page goes, if it is wanted by itself.
    pub html: Option<PathBuf>,
    pub layout: Layout,
    pub answer_only: bool,
    pub verbose: bool,
}

/// Files to write.
#[derive(Debug)]
pub struct Delivery {
    pub directory: PathBuf,
    pub captures: bool,
    pub packet_records: bool,
}

impl RunJob {
    /// Reads the scenario's file and looks at the terminal.
    pub fn new(typed: args::Run) -> Result<Self, Failure> {
        Ok(Self {
            question: question(&typed.question)?,
            replay: typed.replay,
            assumption_ends: typed.assumption_ends,
            breaks: typed.faults.map(Depth::from),
            fault_window: typed.fault_window,
            answer: AnswerJob::new(typed.answer, typed.loudness),
            progress: !typed.loudness.quiet && std::io::stderr().is_terminal(),
        })
    }
}

impl LiveJob {
    /// Reads the scenario's file and looks at the terminal.
    pub fn new(typed: args::Live) -> Result<Self, Failure> {
        Ok(Self {
            question: question(&typed.question)?,
            devices: typed.external,
            hosts: typed.tun,
            native_esp: typed.native_esp,
            duration: typed.duration,
            listening: Listening {
                addresses: typed.listen,
                ike_port: typed.ike_port,
                nat_port: typed.nat_port,
                peers: typed.peer,
            },
            journal: typed.journal,
            answer: AnswerJob::new(typed.answer, typed.loudness),
        })
    }
}

impl ExportJob {
    /// Reads the scenario's file.
    pub fn new(typed: args::Export) -> Result<Self, Failure> {
        let args::Export { listen: addresses, ike_port, nat_port, .. } = typed;
        Ok(Self {
            question: question(&typed.question)?,
            connection: typed.connection,
            tunnel: typed.tunnel,
            format: match typed.format {
                args::ExportFormat::AwsXml => Format::AwsXml,
                args::ExportFormat::Swanctl => Format::Swanctl,
                args::ExportFormat::Libreswan => Format::Libreswan,
                args::ExportFormat::Bird => Format::Bird,
                args::ExportFormat::Frr => Format::Frr,
            },
            listening: typed.live.then_some(Listening { addresses, ike_port, nat_port, peers: Vec::new() }),
            local: typed.local,
            policy_based: typed.policy_based,
            redact: typed.redact,
            out: typed.out,
        })
    }
}

impl AnswerJob {
    fn new(typed: args::Answer, args::Loudness { verbose, quiet }: args::Loudness) -> Self {
        Self {
            format: typed.format,
            delivery: typed.out.map(|directory| Delivery {
                directory,
                captures: typed.pcap,
                packet_records: typed.trace == Some(args::Trace::Packets),
            }),
            html: typed.html,
            layout: layout(),
            answer_only: quiet,
            verbose,
        }
    }
}

/// The question as the arguments ask it. `--seed` is a change like any other, made last.
pub fn question(typed: &args::Question) -> Result<Question, Failure> {
    let mut question = read(&typed.file)?;
    question.changes.clone_from(&typed.changes);
    question.changes.extend(typed.seed.map(|seed| format!("seed={seed}")));
    Ok(question)
}

/// The unchanged question in a file.
pub fn read(path: &Path) -> Result<Question, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
    let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
    Ok(Question { name: path.display().to_string(), directory, text, changes: Vec::new() })
}

/// The terminal's width within reason, and styles: anstream takes them out where nobody wants them.
pub fn layout() -> Layout {
    let width = terminal_size::terminal_size().map(|(width, _)| width.0.clamp(80, 120));
    Layout { width: width.unwrap_or(Layout::default().width), styled: true }
}
