//! Standard output and standard error. A reader who leaves early is no error: nothing that he will not read is missed.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use crate::bug::Bug;
use crate::failure::Failure;

/// Prints an answer. Colours go only to a terminal that wants them.
pub fn answer(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::undeliverable(Path::new("standard output"), &error))
        }
        _ => Ok(()),
    }
}

/// A remark about the work, for whoever watches.
pub fn remark(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Prints why there is no answer: each mistake of a scenario for itself.
pub fn complain(failure: &Failure) {
    let mut out = anstream::stderr().lock();
    if let Failure::Malformed { problems } = failure {
        for problem in problems {
            let report = problem.clone().into_report();
            let _ = writeln!(out, "{}", drawn(report.as_ref()));
        }
    }
    let _ = writeln!(out, "{}", drawn(failure));
}

/// Says that the simulator is wrong, and asks for what is needed to find out why.
pub fn confess(bug: &Bug) {
    let command: Vec<String> = std::env::args().collect();
    let mut out = anstream::stderr().lock();
    let _ = writeln!(
        out,
        "vpnsim found a bug in itself: {bug}\n\
         The same question will show it again. Please report it with the scenario and these lines:\n\
         \x20 command: {}\n\
         \x20 version: {}",
        command.join(" "),
        env!("CARGO_PKG_VERSION"),
    );
    if let Some(trace) = bug.backtrace() {
        let _ = writeln!(out, "{trace}");
    } else {
        let _ = writeln!(out, "RUST_BACKTRACE=1 adds where it happened.");
    }
}

/// A picture with frames and colours on a terminal, plain ASCII in a pipe or file.
fn drawn(diagnostic: &dyn Diagnostic) -> String {
    let (theme, width) = match io::stderr().is_terminal() {
        true => (GraphicalTheme::unicode(), None),
        false => (GraphicalTheme::none(), Some(100)),
    };
    let width = width.unwrap_or_else(|| {
        terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0))
    });
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .with_links(false);
    let mut text = String::new();
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => text,
        Err(_) => diagnostic.to_string(),
    }
}
