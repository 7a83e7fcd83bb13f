//! From symptoms to a row of the troubleshooting table. Nothing here knows the scenario: only what was seen.

use serde::Serialize;

use super::observe::{PairSeen, Parameter, Seen, StreamSeen, TunnelSeen};
use crate::plan::TunnelId;
use crate::report::model::Seconds;
use crate::report::tunnel_log::{
    Line, NO_PROPOSAL, NO_PROPOSAL_NOTIFY, PHASE2_FAILED, PSK_MISMATCH, PSK_UNDECIPHERABLE,
};

/// A path may lose this share of packets, and a few of few, without that being a symptom.
const NOISE: f64 = 0.02;
const FEW: u64 = 4;

/// Packets of so many octets and less fit every tunnel (the smallest MTU of the Site-to-Site VPN guide's table is 1,390).
const SMALL: u32 = 1_300;

/// Rows of the troubleshooting table, and what else shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Tunnel down: pre-shared key.
    Psk,
    /// Tunnel down: IKE parameters.
    IkeParameters,
    /// Tunnel down: PFS.
    Pfs,
    /// No route: missing static or BGP prefix, or propagation.
    NoRoute,
    /// Only one tunnel configured.
    OneTunnel,
    /// Slow: MTU.
    Mtu,
    /// Slow: fragments are lost.
    Fragmentation,
    /// Slow: more than a tunnel carries.
    Limit,
    /// BGP not established: ASN.
    BgpAsn,
    /// BGP not established: port 179.
    BgpPort,
    /// BGP not established: TCP MD5.
    BgpMd5,
    /// Both tunnels up and some flows lost: answers by the other tunnel meet a firewall without their state.
    AsymmetricEcmp,
    /// A security group or network ACL rejects. Beyond the table.
    Rejected,
    /// Nothing comes back on a path. Beyond the table.
    Path,
    /// Something is lost, and nothing that is seen says why.
    Unexplained,
}

impl Class {
    /// Rows of the table.
    pub const TABLE: [Self; 12] = [
        Self::Psk,
        Self::IkeParameters,
        Self::Pfs,
        Self::NoRoute,
        Self::OneTunnel,
        Self::Mtu,
        Self::Fragmentation,
        Self::Limit,
        Self::BgpAsn,
        Self::BgpPort,
        Self::BgpMd5,
        Self::AsymmetricEcmp,
    ];

    /// Its name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Psk => "psk",
            Self::IkeParameters => "ike_parameters",
            Self::Pfs => "pfs",
            Self::NoRoute => "no_route",
            Self::OneTunnel => "one_tunnel",
            Self::Mtu => "mtu",
            Self::Fragmentation => "fragmentation",
            Self::Limit => "limit",
            Self::BgpAsn => "bgp_asn",
            Self::BgpPort => "bgp_port",
            Self::BgpMd5 => "bgp_md5",
            Self::AsymmetricEcmp => "asymmetric_ecmp",
            Self::Rejected => "rejected",
            Self::Path => "path",
            Self::Unexplained => "unexplained",
        }
    }
}

/// Whose table lacks a way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// The customer gateway's, to the VPC.
    Device,
    /// The gateway's of AWS, to the site.
    Gateway,
    /// The VPC's, to the site.
    Vpc,
}

/// What a finding is about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A tunnel, and the phase of IKE, 1 or 2, where one is meant.
    Tunnel(TunnelId, usize),
    /// A missing way of a pair.
    Way(Box<PairSeen>, Missing),
    /// A stream of probes.
    Stream(Box<StreamSeen>),
    /// All that goes through a device.
    Traffic(String),
}

/// A symptom that has been understood as far as it can be.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which row.
    pub class: Class,
    /// Of what.
    pub subject: Subject,
    /// That in a word.
    pub name: String,
    /// It in a sentence.
    pub text: String,
    /// What shows it.
    pub evidence: Vec<String>,
}

impl Finding {
    /// True if it is the same symptom, perhaps of another run.
    pub fn is_same(&self, other: &Self) -> bool {
        let missing = |finding: &Self| match &finding.subject {
            Subject::Way(_, missing) => Some(*missing),
            _ => None,
        };
        self.class == other.class && self.name == other.name && missing(self) == missing(other)
    }
}

/// All findings: tunnels first, then ways, then traffic.
pub fn classify(seen: &Seen) -> Vec<Finding> {
    let mut all: Vec<Finding> = seen.tunnels.iter().filter_map(of_tunnel).collect();
    if !seen.tunnels.iter().any(|tunnel| tunnel.up) {
        return all;
    }
    all.extend(seen.pairs.iter().filter_map(|pair| of_way(seen, pair)));
    if all.is_empty() {
        all.extend(rejected(seen));
    }
    // What is lost for want of a way, or because a tunnel is being set up in vain, is no symptom of its own.
    if all.iter().all(|finding| finding.class == Class::OneTunnel) {
        all.extend(of_traffic(seen));
    }
    all
}

fn of_tunnel(tunnel: &TunnelSeen) -> Option<Finding> {
    let say = |class: Class, phase: usize, text: String, mut evidence: Vec<String>| {
        evidence.push(format!("console: {} is {}", tunnel.name, if tunnel.up { "UP" } else { "DOWN" }));
        let subject = Subject::Tunnel(tunnel.id, phase);
        Some(Finding { class, subject, name: tunnel.name.clone(), text, evidence })
    };
    if let Some((phase, line)) = refusal(tunnel)
        && let (class, parameters) = parameters(tunnel, phase)
        && (!tunnel.up || was_up_before(line))
    {
        let what = parameters.iter().map(|it| it.setting()).collect::<Vec<_>>().join(", ");
        let text = match class {
            Class::Pfs => format!("{}: the ends have no group for perfect forward secrecy in common", tunnel.name),
            _ if what.is_empty() => format!("{}: the ends do not agree on a proposal of phase {phase}", tunnel.name),
            _ => format!("{}: the ends do not agree on a proposal of phase {phase} ({what})", tunnel.name),
        };
        let config = (!what.is_empty())
            .then(|| format!("device and VPN connection have nothing in common in phase {phase}: {what}"));
        return say(class, phase, text, [logged(line)].into_iter().chain(config).collect());
    }
    if tunnel.up {
        return None;
    }
    let key = tunnel
        .ike
        .iter()
        .find(|line| line.details.starts_with(PSK_MISMATCH) || line.details.starts_with(PSK_UNDECIPHERABLE));
    if let Some(line) = key.filter(|_| !tunnel.has_sa) {
        let text = format!("{}: the ends have different pre-shared keys", tunnel.name);
        return say(Class::Psk, 1, text, vec![logged(line)]);
    }
    if tunnel.dynamic && tunnel.has_sa {
        return of_session(tunnel, say);
    }
    if tunnel.ike.is_empty() && !tunnel.calls {
        let text =
            format!("{}: the device has never called it, as if only the other tunnel had been configured", tunnel.name);
        let evidence = vec!["AWS's tunnel log is empty".into(), "the device's log has no IKE for it".into()];
        return say(Class::OneTunnel, 1, text, evidence);
    }
    let text = format!("{}: IKE gets no answer, so the path is dead or filtered on the way", tunnel.name);
    say(Class::Path, 1, text, vec!["the device calls".into()])
}

/// The tunnel carries packets and BGP does not come up.
fn of_session(
    tunnel: &TunnelSeen,
    say: impl Fn(Class, usize, String, Vec<String>) -> Option<Finding>,
) -> Option<Finding> {
    let ipsec = "the device has a CHILD_SA: IPsec is up".to_owned();
    if let Some((at, line)) = tunnel.bgp.iter().find(|(_, line)| line.contains("remote AS is")) {
        let text = format!("{}: the device says another ASN than AWS has registered", tunnel.name);
        return say(Class::BgpAsn, 1, text, vec![format!("AWS's BGP log, {}: {line}", Seconds::from(*at)), ipsec]);
    }
    if tunnel.md5_drops > 0 && tunnel.md5_drift {
        let text = format!("{}: the keys of TCP MD5 differ, and such segments are dropped without a word", tunnel.name);
        let counter = format!("the device's TCP has dropped {} segments because of MD5", tunnel.md5_drops);
        return say(Class::BgpMd5, 1, text, vec![counter, ipsec]);
    }
    if tunnel.access_list_drops > 0 && tunnel.has_access_list {
        let text = format!("{}: an access list of the device drops TCP port 179", tunnel.name);
        let counter = format!("the device's access lists have dropped {} packets", tunnel.access_list_drops);
        return say(Class::BgpPort, 1, text, vec![counter, ipsec]);
    }
    let text = format!("{}: BGP does not come up, and nothing that is seen says why", tunnel.name);
    say(Class::Unexplained, 1, text, vec![ipsec])
}

/// The first line that refuses a proposal, and the phase that it is about.
fn refusal(tunnel: &TunnelSeen) -> Option<(usize, &Line)> {
    let refuses = |line: &&Line| {
        line.details == NO_PROPOSAL || line.details == NO_PROPOSAL_NOTIFY || line.details == PHASE2_FAILED
    };
    let line = tunnel.ike.iter().find(refuses)?;
    let keeps = tunnel.ike.iter().any(|other| other.at == line.at && other.details == PHASE2_FAILED);
    let established = line.ike_phase1_state == "established" || line.ike_phase1_state == "rekeying";
    Some((if keeps || established { 2 } else { 1 }, line))
}

/// A rekey was refused of what had been up.
fn was_up_before(line: &Line) -> bool {
    ["established", "rekeying"].contains(&line.ike_phase2_state)
}

fn parameters(tunnel: &TunnelSeen, phase: usize) -> (Class, Vec<Parameter>) {
    let drift = tunnel.drift[phase - 1].clone();
    let class = if phase == 2 && drift == [Parameter::DhGroups] { Class::Pfs } else { Class::IkeParameters };
    (class, drift)
}

fn logged(line: &Line) -> String {
    format!("AWS's tunnel log, {}: {}", Seconds::from(line.at), line.details)
}

fn of_way(seen: &Seen, pair: &PairSeen) -> Option<Finding> {
    let up = |tunnel: &&TunnelSeen| pair.connections.contains(&tunnel.id.connection) && tunnel.up;
    seen.tunnels.iter().find(up)?;
    let (host, instance) = &pair.names;
    let (missing, text) = match pair.ways {
        super::observe::Ways { gateway: false, .. } => {
            (Missing::Gateway, format!("AWS's gateway has no route to {}, where {host} is", pair.site))
        }
        super::observe::Ways { vpc: false, .. } => {
            (Missing::Vpc, format!("the VPC's route table has no route to {}, where {host} is", pair.site))
        }
        super::observe::Ways { device: false, .. } => {
            (Missing::Device, format!("the customer gateway has no route to {instance}"))
        }
        super::observe::Ways { .. } => return None,
    };
    let table = match missing {
        Missing::Device => "show ip route of the customer gateway",
        Missing::Gateway => "routes of AWS's gateway",
        Missing::Vpc => "route table of the VPC",
    };
    let mut evidence = vec![format!("{table}: no route"), "a tunnel is UP".into()];
    if seen.unanswered > 0 {
        evidence.push(format!("flow logs: {} accepted flows without a record the other way", seen.unanswered));
    }
    let name = format!("{host} - {instance}");
    Some(Finding {
        class: Class::NoRoute,
        subject: Subject::Way(Box::new(pair.clone()), missing),
        name,
        text,
        evidence,
    })
}

fn rejected(seen: &Seen) -> Option<Finding> {
    let (record, count) = seen.rejected.as_ref()?;
    Some(Finding {
        class: Class::Rejected,
        subject: Subject::Traffic(String::new()),
        name: "flow logs".into(),
        text: "a security group or network ACL rejects traffic".into(),
        evidence: vec![format!("flow logs: {count} records with REJECT, the first: {record}")],
    })
}

fn of_traffic(seen: &Seen) -> Vec<Finding> {
    if let Some(finding) = asymmetric(seen) {
        return vec![finding];
    }
    let lossy: Vec<&StreamSeen> =
        seen.streams.iter().filter(|it| it.loss() > NOISE && (it.lost >= FEW || it.lost == it.sent)).collect();
    if let Some(stream) = lossy.iter().find(|it| it.exceeds.is_some()) {
        return vec![limit(stream)];
    }
    if let Some(finding) = by_size(seen, &lossy) {
        return vec![finding];
    }
    lossy.into_iter().map(other_loss).collect()
}

/// A loss that is none of the table's: a time of darkness that is over, which is a failure and no setting; or what is seen says nothing.
fn other_loss(stream: &StreamSeen) -> Finding {
    let evidence =
        vec![format!("{:.1} % of {} packets of {} are lost", 100.0 * stream.loss(), stream.sent, stream.name)];
    let (class, text) = match stream.was_dark {
        Some((since, lasted)) => (
            Class::Path,
            format!("{} was dark from {since} on for {lasted}, and works again: something failed", stream.name),
        ),
        None => (Class::Unexplained, format!("{} loses packets, and nothing that is seen says why", stream.name)),
    };
    Finding { class, subject: Subject::Stream(Box::new(stream.clone())), name: stream.name.clone(), text, evidence }
}

/// Both tunnels are up, some flows work and others never do, and the firewall has seen answers come by another tunnel than they should.
fn asymmetric(seen: &Seen) -> Option<Finding> {
    let devices: Vec<&str> = seen.firewalls.iter().map(|it| it.group.as_str()).collect();
    let device = (*devices.first()?).to_owned();
    let of: Vec<_> = seen.firewalls.iter().filter(|it| it.group == device).collect();
    let sum = |what: fn(&crate::report::model::Ecmp) -> u64| of.iter().map(|it| what(it)).sum::<u64>();
    let (flows, failed, asymmetric) = (sum(|it| it.flows), sum(|it| it.failed_flows), sum(|it| it.asymmetric_flows));
    let two = seen.tunnels.iter().filter(|tunnel| tunnel.up).count() >= 2;
    if !two || failed == 0 || asymmetric == 0 || flows == 0 {
        return None;
    }
    let mut evidence = vec![format!(
        "the firewall of {device}: {failed} of {flows} flows failed, {asymmetric} had answers by another tunnel"
    )];
    for tunnel in seen.tunnels.iter().filter(|tunnel| tunnel.up) {
        let (into, out) = (tunnel.traffic.received.octets, tunnel.traffic.sent.octets);
        evidence.push(format!("{}: TunnelDataIn {into}, TunnelDataOut {out}", tunnel.name));
    }
    let failing = seen.applications.iter().filter(|it| it.failed > 0 && it.failed < it.flows);
    evidence
        .extend(failing.map(|it| format!("{}: {} of {} flows fail, the others work", it.name, it.failed, it.flows)));
    let text =
        format!("answers come by the other tunnel, and the firewall of {device} drops what it has no state of there");
    let subject = Subject::Traffic(device.clone());
    Some(Finding { class: Class::AsymmetricEcmp, subject, name: device, text, evidence })
}

fn limit(stream: &StreamSeen) -> Finding {
    let (rate, unit) = match stream.exceeds {
        Some("bits a second") => (stream.bits_per_second / 1e9, "Gbit/s"),
        _ => (stream.packets_per_second, "packets a second"),
    };
    let text = format!("{} sends more than AWS carries through a tunnel", stream.name);
    let evidence = vec![format!("{} sends {rate:.2} {unit} and loses {:.1} %", stream.name, 100.0 * stream.loss())];
    let subject = Subject::Stream(Box::new(stream.clone()));
    Finding { class: Class::Limit, subject, name: stream.name.clone(), text, evidence }
}

/// What is small passes, and what is large does not.
fn by_size(seen: &Seen, lossy: &[&StreamSeen]) -> Option<Finding> {
    let heavy: Vec<&StreamSeen> = lossy.iter().copied().filter(|it| it.size > SMALL && it.loss() > 0.5).collect();
    let pair = |it: &StreamSeen| {
        let mut ends = it.between;
        ends.sort();
        ends
    };
    let large = *heavy.first()?;
    let passes = |it: &&StreamSeen| it.size < large.size && it.sent > 0 && it.loss() <= 0.1 && pair(it) == pair(large);
    let small = seen.streams.iter().find(passes)?;
    // What may be cut arrives in pieces, unless the pieces die.
    let cut = heavy.iter().find(|it| it.may_be_cut);
    let (class, shown, text) = match cut {
        Some(stream) => (
            Class::Fragmentation,
            *stream,
            "large packets are cut after they were encrypted, and their fragments do not arrive".to_owned(),
        ),
        None => (
            Class::Mtu,
            large,
            "packets that may not be cut and do not fit the tunnel vanish, and TCP's segments are such".to_owned(),
        ),
    };
    let evidence = vec![
        format!("{} with {} octets loses {:.1} %", shown.name, shown.size, 100.0 * shown.loss()),
        format!("{} with {} octets loses {:.1} %", small.name, small.size, 100.0 * small.loss()),
    ];
    let subject = Subject::Stream(Box::new(shown.clone()));
    Some(Finding { class, subject, name: shown.name.clone(), text, evidence })
}
