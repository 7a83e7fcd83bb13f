//! Why a question could not be answered, for a person.

use std::fmt::Display;
use std::io;
use std::path::Path;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};
use sim_scenarios::{Diagnostic as Mistake, Diagnostics};
use thiserror::Error;

/// Why there is no answer.
#[derive(Debug, Error, Diagnostic)]
pub enum Failure {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        path: String,
        error: String,
        #[help]
        help: Option<String>,
    },
    /// The scenario is wrong, in one place or several.
    #[error("there are {} mistakes", .0.iter().count())]
    Malformed(Diagnostics),
    /// The answer cannot be written there.
    #[error("cannot write to {path}: {reason}")]
    Undeliverable {
        path: String,
        reason: String,
        #[help]
        help: Option<String>,
    },
    /// There is no such packet or outage.
    #[error("{what}")]
    NothingToExplain {
        what: String,
        #[help]
        help: Option<String>,
    },
    /// There is no such connection or tunnel.
    #[error("{what}")]
    NothingToExport {
        what: String,
        #[help]
        help: Option<String>,
    },
    /// Live mode without a real device.
    #[error("no customer gateway of this scenario is external")]
    #[diagnostic(help("mark one: CustomerGateway(external: (), ...); or use `vpnsim run`"))]
    NothingExternal,
    /// More tunnels share an address than there are ports.
    #[error("there are not enough UDP ports for all tunnels on one address")]
    #[diagnostic(help("give --listen once for each tunnel"))]
    NoPortsLeft,
    /// A socket cannot be had.
    #[error("cannot open {what}: {reason}")]
    NoSocket {
        what: String,
        reason: String,
        #[help]
        help: Option<String>,
    },
    /// Nobody could end a live run.
    #[error("cannot listen for signals: {reason}")]
    NoSignals { reason: String },
    /// A journal that is no good, or not for this question.
    #[error("the journal {path} {problem}")]
    UnusableJournal {
        path: String,
        problem: String,
        #[help]
        help: Option<String>,
    },
    /// A replay that took another course.
    #[error("the replay has digest {found}, the live run had {expected}: vpnsim found a bug in itself")]
    #[diagnostic(help("please report it with the scenario and the journal"))]
    Diverged { expected: String, found: String },
}

/// One mistake in a scenario, in the shape that miette draws.
#[derive(Debug, Error)]
#[error("{}", mistake.message)]
pub struct Shown<'a> {
    mistake: &'a Mistake,
    text: NamedSource<String>,
}

impl<'a> From<&'a Mistake> for Shown<'a> {
    fn from(mistake: &'a Mistake) -> Self {
        let text = NamedSource::new(&mistake.file, mistake.text.to_string());
        Self { mistake, text }
    }
}

impl Diagnostic for Shown<'_> {
    fn help<'b>(&'b self) -> Option<Box<dyn Display + 'b>> {
        self.mistake.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = SourceSpan::from(self.mistake.span.clone());
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, span))))
    }
}

impl Failure {
    /// A file that cannot be read.
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        let help = match error.kind() {
            io::ErrorKind::NotFound => neighbour(path),
            io::ErrorKind::IsADirectory => Some("a scenario is a file, not a directory".into()),
            io::ErrorKind::InvalidData => Some("a scenario is UTF-8 text".into()),
            _ => None,
        };
        Self::Unreadable { path: path.display().to_string(), error: plain_reason(error), help }
    }

    /// A socket that cannot be had.
    pub fn no_socket(what: &str, error: &io::Error) -> Self {
        let help = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 need privileges: --ike-port and --nat-port choose others".into())
            }
            io::ErrorKind::AddrInUse => Some("another IKE daemon may run on this machine".into()),
            io::ErrorKind::AddrNotAvailable => Some("--listen wants an address of this machine".into()),
            _ => None,
        };
        Self::NoSocket { what: what.into(), reason: plain_reason(error), help }
    }

    /// A journal that is no good.
    pub fn unusable_journal(path: &Path, problem: String, help: Option<String>) -> Self {
        Self::UnusableJournal { path: path.display().to_string(), problem, help }
    }

    /// A place that cannot be written to.
    pub fn undeliverable(path: &Path, error: &io::Error) -> Self {
        Self::Undeliverable { path: path.display().to_string(), reason: plain_reason(error), help: None }
    }
}

/// The reason without the number that Rust puts behind it.
pub fn plain_reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_lowercase(),
        None => text,
    }
}

/// The file next to a missing one whose name is most like it.
fn neighbour(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_string_lossy().into_owned();
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty());
    let mut names: Vec<String> = std::fs::read_dir(directory.unwrap_or(Path::new(".")))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    let near = names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name), name))
        .min()
        .filter(|(distance, _)| *distance <= wanted.chars().count() / 3)?;
    let near = path.with_file_name(near.1);
    Some(format!("did you mean {}?", near.display()))
}
