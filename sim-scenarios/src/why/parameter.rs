//! The setting behind a wait: where it stands, what it is, who can change it, and what is worth a try.

use sim_core::id::{NodeId, SessionId};
use sim_core::reason::TimerKind;
use sim_core::time::Duration;
use sim_core::trace::{SessionInfo, SessionKind, Trace};

use super::below;
use super::document::Parameter;
use crate::plan::{Bfd, BgpEnd, Connection, Forwarding, IkeEnd, Neighbor, NodeKind, Plan, Tunnel, Watched};
use crate::scenario::Scenario;

/// A change to try: what it means, and the settings.
pub type Candidate = (String, Vec<String>);

/// What is known of the setting behind a wait.
#[derive(Default)]
pub struct Behind {
    /// The setting.
    pub parameter: Option<Parameter>,
    /// Changes that may shorten the wait.
    pub candidates: Vec<Candidate>,
    /// What is to be said of it besides.
    pub remark: Option<String>,
}

/// Of whom a session is an end.
enum Place<'p> {
    /// Of a tunnel.
    Tunnel { connection: &'p Connection, tunnel: &'p Tunnel, aws: bool },
    /// Of a neighbour over an interface.
    Neighbor { path: String, neighbor: &'p Neighbor, aws: bool },
    /// Of something that a device watches.
    Track { path: String, watched: Watched },
}

/// The setting behind an expired timer. `node` is where it expired.
pub fn behind_timer(
    scenario: &Scenario,
    plan: &Plan,
    trace: &Trace,
    session: Option<SessionId>,
    node: NodeId,
    timer: TimerKind,
) -> Behind {
    let global = |setting: &str, value: Duration, what: &str| Behind {
        parameter: Some(parameter(scenario, format!("assume.{setting}"), value.to_string(), None)),
        candidates: Vec::new(),
        remark: Some(format!("{what} is AWS's own: no customer changes it.")),
    };
    match timer {
        TimerKind::ProgrammingDelay => {
            global("vgw_programming_delay", plan.assume.vgw_programming_delay, "The programming delay of a gateway")
        }
        TimerKind::PropagationDelay => global(
            "vpc_propagation_delay",
            plan.assume.vpc_propagation_delay,
            "The propagation delay into VPC route tables",
        ),
        TimerKind::EndpointHealth => {
            let what = "The time in which AWS notices that an endpoint's hardware is gone";
            global("endpoint_health_delay", plan.assume.endpoint_health_delay, what)
        }
        _ => {
            let below = session.map(|session| &trace.sessions()[session.index()]);
            if let Some(behind) = below.and_then(|info| below::behind(scenario, plan, trace, info, timer)) {
                return behind;
            }
            let place = session.and_then(|session| place(plan, &trace.sessions()[session.index()], node));
            match place {
                Some(Place::Tunnel { connection, tunnel, aws }) => of_tunnel(scenario, connection, tunnel, aws, timer),
                Some(Place::Neighbor { path, neighbor, aws }) => {
                    let peer = session.and_then(|session| trace.sessions()[session.index()].peer);
                    let peer = peer.and_then(|peer| {
                        let info = &trace.sessions()[peer.index()];
                        place_of_neighbor(plan, info, info.node)
                    });
                    of_neighbor(scenario, &path, neighbor, aws, peer, timer)
                }
                Some(Place::Track { path, watched }) => of_track(scenario, &path, watched, timer),
                None => Behind::default(),
            }
        }
    }
}

/// A setting by its path: whether the scenario writes it, AWS documents it, or nobody does.
pub fn parameter(scenario: &Scenario, path: String, value: String, documented: Option<&str>) -> Parameter {
    let assumed = scenario.plan().assumptions.iter().find(|assumption| assumption.parameter == path);
    let (origin, source) = match (scenario.writes(&path), assumed, documented) {
        (_, Some(assumed), _) => ("assumed", Some(assumed.source.clone())),
        (true, ..) => ("scenario", None),
        (false, None, Some(source)) => ("documented", Some(source.to_owned())),
        (false, None, None) => ("default", None),
    };
    Parameter { path, value, origin: origin.to_owned(), source }
}

fn place<'p>(plan: &'p Plan, info: &SessionInfo, node: NodeId) -> Option<Place<'p>> {
    let (name, end) = info.name.rsplit_once('@')?;
    for connection in &plan.connections {
        if let Some(tunnel) = connection.tunnels.iter().find(|tunnel| tunnel.name == name) {
            return Some(Place::Tunnel { connection, tunnel, aws: end == "aws" });
        }
    }
    if info.kind == SessionKind::Track {
        let (path, forwarding) = device(plan, node)?;
        let track = forwarding.tracks.iter().find(|track| track.name == name)?;
        return Some(Place::Track { path: format!("{path}.tracks.{name}"), watched: track.watched });
    }
    let (path, neighbor, aws) = place_of_neighbor(plan, info, node)?;
    Some(Place::Neighbor { path, neighbor, aws })
}

/// The path of a neighbour's settings, and whether it is AWS's end.
fn place_of_neighbor<'p>(plan: &'p Plan, info: &SessionInfo, node: NodeId) -> Option<(String, &'p Neighbor, bool)> {
    let (name, _) = info.name.rsplit_once('@')?;
    let (path, forwarding) = device(plan, node)?;
    let neighbor = forwarding.neighbors.iter().find(|neighbor| neighbor.name == name)?;
    let aws = !path.starts_with("nodes.");
    Some((if aws { path } else { format!("{path}.neighbors.{name}") }, neighbor, aws))
}

/// The path of a device's settings, and what it is told beyond its tunnels.
fn device(plan: &Plan, node: NodeId) -> Option<(String, &Forwarding)> {
    let named = &plan.nodes[node.index()];
    match &named.kind {
        NodeKind::CustomerGateway(it) => Some((format!("nodes.{}", named.name), &it.forwarding)),
        NodeKind::BgpRouter(it) => Some((format!("nodes.{}", named.name), &it.forwarding)),
        NodeKind::VirtualInterface(it) => {
            let (connection, own) = named.name.split_once('.')?;
            Some((format!("direct_connect.{connection}.virtual_interfaces.{own}"), &it.forwarding))
        }
        NodeKind::ConnectPeer(it) => {
            let (connect, own) = named.name.split_once('.')?;
            Some((format!("connect.{connect}.peers.{own}"), &it.forwarding))
        }
        _ => None,
    }
}

const AWS_HOLD: &str = "AWS documents a hold time of 30 s on VPN tunnels";
const AWS_DX_HOLD: &str = "AWS documents a hold time of 90 s on virtual interfaces";
const AWS_CONNECT_HOLD: &str = "AWS documents a hold time of 30 s on Connect peers";
const AWS_BFD: &str = "AWS documents 300 ms and a multiplier of 3 for BFD on Direct Connect";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Shorter values than now, as changes of one setting.
fn shorter(path: &str, now: Duration, values: &[u64], what: &str) -> Vec<Candidate> {
    let values = values.iter().map(|n| seconds(*n)).filter(|value| *value < now);
    values.map(|value| (format!("{what} of {value}"), vec![format!("{path}={value}")])).collect()
}

fn of_tunnel(scenario: &Scenario, connection: &Connection, tunnel: &Tunnel, aws: bool, timer: TimerKind) -> Behind {
    let own = tunnel.name.rsplit('.').next().unwrap_or_default();
    let ike = |of_aws: bool, setting: &str| {
        let end = if of_aws { "" } else { "customer." };
        format!("connections.{}.tunnels.{own}.{end}{setting}", connection.name)
    };
    let bgp = |of_aws: bool, setting: &str| {
        let end = if of_aws { "aws" } else { "customer" };
        format!("connections.{}.routing.{end}.{setting}", connection.name)
    };
    let who = if aws { "AWS" } else { "the customer gateway" };
    let end: &IkeEnd = if aws { &tunnel.aws } else { &tunnel.customer };
    let simple = |path: String, value: Duration, values: &[u64], what: &str| Behind {
        candidates: shorter(&path, value, values, &format!("{what} at {who}")),
        parameter: Some(parameter(scenario, path, value.to_string(), None)),
        remark: None,
    };
    // What no tunnel option sets is AWS's own.
    let aws_s_own = |path: String, value: Duration, what: &str| Behind {
        parameter: Some(parameter(scenario, path, value.to_string(), None)),
        candidates: Vec::new(),
        remark: Some(format!("{what} at AWS's end is AWS's own: no tunnel option sets it.")),
    };
    let timers = tunnel.bgp.as_ref().map(|(of_aws, of_customer)| (of_aws, of_customer));
    let own_timers: Option<&BgpEnd> = timers.map(|(of_aws, of_customer)| if aws { of_aws } else { of_customer });
    match (timer, timers, own_timers) {
        (TimerKind::HoldTimer, Some((of_aws, of_customer)), _) => {
            // The smaller of both proposals holds at both ends (RFC 4271 section 4.2).
            let by_aws = of_aws.hold_time < of_customer.hold_time;
            let (path, value) =
                if by_aws { (bgp(true, "hold_time"), of_aws) } else { (bgp(false, "hold_time"), of_customer) };
            let documented = (value.hold_time == seconds(30)).then_some(AWS_HOLD);
            let what = "the customer gateway proposes a BGP hold time";
            Behind {
                candidates: shorter(&bgp(false, "hold_time"), value.hold_time, &[30, 10, 3], what),
                parameter: Some(parameter(scenario, path, value.hold_time.to_string(), documented)),
                remark: Some("AWS's VPN endpoints do not speak BFD, so the hold timer is what notices.".into()),
            }
        }
        (TimerKind::ConnectRetryTimer, _, Some(own)) if !aws => {
            simple(bgp(false, "connect_retry"), own.connect_retry, &[30, 10, 1], "a ConnectRetryTimer")
        }
        (TimerKind::IdleHoldTimer, _, Some(own)) if !aws => {
            simple(bgp(false, "idle_hold"), own.idle_hold, &[5, 1], "an IdleHoldTimer")
        }
        (TimerKind::MinRouteAdvertisement, _, Some(own)) if !aws => simple(
            bgp(false, "advertisement_interval"),
            own.advertisement_interval,
            &[0],
            "a MinRouteAdvertisementInterval",
        ),
        (TimerKind::KeepaliveTimer, _, Some(own)) if !aws => {
            simple(bgp(false, "keepalive"), own.keepalive, &[5, 1], "a keepalive interval")
        }
        (TimerKind::ConnectRetryTimer, _, Some(own)) => {
            aws_s_own(bgp(true, "connect_retry"), own.connect_retry, "The ConnectRetryTimer")
        }
        (TimerKind::IdleHoldTimer, _, Some(own)) => {
            aws_s_own(bgp(true, "idle_hold"), own.idle_hold, "The IdleHoldTimer")
        }
        (TimerKind::MinRouteAdvertisement, _, Some(own)) => {
            let value = own.advertisement_interval;
            aws_s_own(bgp(true, "advertisement_interval"), value, "The MinRouteAdvertisementInterval")
        }
        (TimerKind::KeepaliveTimer, _, Some(own)) => {
            aws_s_own(bgp(true, "keepalive"), own.keepalive, "The keepalive interval")
        }
        (TimerKind::DpdTimeout, ..) if end.dpd.timeout.is_some() => {
            // AWS takes 30 s or more, and no end less than the delay of a check.
            let values: Vec<u64> = if aws { vec![30] } else { vec![30, 15] };
            let values: Vec<u64> = values.into_iter().filter(|n| seconds(*n) > end.dpd.delay).collect();
            simple(ike(aws, "dpd_timeout"), end.dpd.timeout.unwrap_or_default(), &values, "a DPD timeout")
        }
        (TimerKind::DpdTimeout | TimerKind::DpdIdle, ..) => {
            simple(ike(aws, "dpd_delay"), end.dpd.delay, &[5, 2], "a DPD delay")
        }
        (TimerKind::Retransmission, ..) => retransmission(scenario, ike(aws, "retransmission"), end, aws),
        (TimerKind::HalfOpen, ..) if !aws => {
            simple(ike(false, "half_open_timeout"), end.half_open_timeout, &[10, 5], "a half-open timeout")
        }
        (TimerKind::HalfOpen, ..) => {
            aws_s_own(ike(true, "half_open_timeout"), end.half_open_timeout, "The half-open timeout")
        }
        (TimerKind::IkeRetry, ..) if !aws => simple(ike(false, "retry"), end.retry, &[5, 1], "a new attempt"),
        (TimerKind::IkeRetry, ..) => aws_s_own(ike(true, "retry"), end.retry, "The wait before a new attempt"),
        _ => Behind::default(),
    }
}

fn retransmission(scenario: &Scenario, path: String, end: &IkeEnd, aws: bool) -> Behind {
    let list = |of: u64| {
        let waits = end.retransmission.iter().map(|wait| format!("\"{}\"", wait.scale(1, of)));
        format!("[{}]", waits.collect::<Vec<_>>().join(", "))
    };
    let parameter = Some(parameter(scenario, path.clone(), list(1).replace('"', ""), None));
    if aws {
        let remark = Some("When AWS repeats IKE requests is AWS's own: no tunnel option sets it.".to_owned());
        return Behind { parameter, candidates: Vec::new(), remark };
    }
    let text = "the customer gateway repeats IKE requests twice as fast".to_owned();
    Behind { parameter, candidates: vec![(text, vec![format!("{path}={}", list(2))])], remark: None }
}

fn of_neighbor(
    scenario: &Scenario,
    path: &str,
    neighbor: &Neighbor,
    aws: bool,
    peer: Option<(String, &Neighbor, bool)>,
    timer: TimerKind,
) -> Behind {
    let peer_is_aws = peer.as_ref().is_some_and(|(.., aws)| *aws);
    // The customer's side of the session, where changes are made.
    let mine =
        if aws { peer.as_ref().map(|(path, neighbor, _)| (path.as_str(), *neighbor)) } else { Some((path, neighbor)) };
    let timers = |setting: &str| format!("{path}.timers.{setting}");
    let own = |setting: &str, value: Duration, values: &[u64], what: &str| Behind {
        parameter: Some(parameter(scenario, timers(setting), value.to_string(), None)),
        candidates: if aws { Vec::new() } else { shorter(&timers(setting), value, values, what) },
        remark: aws.then(|| format!("{what} at AWS's end is AWS's own.")),
    };
    match timer {
        TimerKind::HoldTimer => {
            let theirs = peer.as_ref().map_or(neighbor.end.hold_time, |(_, peer, _)| peer.end.hold_time);
            let value = neighbor.end.hold_time.min(theirs);
            let by_peer = theirs < neighbor.end.hold_time;
            let at = peer.as_ref().filter(|_| by_peer).map_or(path, |(path, ..)| path);
            let documented = match value {
                value if at.starts_with("direct_connect.") && value == seconds(90) => Some(AWS_DX_HOLD),
                value if at.starts_with("connect.") && value == seconds(30) => Some(AWS_CONNECT_HOLD),
                _ => None,
            };
            let mut candidates = Vec::new();
            if let Some((mine, end)) = mine {
                let hold = format!("{mine}.timers.hold_time");
                candidates = shorter(&hold, value, &[30, 10, 3], "a BGP hold time");
                let bfd = "(min_tx: \"300ms\", min_rx: \"300ms\", multiplier: 3)";
                let mut edits = vec![format!("{mine}.bfd={bfd}")];
                // AWS answers BFD on every virtual interface; any other router has to be told, too.
                if let Some((other, ..)) = peer.as_ref().filter(|_| !aws && !peer_is_aws) {
                    edits.push(format!("{other}.bfd={bfd}"));
                }
                // AWS's Connect peers do not speak BFD.
                let of_connect = peer.as_ref().is_some_and(|(path, ..)| path.starts_with("connect."));
                if end.bfd.is_none() && !of_connect {
                    candidates.push(("BFD on the session: 300 ms, multiplier 3".into(), edits));
                }
            }
            let parameter = Some(parameter(scenario, format!("{at}.timers.hold_time"), value.to_string(), documented));
            Behind { parameter, candidates, remark: None }
        }
        TimerKind::BfdDetection => {
            let theirs = peer.as_ref().and_then(|(path, peer, aws)| Some((path.as_str(), peer.bfd?, *aws)));
            detection(scenario, (path, neighbor.bfd, aws), theirs)
        }
        TimerKind::ConnectRetryTimer => {
            own("connect_retry", neighbor.end.connect_retry, &[30, 10, 1], "the ConnectRetryTimer")
        }
        TimerKind::IdleHoldTimer => own("idle_hold", neighbor.end.idle_hold, &[5, 1], "the IdleHoldTimer"),
        TimerKind::MinRouteAdvertisement => {
            let value = neighbor.end.advertisement_interval;
            own("advertisement_interval", value, &[0], "the MinRouteAdvertisementInterval")
        }
        _ => Behind::default(),
    }
}

/// The Detection Time at an end is the other's multiplier times the slower of the other's sending and its own receiving
/// (RFC 5880 section 6.8.4).
fn detection(scenario: &Scenario, own: (&str, Option<Bfd>, bool), theirs: Option<(&str, Bfd, bool)>) -> Behind {
    let (path, Some(bfd), aws) = own else { return Behind::default() };
    let Some((other, peer, peer_is_aws)) = theirs else { return Behind::default() };
    let documented = Some(AWS_BFD);
    let slow = bfd.min_rx.max(peer.min_tx);
    let remark =
        Some(format!("The Detection Time is {} packets, one every {slow} (RFC 5880 section 6.8.4).", peer.multiplier));
    let mut candidates = Vec::new();
    if !peer_is_aws && peer.multiplier > 3 {
        candidates.push(("a BFD multiplier of 3".into(), vec![format!("{other}.bfd.multiplier=3")]));
    }
    let faster = Duration::from_millis(300);
    if !aws && bfd.min_rx > faster {
        candidates.push(("BFD that can receive every 300 ms".into(), vec![format!("{path}.bfd.min_rx=300ms")]));
    }
    if !peer_is_aws && peer.min_tx > faster {
        candidates.push(("BFD that sends every 300 ms".into(), vec![format!("{other}.bfd.min_tx=300ms")]));
    }
    let parameter = if peer_is_aws {
        parameter(scenario, format!("{path}.bfd.min_rx"), bfd.min_rx.to_string(), documented)
    } else {
        parameter(scenario, format!("{other}.bfd.multiplier"), peer.multiplier.to_string(), None)
    };
    Behind { parameter: Some(parameter), candidates, remark }
}

fn of_track(scenario: &Scenario, path: &str, watched: Watched, timer: TimerKind) -> Behind {
    let Watched::Ping { every, timeout, .. } = watched else { return Behind::default() };
    let (setting, value) = match timer {
        TimerKind::TrackInterval => ("every", every),
        TimerKind::TrackTimeout => ("timeout", timeout),
        _ => return Behind::default(),
    };
    let every = format!("{path}.every");
    Behind {
        parameter: Some(parameter(scenario, format!("{path}.{setting}"), value.to_string(), None)),
        candidates: shorter(
            &every,
            watched_every(watched),
            &[2, 1],
            "an address that is watched is asked once in a time",
        ),
        remark: None,
    }
}

fn watched_every(watched: Watched) -> Duration {
    match watched {
        Watched::Ping { every, .. } => every,
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Simulation;
    use crate::scenario::NoSecrets;

    fn scenario(changes: &[&str]) -> Scenario {
        let text = include_str!("../../../scenarios/active_passive.ron");
        let scenario = Scenario::parse("active_passive.ron", text, &NoSecrets).unwrap();
        scenario.with(changes, &NoSecrets).unwrap()
    }

    /// What is behind a timer of one end of tunnel a.
    fn behind(scenario: &Scenario, kind: SessionKind, end: &str, timer: TimerKind) -> Behind {
        let simulation = Simulation::new(scenario);
        let trace = &simulation.world().trace;
        let wanted = |info: &SessionInfo| info.kind == kind && info.name == format!("vpn.a@{end}");
        let session = trace.sessions().iter().position(wanted).unwrap();
        let node = trace.sessions()[session].node;
        behind_timer(scenario, scenario.plan(), trace, Some(SessionId(session as u32)), node, timer)
    }

    /// The smaller proposal holds at both ends (RFC 4271 section 4.2), so it is the one that is named; what is shorter is tried
    /// at the customer gateway, which a customer can change.
    #[test]
    fn the_smaller_hold_time_is_behind_both_hold_timers() {
        let found =
            |changes: &[&str], end: &str| behind(&scenario(changes), SessionKind::Bgp, end, TimerKind::HoldTimer);
        let path = |it: &Behind| it.parameter.as_ref().map(|it| (it.path.clone(), it.value.clone(), it.origin.clone()));
        let at = |end: &str, value: &str, origin: &str| {
            Some((format!("connections.vpn.routing.{end}.hold_time"), value.to_owned(), origin.to_owned()))
        };
        for end in ["aws", "cgw"] {
            assert_eq!(path(&found(&[], end)), at("customer", "30s", "documented"));
            let shorter = ["connections.vpn.routing.aws.hold_time=20s"];
            assert_eq!(path(&found(&shorter, end)), at("aws", "20s", "scenario"));
            let edits: Vec<String> = found(&shorter, end).candidates.into_iter().flat_map(|(_, edits)| edits).collect();
            let expected = ["10s", "3s"].map(|value| format!("connections.vpn.routing.customer.hold_time={value}"));
            assert_eq!(edits, expected, "30 s is not shorter than 20 s");
        }
    }

    /// AWS takes a DPD timeout of 30 s or more; from where it counts is assumed. The customer gateway may be faster.
    #[test]
    fn each_end_has_a_dpd_timeout_of_its_own() {
        let scenario = scenario(&[]);
        let aws = behind(&scenario, SessionKind::Ike, "aws", TimerKind::DpdTimeout);
        let parameter = aws.parameter.unwrap();
        assert_eq!(
            (parameter.path.as_str(), parameter.value.as_str()),
            ("connections.vpn.tunnels.a.dpd_timeout", "40s")
        );
        assert_eq!(parameter.origin, "assumed");
        assert_eq!(aws.candidates.len(), 1, "{:?}", aws.candidates);
        let own = behind(&scenario, SessionKind::Ike, "cgw", TimerKind::DpdTimeout);
        assert_eq!(own.parameter.unwrap().path, "connections.vpn.tunnels.a.customer.dpd_timeout");
        assert_eq!(own.candidates.len(), 2, "{:?}", own.candidates);
        for (_, edits) in own.candidates.iter().chain(&aws.candidates) {
            assert!(scenario.with(edits, &NoSecrets).is_ok(), "{edits:?}");
        }
    }

    #[test]
    fn what_is_aws_s_own_is_not_tried() {
        let found = behind(&scenario(&[]), SessionKind::Bgp, "aws", TimerKind::ProgrammingDelay);
        assert_eq!(found.parameter.unwrap().path, "assume.vgw_programming_delay");
        assert!(found.candidates.is_empty() && found.remark.unwrap().contains("AWS's own"));
        let found = behind(&scenario(&[]), SessionKind::Bgp, "aws", TimerKind::ConnectRetryTimer);
        assert!(found.candidates.is_empty() && found.remark.unwrap().contains("AWS's own"));
    }
}
