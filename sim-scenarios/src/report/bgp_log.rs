//! The BGP log that AWS would publish for each tunnel of a connection with dynamic routing: what AWS's end of the session says, in
//! AWS's words.
//!
//! Source: the Site-to-Site VPN User Guide, "Site-to-Site VPN logs" (page monitoring-logs.html, as it stands since 2025-11-20): the two
//! types of records with their fields, `BGPStatus` (`details`) and `RouteStatus` (`prefix`, `asPath`, `localPref`, `med`, `nextHopIp`,
//! `weight`, and `details` only of an error), and how the details of a session begin. AWS names a stream
//! `VPN-ID_OUTSIDE-ADDRESS-BGP.log`; a scenario has no VPN id, so the connection's name stands there and in `resource_id`.
//!
//! A line is written from the kept records of AWS's end alone.
//!
//! What AWS does not state, and how it is read here: a session is `UP` while it is Established, and a line that tells of a change has the
//! status after it; a route that is denied has the status that it would have had; `med` is 100 where the peer sends none, and
//! `localPref` 100 and `weight` 32768 always, as in AWS's sample; what stands between the code of a NOTIFICATION and its name is ours,
//! and so is the whole sentence where AWS documents its beginning only; the text form has the values of the JSON form in the same order,
//! separated by spaces.
//!
//! Left out: NOTIFICATIONs that AWS documents no line for (codes 1, 3 and 5, and Cease without one of the subcodes 1 to 7); the
//! limit itself in the two lines about it, which is not in the records.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net};
use serde::Serialize;
use sim_core::id::SessionId;
use sim_core::node::Node;
use sim_core::reason::{State, Step};
use sim_core::time::{Duration, Instant};
use sim_core::trace::{Attributes, Open, Prefixes, Record, What};

use super::log::{self, Log};
use super::tunnel_log::stamp;
use crate::build::Built;
use crate::plan::{Plan, TunnelId};

/// End of the name of a log stream of BGP.
pub const BGP_STREAM: &str = "-BGP.log";

/// The AS_PATH of a route contains AWS's own AS.
pub const OWN_AS: &str = "DENIED due to: as-path contains our own AS";
/// The NEXT_HOP of a route is not on the tunnel.
pub const NON_CONNECTED: &str = "DENIED due to: non-connected next-hop";

/// MED of a route without one, in AWS's sample and on a transit gateway.
const MED: u32 = 100;
/// LOCAL_PREF of every route, in AWS's sample.
const LOCAL_PREF: u32 = 100;
/// Weight of every route, in AWS's sample.
const WEIGHT: u32 = 32_768;

/// The log of one session.
pub type BgpLog = Log<Line>;

/// A line, with AWS's field names in AWS's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When.
    #[serde(skip)]
    pub at: Instant,
    /// Whether it tells of trouble, for people who read the report.
    #[serde(skip)]
    pub trouble: bool,
    /// The connection and AWS's outside address.
    pub resource_id: String,
    /// Milliseconds since the epoch.
    pub event_timestamp: u64,
    /// The same for people.
    pub timestamp: String,
    /// `BGPStatus` or `RouteStatus`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `UP` or `DOWN` of a session, `ADVERTISED`, `UPDATED` or `WITHDRAWN` of a route.
    pub status: &'static str,
    /// What happened.
    pub message: Message,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Message {
    /// Of the session.
    Session {
        /// In AWS's words.
        details: String,
    },
    /// Of a route.
    #[serde(rename_all = "camelCase")]
    Route {
        /// The destination.
        prefix: String,
        /// AS_PATH.
        as_path: String,
        /// LOCAL_PREF.
        local_pref: u32,
        /// MULTI_EXIT_DISC.
        med: u32,
        /// NEXT_HOP.
        next_hop_ip: Ipv4Addr,
        /// Weight.
        weight: u32,
        /// Why it is not used, if it is not.
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<&'static str>,
    },
}

impl Message {
    /// What the line's `details` say; nothing of a route that is used.
    pub fn details(&self) -> &str {
        match self {
            Self::Session { details } => details,
            Self::Route { details, .. } => details.unwrap_or_default(),
        }
    }
}

impl log::Line for Line {
    fn plain(&self) -> String {
        let Self { resource_id, event_timestamp, timestamp, kind, status, message, .. } = self;
        format!("{resource_id} {event_timestamp} {timestamp} {kind} {status} {}", values(message))
    }
}

fn values(message: &Message) -> String {
    match message {
        Message::Session { details } => details.clone(),
        Message::Route { prefix, as_path, local_pref, med, next_hop_ip, weight, details } => {
            let denied = details.map_or_else(String::new, |details| format!(" {details}"));
            format!("{prefix} {as_path} {local_pref} {med} {next_hop_ip} {weight}{denied}")
        }
    }
}

/// The logs of all sessions whose AWS end is simulated, by connection and tunnel.
pub fn bgp_logs(plan: &Plan, built: &Built) -> Vec<BgpLog> {
    let mut scribes: BTreeMap<SessionId, Scribe> = BTreeMap::new();
    for (connection, planned) in plan.connections.iter().enumerate() {
        for (tunnel, planned_tunnel) in planned.tunnels.iter().enumerate() {
            let id = TunnelId { connection, tunnel };
            let (Some([session, _]), Some((aws, _))) = (built.tunnel(id).bgp, &planned_tunnel.bgp) else {
                continue;
            };
            if matches!(built.world.node(planned_tunnel.endpoint), Node::External(_)) {
                continue;
            }
            let resource_id = format!("{}_{}", planned.name, planned_tunnel.aws_outside);
            let log = BgpLog {
                id,
                tunnel: planned_tunnel.name.clone(),
                stream: format!("{resource_id}{BGP_STREAM}"),
                format: planned_tunnel.bgp_log_output_format,
                lines: Vec::new(),
            };
            let scribe = Scribe {
                log,
                resource_id,
                neighbour: match &planned_tunnel.inside_ipv6 {
                    Some(inside) => inside.customer.into(),
                    None => planned_tunnel.customer_inside.into(),
                },
                subnet: planned_tunnel.inside.trunc(),
                own_as: aws.asn,
                expected_as: planned_tunnel.customer_asn,
                most: aws.max_prefixes.map_or(0, |limit| limit.most),
                began: plan.begins,
                state: State::Idle,
                said_as: None,
                known: BTreeMap::new(),
                counted: 0,
            };
            scribes.insert(session, scribe);
        }
    }
    for (_, record) in built.world.trace.records() {
        if let Some(scribe) = record.what.session().and_then(|session| scribes.get_mut(&session)) {
            scribe.read(record);
        }
    }
    scribes.into_values().map(|scribe| scribe.log).collect()
}

/// Reads the records of AWS's end of a session and writes its log.
struct Scribe {
    log: BgpLog,
    resource_id: String,
    /// The customer gateway's inside address.
    neighbour: IpAddr,
    subnet: Ipv4Net,
    own_as: u32,
    /// The AS that AWS has registered for the customer gateway.
    expected_as: u32,
    /// How many prefixes it takes.
    most: u32,
    /// When the world began, counted from the epoch.
    began: Duration,
    state: State,
    /// The AS in the last OPEN that arrived.
    said_as: Option<u32>,
    /// What the peer has announced and not withdrawn.
    known: BTreeMap<IpNet, Attributes>,
    /// How much that was when the last session ended.
    counted: usize,
}

impl Scribe {
    fn read(&mut self, record: &Record) {
        let (at, neighbour) = (record.at, self.neighbour);
        match &record.what {
            What::State { from, to, .. } => {
                self.state = *to;
                if *to != State::Established {
                    // The NOTIFICATION that says how many there were follows the state that ends with it.
                    self.counted = core::mem::take(&mut self.known).len();
                }
                let (from, to) = (name(*from), name(*to));
                let details = format!("BGP session state has changed from {from} to {to} with neighbor {neighbour}");
                self.session(at, details, false);
            }
            What::Step { step, detail, prefixes, open, .. } => match step {
                Step::TcpConnecting => {
                    self.session(
                        at,
                        format!("is initiating a connection (via Connect) to neighbor {neighbour}"),
                        false,
                    );
                }
                Step::OpenMessageSent => self.open(at, "sent an OPEN message to", open.as_deref()),
                Step::OpenMessageReceived => {
                    self.said_as = open.as_ref().map(|open| open.asn);
                    self.open(at, "received an OPEN message from", open.as_deref());
                }
                Step::EndOfRibSent => {
                    self.session(at, format!("sent an End-of-RIB message to neighbor {neighbour}"), false);
                }
                Step::UpdateReceived => {
                    if let Some(prefixes) = prefixes {
                        self.update(at, prefixes);
                    }
                }
                Step::PrefixLimitNear => {
                    let most = self.most;
                    let details = format!(
                        "is reporting a maximum prefix limit warning - received {detail} prefixes from neighbor {neighbour}, limit is {most}"
                    );
                    self.session(at, details, false);
                }
                Step::NotificationMessageSent => self.notified(at, (*detail >> 8, *detail & 0xff), true),
                Step::NotificationMessageReceived => self.notified(at, (*detail >> 8, *detail & 0xff), false),
                _ => {}
            },
            What::Genesis | What::Fault { .. } | What::Power { .. } | What::Expired { .. } | What::Route { .. } => {}
        }
    }

    fn open(&mut self, at: Instant, what: &str, open: Option<&Open>) {
        let Some(Open { asn, hold_time, identifier }) = open else { return };
        let neighbour = self.neighbour;
        let said = format!("version 4, AS {asn}, holdtime {hold_time}, router-id {identifier}");
        self.session(at, format!("{what} neighbor {neighbour} - {said}"), false);
    }

    fn notified(&mut self, at: Instant, codes: (u32, u32), sent: bool) {
        let neighbour = self.neighbour;
        match (codes, sent) {
            ((4, _), true) => {
                return self.session(
                    at,
                    format!("sent a Hold Timer Expired notification to neighbor {neighbour}"),
                    true,
                );
            }
            ((2, 2), true) => {
                let said = self.said_as.unwrap_or_default();
                let expected = self.expected_as;
                let details = format!(
                    "detected a bad OPEN message from neighbor {neighbour} - remote AS is {said}, expected {expected}"
                );
                return self.session(at, details, true);
            }
            ((6, 1), true) => {
                let received = self.known.len().max(self.counted);
                let details = format!(
                    "detected the maximum prefix limit was exceeded - received {received} prefixes from neighbor {neighbour}"
                );
                self.session(at, details, true);
            }
            _ => {}
        }
        let Some(meaning) = cease(codes) else { return };
        let (code, subcode) = codes;
        let (how, way) = if sent { ("sent a notification", "to") } else { ("received notification", "from") };
        // Two connections at once are the ordinary beginning of a session whose ends both connect.
        let trouble = subcode != 7;
        self.session(at, format!("{how} {code}/{subcode} ({meaning}) {way} neighbor {neighbour}"), trouble);
    }

    fn update(&mut self, at: Instant, prefixes: &Prefixes) {
        for prefix in prefixes.withdrawn.iter() {
            if let Some(before) = self.known.remove(prefix) {
                self.route(at, *prefix, "WITHDRAWN", &before, None);
            }
        }
        let Some(attributes) = &prefixes.attributes else { return };
        let (neighbour, as_path) = (self.neighbour, &attributes.as_path);
        self.session(
            at,
            format!("received update with attributes from neighbor {neighbour} - AS path: {as_path}"),
            false,
        );
        let denied = self.denied(attributes);
        for prefix in prefixes.announced.iter() {
            let before = self.known.insert(*prefix, attributes.clone());
            let status = if before.is_some() { "UPDATED" } else { "ADVERTISED" };
            self.route(at, *prefix, status, attributes, denied);
        }
    }

    /// Why AWS does not use a route: an AS loop, or a next hop that is not on the tunnel.
    fn denied(&self, attributes: &Attributes) -> Option<&'static str> {
        let between = |c: char| !c.is_ascii_digit();
        let own = |asn: &str| asn.parse() == Ok(self.own_as);
        if attributes.as_path.split(between).any(own) {
            Some(OWN_AS)
        } else if !self.subnet.contains(&attributes.next_hop) {
            Some(NON_CONNECTED)
        } else {
            None
        }
    }

    fn route(
        &mut self,
        at: Instant,
        prefix: IpNet,
        status: &'static str,
        attributes: &Attributes,
        details: Option<&'static str>,
    ) {
        let message = Message::Route {
            prefix: prefix.to_string(),
            as_path: attributes.as_path.to_string(),
            local_pref: LOCAL_PREF,
            med: attributes.med.unwrap_or(MED),
            next_hop_ip: attributes.next_hop,
            weight: WEIGHT,
            details,
        };
        self.write(at, "RouteStatus", status, message, false);
    }

    fn session(&mut self, at: Instant, details: String, trouble: bool) {
        let status = if self.state == State::Established && !trouble { "UP" } else { "DOWN" };
        let message = Message::Session { details: format!("AWS-side peer {details}") };
        self.write(at, "BGPStatus", status, message, trouble);
    }

    fn write(&mut self, at: Instant, kind: &'static str, status: &'static str, message: Message, trouble: bool) {
        let (event_timestamp, timestamp) = stamp(self.began, at);
        let resource_id = self.resource_id.clone();
        self.log.lines.push(Line { at, trouble, resource_id, event_timestamp, timestamp, kind, status, message });
    }
}

/// What AWS calls a state of a session.
const fn name(state: State) -> &'static str {
    match state {
        State::Idle | State::Down | State::Deleting | State::AdminDown | State::Initialize | State::Backup => "Idle",
        State::Connect | State::Connecting | State::Init => "Connect",
        State::Active => "Active",
        State::OpenSent => "OpenSent",
        State::OpenConfirm => "OpenConfirm",
        State::Established | State::Up | State::Rekeying | State::Master => "Established",
    }
}

/// What AWS calls a Cease (RFC 4486 section 3), of those that it logs.
const fn cease(codes: (u32, u32)) -> Option<&'static str> {
    match codes {
        (6, 1) => Some("Maximum Number of Prefixes Reached"),
        (6, 2) => Some("Administrative Shutdown"),
        (6, 3) => Some("Peer Unconfigured"),
        (6, 4) => Some("Administrative Reset"),
        (6, 5) => Some("Connection Rejected"),
        (6, 6) => Some("Other Configuration Change"),
        (6, 7) => Some("Connection Collision Resolution"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::LogOutputFormat;
    use sim_core::id::NodeId;
    use sim_core::id::RecordId;
    use sim_core::reason::Reason;

    fn scribe() -> Scribe {
        Scribe {
            log: BgpLog {
                id: TunnelId { connection: 0, tunnel: 0 },
                tunnel: "vpn.a".into(),
                stream: "vpn_198.51.100.10-BGP.log".into(),
                format: LogOutputFormat::Json,
                lines: Vec::new(),
            },
            resource_id: "vpn_198.51.100.10".into(),
            neighbour: [169, 254, 10, 2].into(),
            subnet: "169.254.10.0/30".parse().unwrap(),
            own_as: 64_512,
            expected_as: 65_010,
            most: 100,
            began: Duration::from_secs(1_763_640_000),
            state: State::Idle,
            said_as: None,
            known: BTreeMap::new(),
            counted: 0,
        }
    }

    fn tell(scribe: &mut Scribe, what: What) {
        let (at, cause) = (Instant::from_secs(1), RecordId::GENESIS);
        scribe.read(&Record { at, node: NodeId(0), cause, enabler: cause, what });
    }

    fn step(step: Step, detail: u32, prefixes: Option<Prefixes>, open: Option<Open>) -> What {
        let (prefixes, open) = (prefixes.map(Box::new), open.map(Box::new));
        What::Step { session: SessionId(0), step, detail, response: false, notice: None, prefixes, open }
    }

    fn update(announced: &[&str], withdrawn: &[&str], said: Option<(&str, [u8; 4])>) -> What {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let attributes = said.map(|(as_path, next_hop)| Attributes {
            as_path: as_path.into(),
            next_hop: next_hop.into(),
            med: None,
        });
        let prefixes = Prefixes { withdrawn: nets(withdrawn), announced: nets(announced), attributes };
        step(Step::UpdateReceived, 1, Some(prefixes), None)
    }

    fn established() -> What {
        let (from, to, reason) = (State::OpenConfirm, State::Established, Reason::KeepaliveReceived);
        What::State { session: SessionId(0), from, to, reason }
    }

    fn details(scribe: &Scribe) -> Vec<(&str, &str)> {
        scribe.log.lines.iter().map(|line| (line.status, line.message.details())).collect()
    }

    /// The fields and their order are those of AWS's samples (page monitoring-logs.html).
    #[test]
    fn a_line_is_aws_s_json() {
        let mut scribe = scribe();
        tell(&mut scribe, established());
        tell(&mut scribe, update(&["10.1.0.0/16"], &[], Some(("65010", [169, 254, 10, 2]))));
        let text = scribe.log.text();
        let lines: Vec<&str> = text.lines().collect();
        let head = r#"{"resource_id":"vpn_198.51.100.10","event_timestamp":1763640001000,"timestamp":"2025-11-20 12:00:01.000Z""#;
        let session =
            "AWS-side peer BGP session state has changed from OpenConfirm to Established with neighbor 169.254.10.2";
        assert_eq!(
            lines[0],
            format!(r#"{head},"type":"BGPStatus","status":"UP","message":{{"details":"{session}"}}}}"#)
        );
        let route = r#"{"prefix":"10.1.0.0/16","asPath":"65010","localPref":100,"med":100,"nextHopIp":"169.254.10.2","weight":32768}"#;
        assert_eq!(lines[2], format!(r#"{head},"type":"RouteStatus","status":"ADVERTISED","message":{route}}}"#));
        scribe.log.format = LogOutputFormat::Text;
        let text = scribe.log.text();
        let last = "vpn_198.51.100.10 1763640001000 2025-11-20 12:00:01.000Z RouteStatus ADVERTISED 10.1.0.0/16 65010 100 100 \
                    169.254.10.2 32768";
        assert_eq!(text.lines().last(), Some(last));
    }

    /// ADVERTISED, UPDATED and WITHDRAWN are the peer's doing; a new session begins with nothing.
    #[test]
    fn a_route_comes_changes_and_goes() {
        let mut scribe = scribe();
        tell(&mut scribe, established());
        let of = |as_path| update(&["10.1.0.0/16"], &[], Some((as_path, [169, 254, 10, 2])));
        tell(&mut scribe, of("65010"));
        tell(&mut scribe, of("65010 65010"));
        tell(&mut scribe, update(&[], &["10.1.0.0/16", "10.9.0.0/16"], None));
        tell(&mut scribe, of("65010"));
        tell(&mut scribe, established());
        let routes = scribe.log.lines.iter().filter(|line| line.kind == "RouteStatus").map(|line| line.status);
        assert!(routes.eq(["ADVERTISED", "UPDATED", "WITHDRAWN", "ADVERTISED"]));
    }

    #[test]
    fn routes_are_denied_in_aws_s_words() {
        let mut scribe = scribe();
        tell(&mut scribe, established());
        tell(&mut scribe, update(&["10.0.0.0/16"], &[], Some(("65010 64512", [169, 254, 10, 2]))));
        tell(&mut scribe, update(&["10.1.0.0/16"], &[], Some(("65010 645120", [192, 0, 2, 1]))));
        tell(&mut scribe, update(&["10.2.0.0/16"], &[], Some(("65010 {64512,7}", [169, 254, 10, 2]))));
        let denied =
            scribe.log.lines.iter().filter(|line| line.kind == "RouteStatus").map(|line| line.message.details());
        assert!(denied.eq([
            "DENIED due to: as-path contains our own AS",
            "DENIED due to: non-connected next-hop",
            "DENIED due to: as-path contains our own AS",
        ]));
    }

    /// The session is over when the NOTIFICATION is sent, and what it was about is known all the same.
    #[test]
    fn the_prefixes_beyond_a_limit_are_counted() {
        let mut scribe = scribe();
        tell(&mut scribe, established());
        tell(&mut scribe, update(&["10.1.0.0/24", "10.1.1.0/24"], &[], Some(("65010", [169, 254, 10, 2]))));
        let (from, to, reason) = (State::Established, State::Idle, Reason::PrefixLimit);
        tell(&mut scribe, What::State { session: SessionId(0), from, to, reason });
        tell(&mut scribe, step(Step::NotificationMessageSent, 0x601, None, None));
        let exceeded = details(&scribe).into_iter().find(|(_, said)| said.contains("exceeded"));
        let said = "AWS-side peer detected the maximum prefix limit was exceeded - received 2 prefixes from neighbor 169.254.10.2";
        assert_eq!(exceeded, Some(("DOWN", said)));
    }

    #[test]
    fn what_ends_a_session_is_named() {
        let mut scribe = scribe();
        let open = Open { asn: 65_099, hold_time: 30, identifier: [169, 254, 10, 2].into() };
        tell(&mut scribe, step(Step::OpenMessageReceived, 0, None, Some(open)));
        tell(&mut scribe, step(Step::NotificationMessageSent, 0x202, None, None));
        tell(&mut scribe, step(Step::NotificationMessageSent, 0x400, None, None));
        tell(&mut scribe, step(Step::NotificationMessageReceived, 0x602, None, None));
        tell(&mut scribe, step(Step::NotificationMessageSent, 0x601, None, None));
        tell(&mut scribe, step(Step::NotificationMessageSent, 0x30b, None, None));
        let neighbour = "neighbor 169.254.10.2";
        let expected = [
            format!(
                "received an OPEN message from {neighbour} - version 4, AS 65099, holdtime 30, router-id 169.254.10.2"
            ),
            format!("detected a bad OPEN message from {neighbour} - remote AS is 65099, expected 65010"),
            format!("sent a Hold Timer Expired notification to {neighbour}"),
            format!("received notification 6/2 (Administrative Shutdown) from {neighbour}"),
            format!("detected the maximum prefix limit was exceeded - received 0 prefixes from {neighbour}"),
            format!("sent a notification 6/1 (Maximum Number of Prefixes Reached) to {neighbour}"),
        ];
        let expected: Vec<String> = expected.iter().map(|text| format!("AWS-side peer {text}")).collect();
        let expected: Vec<_> = expected.iter().map(|text| ("DOWN", text.as_str())).collect();
        assert_eq!(details(&scribe), expected);
    }
    /// RFC 4486 section 3 names the subcodes of Cease, as AWS's lines do.
    #[test]
    fn ceases_are_named() {
        let names = [
            "Peer Unconfigured",
            "Administrative Reset",
            "Connection Rejected",
            "Other Configuration Change",
            "Connection Collision Resolution",
        ];
        for (subcode, name) in (3..).zip(names) {
            let mut scribe = scribe();
            tell(&mut scribe, step(Step::NotificationMessageSent, 0x600 | subcode, None, None));
            tell(&mut scribe, step(Step::NotificationMessageReceived, 0x600 | subcode, None, None));
            let neighbour = "neighbor 169.254.10.2";
            let sent = format!("AWS-side peer sent a notification 6/{subcode} ({name}) to {neighbour}");
            let received = format!("AWS-side peer received notification 6/{subcode} ({name}) from {neighbour}");
            assert_eq!(details(&scribe), [("DOWN", sent.as_str()), ("DOWN", received.as_str())]);
        }
    }
}
