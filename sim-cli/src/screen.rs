//! Standard output and standard error. A reader who leaves early is no error: nothing that he will not read is missed.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use crate::bug::Bug;
use crate::failure::{Failure, Shown};

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

/// Prints why there is no answer, each mistake of a scenario for itself: framed on a terminal, plain in a pipe or file.
pub fn complain(failure: &Failure) {
    let mut out = anstream::stderr().lock();
    let on_terminal = io::stderr().is_terminal();
    let _ = match failure {
        Failure::Malformed(mistakes) if on_terminal => {
            mistakes.iter().try_for_each(|mistake| writeln!(out, "{}", framed(&Shown::from(mistake))))
        }
        Failure::Malformed(_) => write!(out, "{}", plainly(failure)),
        _ if on_terminal => writeln!(out, "{}", framed(failure)),
        _ => write!(out, "{}", plainly(failure)),
    };
    if let Failure::Malformed(mistakes) = failure
        && mistakes.iter().count() > 1
    {
        let _ = writeln!(out, "\nerror: {failure}");
    }
}

/// Why there is no answer, without frames and colours.
pub fn plainly(failure: &Failure) -> String {
    match (failure, failure.help()) {
        (Failure::Malformed(mistakes), _) => mistakes.to_string(),
        (_, Some(help)) => format!("error: {failure}\n = help: {help}\n"),
        (_, None) => format!("error: {failure}\n"),
    }
}

/// Says that the simulator is wrong, and asks for what is needed to find out why.
pub fn confess(bug: &Bug) {
    let command: Vec<String> = std::env::args().map(without_key).collect();
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

/// An argument, with a key that it sets blotted out.
fn without_key(argument: String) -> String {
    let setting = ["pre_shared_key=", "md5_key="].into_iter().find(|setting| argument.contains(setting));
    match setting.and_then(|setting| Some((argument.split_once(setting)?.0, setting))) {
        Some((before, setting)) => format!("{before}{setting}***"),
        None => argument,
    }
}

fn framed(diagnostic: &dyn Diagnostic) -> String {
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode()).with_width(width).with_links(false);
    let mut text = String::new();
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => text,
        Err(_) => diagnostic.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_report_holds_no_key() {
        let argument = "connections.vpn.tunnels.a.pre_shared_key=correct.horse";
        assert_eq!(without_key(argument.into()), "connections.vpn.tunnels.a.pre_shared_key=***");
        assert_eq!(without_key("nodes.a.neighbors.b.md5_key=correct.horse".into()), "nodes.a.neighbors.b.md5_key=***");
        assert_eq!(without_key("--pcap".into()), "--pcap");
    }
}
