//! Why a question could not be answered, for a person.

use std::fmt::Display;
use std::io;
use std::net::Ipv4Addr;
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
    /// There is no such packet, outage or time.
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
    /// There is nothing to test, or no place for its answers.
    #[error("{what}")]
    CannotTest {
        what: String,
        #[help]
        help: Option<String>,
    },
    /// A golden answer that does not read.
    #[error("the golden answer {path} {problem}")]
    #[diagnostic(help("--update writes it anew"))]
    UnusableGolden { path: String, problem: String },
    /// There is nothing to compare with, or git does not have it.
    #[error("{what}")]
    CannotDiff {
        what: String,
        #[help]
        help: Option<String>,
    },
    /// Choices that do not go together, or were not made.
    #[error("{what}")]
    Refused {
        what: String,
        #[help]
        help: Option<String>,
    },
    /// Live mode without anybody real.
    #[error("nobody in this scenario is real")]
    NothingExternal {
        #[help]
        help: String,
    },
    /// An export for live mode of a gateway that is not marked.
    #[error("no customer gateway of this scenario is external")]
    #[diagnostic(help("mark one: CustomerGateway(external: (), ...); or leave --live out"))]
    NotMarked,
    /// Somebody real whom the scenario does not have.
    #[error("`{name}` is no {what} of this scenario")]
    Nobody {
        name: String,
        what: String,
        #[help]
        help: Option<String>,
    },
    /// Both gateways of a connection are real.
    #[error("both ends of `{connection}` are real: there is no tunnel to simulate")]
    #[diagnostic(help("--external names one of them"))]
    NothingBetween { connection: String },
    /// Sockets here are of IPv4.
    #[error("the outside of `{connection}` is IPv6: a real device is reached by IPv4 only")]
    #[diagnostic(help("give its tunnels outside addresses of IPv4"))]
    OutsideIpv6 { connection: String },
    /// A simulated customer gateway that does not know whom to call.
    #[error("{tunnel} has nobody to call")]
    #[diagnostic(help("--peer ADDRESS says where the real end of the tunnel is"))]
    NoPeer { tunnel: String },
    /// ESP without UDP cannot cross a NAT, also not this program's own.
    #[error("with --native-esp addresses are not translated: {tunnel} has {here} in the scenario, not {real}")]
    #[diagnostic(help(
        "give this machine or the device the scenario's address, or change it by --set, or leave --native-esp out"
    ))]
    Translated { tunnel: String, here: Ipv4Addr, real: Ipv4Addr },
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
    /// A study that cannot go on here, or parts that are no study.
    #[error("{what}")]
    Study {
        what: String,
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
                Some("ports below 1024 need root or CAP_NET_BIND_SERVICE: sudo, or others, like --ike-port 10500 --nat-port 14500".into())
            }
            io::ErrorKind::AddrInUse => Some(
                "another program has it, perhaps an IKE daemon; `ss -nlup` names it. Stop that, or choose others: --listen \
                 ADDRESS, --ike-port PORT, --nat-port PORT"
                    .into(),
            ),
            io::ErrorKind::AddrNotAvailable => Some(
                "--listen wants an address of this machine: `ip address` lists them, `sudo ip address add ADDRESS dev \
                 INTERFACE` adds one"
                    .into(),
            ),
            _ => None,
        };
        Self::NoSocket { what: what.into(), reason: plain_reason(error), help }
    }

    /// A raw socket that cannot be had.
    pub fn no_raw_socket(address: Ipv4Addr, error: &io::Error) -> Self {
        let help = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Some("a raw socket needs root or CAP_NET_RAW: sudo, or leave --native-esp out, and ESP travels in UDP")
            }
            io::ErrorKind::AddrNotAvailable => {
                Some("--native-esp wants the scenario's address on this machine: ip address add")
            }
            _ => None,
        };
        let what = format!("a raw socket for ESP at {address}");
        Self::NoSocket { what, reason: plain_reason(error), help: help.map(Into::into) }
    }

    /// A TUN device that cannot be had.
    pub fn no_tun(name: Option<&str>, error: &io::Error) -> Self {
        let help = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Some("a TUN device needs root, or CAP_NET_ADMIN and access to /dev/net/tun: sudo")
            }
            io::ErrorKind::NotFound => {
                Some("this machine has no /dev/net/tun: `sudo modprobe tun`; a container must be given the device")
            }
            io::ErrorKind::ResourceBusy => {
                Some("another program has that device: --tun HOST=NAME chooses another name")
            }
            _ => None,
        };
        let what = name.map_or("a TUN device".to_owned(), |name| format!("the TUN device {name}"));
        Self::NoSocket { what, reason: plain_reason(error), help: help.map(Into::into) }
    }

    /// Somebody real whom the scenario does not have.
    pub fn nobody(name: &str, what: &str, near: Option<&str>) -> Self {
        Self::Nobody { name: name.into(), what: what.into(), help: near.map(|near| format!("did you mean `{near}`?")) }
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
    let near = path.with_file_name(nearest(&wanted, names.iter().map(String::as_str))?);
    Some(format!("did you mean {}?", near.display()))
}

/// The name that is most like this one, if one is.
pub fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let near = names.map(|name| (strsim::damerau_levenshtein(wanted, name), name)).min()?;
    (near.0 <= wanted.chars().count() / 3).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without privileges each way into the machine names what it needs, and a way around it if there is one.
    #[test]
    fn who_lacks_privileges_is_told_what_to_do() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        for (failure, says) in [
            (Failure::no_socket("UDP 127.0.0.1:500", &denied), ["root or CAP_NET_BIND_SERVICE", "--ike-port 10500"]),
            (Failure::no_raw_socket(Ipv4Addr::LOCALHOST, &denied), ["root or CAP_NET_RAW", "leave --native-esp out"]),
            (Failure::no_tun(None, &denied), ["root, or CAP_NET_ADMIN", "sudo"]),
        ] {
            let help = failure.help().map(|help| help.to_string()).unwrap_or_default();
            assert!(says.iter().all(|word| help.contains(word)), "{failure}: {help}");
        }
    }
}
