//! What was typed, and nothing that follows from it.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use ipnet::Ipv4Net;
use sim_core::time::Duration;
use sim_scenarios::plan::Depth;

use crate::check::Check;
use crate::completions::Completions;
use crate::diff::Diff;
use crate::live::{Peer, RealHost};
use crate::man::ManPages;
use crate::new::New;
use crate::study;
use crate::suite::Test;
use crate::watch::Watch;
use crate::why::Why;

/// A deterministic flight simulator for AWS Site-to-Site VPN: real IKEv2, ESP, BGP and TCP over simulated links.
#[derive(Clone, Debug, Parser)]
#[command(name = "vpnsim", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  answered, and all expectations held
  1  answered, and an expectation failed
  2  the question was malformed or unreadable, or the answer could not be written
  3  the simulator found a bug in itself";

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run a scenario and report what happened
    Run(Run),
    /// Put a scenario opposite real gateways and programs, in real time
    Live(Live),
    /// Play a run on the terminal: pause, step, go back, look into devices
    Watch(Watch),
    /// Check scenarios without running them
    Check(Check),
    /// Say why an outage lasted so long: its critical path, the slack of each wait, and which change shortens it most
    Why(Why),
    /// Tell the whole story of one packet, one outage, one session or one route
    Explain(Explain),
    /// Run scenarios and hold them against their expectations, their controls and golden answers
    Test(Test),
    /// Say what changed between two scenarios, two settings or two revisions
    Diff(Diff),
    /// Find out what is wrong, as an operator would, and try what cures it
    Diagnose(Diagnose),
    /// Write the customer side of a VPN connection for a real device
    Export(Export),
    /// Ask a scenario many times, over grids of values, random draws and seeds
    Study(study::Args),
    /// Print the JSON Schema of the scenario language, the study language, the reports or the advice
    Schema(Schema),
    /// Write a scenario to start from
    New(New),
    /// Print what a shell needs to complete arguments
    Completions(Completions),
    /// Print or write man pages
    Man(ManPages),
}

/// Which scenario, and with what changes.
#[derive(Clone, Debug, ClapArgs)]
pub struct Question {
    /// The scenario (RON)
    pub file: PathBuf,
    /// Use this seed instead of the scenario's
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Change a value of the scenario, for example connections.vpn.tunnels.a.dpd_timeout=60s; may be repeated
    ///
    /// PATH leads from the outside in, with dots between its steps: settings, names of things, and the numbers of a
    /// list's items from 0. The kind of a thing is passed over (faults.cut.what.link). VALUE is written as in the file,
    /// and its quotes may be left out: 60s, [14, 19], Bgp().
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub changes: Vec<String>,
}

/// How much to say.
#[derive(Clone, Copy, Debug, Default, ClapArgs)]
pub struct Loudness {
    /// Say how long it took, too
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Print the answer only, and no progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `run`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Run {
    #[command(flatten)]
    pub question: Question,
    #[command(flatten)]
    pub answer: Answer,
    /// Let those who were real send what this journal of `vpnsim live` says, and nothing else
    ///
    /// The changes and the seed of that run are taken from the journal, unless --set or --seed are given.
    #[arg(long, value_name = "JOURNAL")]
    pub replay: Option<PathBuf>,
    /// Say what the answer would be with each of its assumptions at the ends of its range
    ///
    /// That is two more runs for each assumption that the report names, and one for each tunnel among which AWS chooses.
    #[arg(long, conflicts_with = "replay")]
    pub assumption_ends: bool,
    /// Instead of the scenario's own faults, break each component of its drawing in turn and say what that does
    ///
    /// Links, paths, devices, tunnel endpoints, availability zones and groups; the worst comes first, and single points of
    /// failure are named. Each is another run, on all cores of this machine. Expectations are not judged.
    #[arg(long, value_enum, value_name = "WHICH", conflicts_with_all = ["replay", "assumption_ends", "out", "html"])]
    pub faults: Option<Faults>,
    /// From when until when each is broken, for example 300s..600s; the middle third of the probes' time if not given
    #[arg(long, value_name = "FROM..UNTIL", requires = "faults", value_parser = window)]
    pub fault_window: Option<(Duration, Duration)>,
    #[command(flatten)]
    pub loudness: Loudness,
}

/// Which components fail at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Faults {
    /// Each alone
    EverySingle,
    /// Each alone, then each two
    EveryPair,
}

impl From<Faults> for Depth {
    fn from(faults: Faults) -> Self {
        match faults {
            Faults::EverySingle => Self::Single,
            Faults::EveryPair => Self::Pair,
        }
    }
}

/// Two moments, the first before the second.
fn window(text: &str) -> Result<(Duration, Duration), String> {
    let (from, until) = text.split_once("..").ok_or("expected two times like 300s..600s")?;
    let (from, until) = (sim_scenarios::leaf::duration(from)?, sim_scenarios::leaf::duration(until)?);
    if from < until { Ok((from, until)) } else { Err(format!("{until} is not after {from}")) }
}

/// What becomes of an answer.
#[derive(Clone, Debug, ClapArgs)]
pub struct Answer {
    /// Write report.html, report.json, report.md, timeline.svg, timeline.png and events.jsonl into this directory
    ///
    /// report.html is one page with all of it, to be opened in a browser, mailed or printed; it needs no network.
    ///
    /// Beside them is what AWS would show: the logs of each tunnel, metrics.jsonl (CloudWatch), and, if there is any,
    /// notifications.jsonl (SNS), health.jsonl, cloudtrail.jsonl, config.jsonl and flow logs (NAME.flow.log).
    ///
    /// They are written into a neighbour that takes the directory's place at the end, so that it is never half-written.
    /// An earlier answer of vpnsim is replaced; a directory with anything else in it is left alone.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the report as one page into this file, to be opened in a browser, mailed or printed
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Also write one pcapng for each link, and the keys that Wireshark needs to read them
    #[arg(long, requires = "out")]
    pub pcap: bool,
    /// Also write these records into events.jsonl
    #[arg(long, value_enum, value_name = "WHAT", requires = "out")]
    pub trace: Option<Trace>,
}

/// Arguments of `live`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = LIVE)]
pub struct Live {
    #[command(flatten)]
    pub question: Question,
    /// A gateway that is real: the customer's or AWS's; may be repeated
    ///
    /// Without it, those that the scenario marks `external: (...)`. If a customer gateway is real, its device calls and the
    /// simulated AWS answers. If a virtual private gateway is real, the simulated customer gateway calls whoever is at --peer.
    #[arg(long, value_name = "NAME")]
    pub external: Vec<String>,
    /// Use this address of this machine; may be repeated, one for each tunnel
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Vec<Ipv4Addr>,
    /// UDP port for IKE instead of 500
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub ike_port: Option<u16>,
    /// UDP port for IKE and ESP behind a NAT instead of 4500
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub nat_port: Option<u16>,
    /// The real device's address, if the simulated end shall speak first; may be repeated, one for each tunnel
    ///
    /// Its ports are 500 and 4500 if they are not given.
    #[arg(long, value_name = "ADDRESS[:PORT,PORT]")]
    pub peer: Vec<Peer>,
    /// ESP as a protocol of IP, by a raw socket, when no NAT is found; needs privileges
    ///
    /// Addresses are not translated then: this machine has the scenario's outside address of the simulated end, and the
    /// device that of the real one. Both need not be typed.
    #[arg(long)]
    pub native_esp: bool,
    /// A host or instance in whose place programs of this machine are, by a TUN device with its address; may be repeated
    ///
    /// What the kernel routes into the device enters the scenario on the host's link, and what arrives there goes to the
    /// kernel. Needs privileges.
    #[arg(long, value_name = "HOST[=DEVICE]")]
    pub tun: Vec<RealHost>,
    /// End after this time, if the scenario does not end before, for example 10min
    #[arg(long, value_name = "TIME", value_parser = sim_scenarios::leaf::duration)]
    pub duration: Option<Duration>,
    /// Write down what comes in, so that `vpnsim run --replay` can do it all again
    ///
    /// Who has the journal and the scenario can read the traffic.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    #[command(flatten)]
    pub answer: Answer,
    #[command(flatten)]
    pub loudness: Loudness,
}

const LIVE: &str = "\
SIGINT (Ctrl-C) or SIGTERM ends the run with a report of what has happened by then.";

/// Forms of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs: `vpnsim schema report` describes it
    Json,
}

/// Records that events.jsonl leaves out unless asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Trace {
    /// Every hop of every packet
    Packets,
}

/// Arguments of `explain`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Explain {
    #[command(flatten)]
    pub question: Question,
    /// Explain the live run that wrote this journal
    #[arg(long, value_name = "JOURNAL")]
    pub replay: Option<PathBuf>,
    #[command(subcommand)]
    pub subject: Subject,
}

/// What to explain.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Subject {
    /// Each step of a packet, from its creation to its delivery or drop
    Packet {
        /// Its number, as events.jsonl and drops print it
        #[arg(value_name = "ID")]
        id: u64,
    },
    /// The causes of an outage and of its end: what `vpnsim why` says
    Outage {
        /// Its number in the report, from 1
        #[arg(value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        number: u32,
    },
    /// Why a session is in its state: its transitions, expired timers and repetitions, each with what it follows from
    Session {
        /// As in expectations, like vpn.a.bgp, which is both ends of a tunnel's; or as reports have it, like "bgp vpn.a@cgw"
        #[arg(value_name = "NAME")]
        name: String,
        /// When; at the end if not given
        #[arg(long, value_name = "TIME", value_parser = sim_scenarios::leaf::duration)]
        at: Option<Duration>,
    },
    /// Why a device uses the route to a prefix that it uses: all candidates, the step that decided, and what changed it when
    Route {
        /// A device with a route table, as the scenario calls it; GATEWAY.TABLE of a transit gateway with several
        #[arg(value_name = "NODE")]
        node: String,
        /// The destination, like 10.1.0.0/16
        #[arg(value_name = "PREFIX")]
        prefix: Ipv4Net,
        /// When; at the end if not given
        #[arg(long, value_name = "TIME", value_parser = sim_scenarios::leaf::duration)]
        at: Option<Duration>,
    },
}

/// Arguments of `diagnose`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = DIAGNOSE)]
pub struct Diagnose {
    #[command(flatten)]
    pub question: Question,
    /// How to print the diagnosis
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

const DIAGNOSE: &str = "\
What an operator sees is looked at: the status of tunnels, AWS's tunnel and BGP logs, flow logs, route tables, the device's settings and \
counters, and which probes and applications of the scenario work. Each edit that is suggested was run, and the symptom was gone. Pre-shared \
keys are shown as asterisks. Exit code 0 if the scenario is healthy, 1 if not.";

/// Arguments of `export`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXPORT)]
pub struct Export {
    #[command(flatten)]
    pub question: Question,
    /// The VPN connection, as the scenario calls it
    pub connection: String,
    /// For which program
    #[arg(long = "as", value_enum, value_name = "FORMAT")]
    pub format: ExportFormat,
    /// This tunnel only
    #[arg(long, value_name = "NAME")]
    pub tunnel: Option<String>,
    /// Write into this file, which only its owner can read
    ///
    /// Libreswan's pre-shared keys go into a file beside it, with the extension `secrets`.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write *** for each pre-shared key
    #[arg(long)]
    pub redact: bool,
    /// The device's own address towards AWS; whichever its routes give, if not given
    #[arg(long, value_name = "ADDRESS")]
    pub local: Option<Ipv4Addr>,
    /// Make no interface of a tunnel: its traffic selectors alone say what enters it
    #[arg(long)]
    pub policy_based: bool,
    /// AWS's end is where `vpnsim live` listens, with the scenario's `external` or the options below
    #[arg(long)]
    pub live: bool,
    /// The --listen of that `vpnsim live`; may be repeated, one for each tunnel
    #[arg(long, value_name = "ADDRESS", requires = "live")]
    pub listen: Vec<Ipv4Addr>,
    /// The --ike-port of that `vpnsim live`
    #[arg(long, value_name = "PORT", requires = "live", value_parser = clap::value_parser!(u16).range(1..))]
    pub ike_port: Option<u16>,
    /// The --nat-port of that `vpnsim live`
    #[arg(long, value_name = "PORT", requires = "live", value_parser = clap::value_parser!(u16).range(1..))]
    pub nat_port: Option<u16>,
}

const EXPORT: &str = "\
The text holds the pre-shared keys, also those that the scenario takes from files or the environment, because a device is no \
use without them; --redact leaves them out. What the format has no word for is named on standard error and in the text.";

/// Formats of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// The XML that AWS gives to programs (CustomerGatewayConfiguration)
    AwsXml,
    /// strongSwan: swanctl.conf
    Swanctl,
    /// Libreswan: ipsec.conf and ipsec.secrets
    Libreswan,
    /// BIRD 2: BGP and static routes
    Bird,
    /// FRRouting: BGP and static routes
    Frr,
}

/// Arguments of `schema`.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct Schema {
    /// Of what
    #[arg(value_enum, default_value_t)]
    pub of: Document,
    /// As a reference for people, in Markdown
    #[arg(long)]
    pub markdown: bool,
}

/// Documents with a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// The scenario language
    #[default]
    Scenario,
    /// The study language
    Study,
    /// The JSON report
    Report,
    /// The JSON of `vpnsim why`
    Why,
    /// The JSON of `check --advise`
    Advice,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Args::command().debug_assert();
    }
}
