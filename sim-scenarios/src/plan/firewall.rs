//! Stateful firewalls and applications.

use sim_core::id::NodeId;
use sim_core::net::conntrack::TrackConfig;
use sim_core::net::firewall::OnMiss;
pub use sim_core::node::host::FlowKind;
use sim_core::time::{Duration, Instant};
use sim_core::wire::dns::DnsName;

use super::Via;
use crate::firewall_profile::FirewallProfile;

/// A stateful firewall.
#[derive(Clone, Debug)]
pub struct Firewall {
    /// Its profile.
    pub profile: &'static FirewallProfile,
    /// What it is told of flows.
    pub track: TrackConfig,
    /// To what the state of a flow is bound.
    pub state_match: StateMatch,
    /// True if TCP that belongs to no flow goes on all the same.
    pub asymmetric: bool,
    /// What TCP that is dropped hears.
    pub on_miss: OnMiss,
    /// From where flows may begin.
    pub inside: Vec<Via>,
    /// Zones, by their members.
    pub zones: Vec<Vec<Via>>,
    /// Whom it tells of its flows, and how long that takes.
    pub sync: Option<(NodeId, Duration)>,
    /// What the profile set, where the scenario said nothing: the setting's name, its value and its source.
    pub left: Vec<(&'static str, String, &'static str)>,
}

/// To what the state of a flow is bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateMatch {
    /// To interfaces and tunnels.
    Interface,
    /// To zones of them.
    Zone,
    /// To nothing.
    Any,
}

impl StateMatch {
    /// All of them, by the words of the language.
    pub const WORDS: [(&'static str, Self); 3] =
        [("interface", Self::Interface), ("zone", Self::Zone), ("any", Self::Any)];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, it)| *it == self).map_or("", |(word, _)| word)
    }
}

/// An application.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its name, unique among applications.
    pub name: String,
    /// By what it goes.
    pub kind: FlowKind,
    /// Who begins.
    pub from: NodeId,
    /// With whom.
    pub to: NodeId,
    /// How many flows.
    pub flows: u32,
    /// From the beginning of one to that of the next.
    pub spacing: Duration,
    /// How often each asks; `None`: until `stop`.
    pub questions: Option<u32>,
    /// From one question to the next.
    pub every: Duration,
    /// Octets of a question, and of its answer.
    pub size: u32,
    /// When the first begins.
    pub start: Instant,
    /// No question at or after this moment.
    pub stop: Instant,
    /// How long a flow may have waited at the end.
    pub patience: Duration,
    /// The name that each flow looks up first.
    pub lookup: Option<DnsName>,
}

/// Share of what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EcmpShare {
    /// Flows that failed, of all.
    FailedFlows,
    /// Flows that came back by another way than they went, of all.
    AsymmetricFlows,
    /// Packets that were dropped, of all.
    Dropped,
}

impl EcmpShare {
    /// All of them, by the words of the language.
    pub const WORDS: [(&'static str, Self); 3] =
        [("failed_flows", Self::FailedFlows), ("asymmetric_flows", Self::AsymmetricFlows), ("dropped", Self::Dropped)];
}

/// What flows of an application may come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CameTo {
    /// Their connection was open once.
    Connected,
    /// They asked all that they wanted, were answered, and closed.
    Done,
    /// They were open at the end, and had not waited for long.
    Alive,
    /// They were open, or opening, at the end, and had waited for long.
    Stalled,
    /// They were reset.
    Reset,
    /// Their TCP gave up.
    TimedOut,
    /// They stalled, were reset, or gave up.
    Failed,
}

impl CameTo {
    /// All of them, by the words of the language.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("connected", Self::Connected),
        ("done", Self::Done),
        ("alive", Self::Alive),
        ("stalled", Self::Stalled),
        ("reset", Self::Reset),
        ("timed_out", Self::TimedOut),
        ("failed", Self::Failed),
    ];
}

impl CameTo {
    /// How many flows of an application came to this.
    pub fn of(self, entry: &crate::report::model::Application) -> u64 {
        match self {
            Self::Connected => entry.connected,
            Self::Done => entry.done,
            Self::Alive => entry.alive,
            Self::Stalled => entry.stalled,
            Self::Reset => entry.reset,
            Self::TimedOut => entry.timed_out,
            Self::Failed => entry.stalled + entry.reset + entry.timed_out,
        }
    }
}
