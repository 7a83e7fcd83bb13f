//! How long traffic is dark at least and at most, from the timers of a plan.

use sim_core::time::Duration;

use super::{Failure, Routing, Starter};
use crate::plan::{BgpEnd, DpdTimeoutAction, IkeEnd, NodeKind, Plan, Tunnel};

/// What is expected.
pub(super) struct Dark {
    pub least: Duration,
    pub most: Duration,
    /// In words, with the timers.
    pub why: String,
}

/// What packets on their way, and the time from one probe to the next, add or take at most.
const SLACK: Duration = Duration::from_millis(300);
/// From the repair until a tunnel is up and traffic flows: retries of IKE and BGP.
const COMING_UP: Duration = Duration::from_secs(180);
/// The failure comes within ten seconds.
const BROKEN: [Duration; 2] = [Duration::from_secs(290), Duration::from_secs(300)];

/// Whether the failure takes nothing that is in use.
pub(super) fn unhurt(starter: &Starter) -> bool {
    starter.direct_connect && matches!(starter.failure, Failure::Path | Failure::Endpoint)
}

pub(super) fn dark(starter: &Starter, plan: &Plan) -> Dark {
    let tunnel = &plan.connections[0].tunnels[0];
    let NodeKind::CustomerGateway(cgw) = &plan.nodes[plan.connections[0].customer_gateway.index()].kind else {
        unreachable!("a connection begins at a customer gateway")
    };
    let (aws, customer) = (Notices::of(tunnel, true), Notices::of(tunnel, false));
    let seconds = |t: Duration| format!("{} s", t.as_nanos().div_ceil(1_000_000_000));
    if unhurt(starter) {
        let why = "not at all. Traffic is on Direct Connect, and the tunnel that fails stands by. Nobody notices but its own timers.".into();
        return Dark { least: Duration::ZERO, most: Duration::ZERO, why };
    }
    if starter.failure == Failure::Line {
        // Three intervals of 300 ms (RFC 5880 section 6.8.4), of which jitter takes up to a quarter of one.
        let (least, most) = (Duration::from_millis(550), Duration::from_secs(1));
        let why = "0.9 s at most. Both ends have BFD with three intervals of 300 ms on the line, so each moves to the VPN by itself.".into();
        return Dark { least, most, why };
    }
    let another_tunnel = starter.tunnels == 2 || starter.customer_gateways == 2;
    let way_out = match starter.failure {
        Failure::CustomerGateway => starter.customer_gateways == 2,
        _ => another_tunnel && (starter.routing == Routing::Bgp || cgw.routes_follow_sa),
    };
    if !way_out {
        let because = match starter.failure {
            Failure::CustomerGateway => "all that goes to AWS passes the one customer gateway",
            _ if !another_tunnel => "there is no second tunnel",
            _ => "the device's static route stays in its table when the tunnel is gone, so that nothing moves",
        };
        let why = format!("until it is repaired, and as long as the tunnel then takes to come up: {because}.");
        return Dark { least: BROKEN[0].saturating_sub(SLACK), most: BROKEN[1] + COMING_UP, why };
    }
    let (least, most, who) = match starter.failure {
        // AWS knows of its own endpoint's death within a second (`assume`), the site does not.
        Failure::Endpoint => (customer.least, customer.most, "AWS knows at once, the customer gateway does not"),
        // The site's router sees the cable go.
        Failure::CustomerGateway => (aws.least, aws.most, "the site's router sees its cable go, AWS does not"),
        _ => (
            aws.least.max(customer.least),
            aws.most.max(customer.most),
            "a round trip needs both ends, and each has to notice by itself",
        ),
    };
    let by = match starter.routing {
        Routing::Bgp => {
            "BGP's hold timer, less the age of the last keepalive, or dead peer detection if that is sooner"
        }
        Routing::Static => "dead peer detection, as there is no BGP",
    };
    let why = format!(
        "{} to {}: {who}. What notices is {by}. Then traffic moves to the next tunnel.",
        seconds(least),
        seconds(most)
    );
    Dark { least: least.saturating_sub(SLACK), most: most + SLACK, why }
}

/// When an end notices that a path is silent, counted from then.
struct Notices {
    least: Duration,
    most: Duration,
}

impl Notices {
    fn of(tunnel: &Tunnel, aws: bool) -> Self {
        let ike = if aws { &tunnel.aws } else { &tunnel.customer };
        let bgp = tunnel.bgp.as_ref().map(|(a, c)| if aws { held(a, c) } else { held(c, a) });
        let all: Vec<Self> = bgp.into_iter().chain(checked(ike)).collect();
        // What is sooner counts: the soonest of the earliest, and the soonest of the latest.
        let never = Duration::from_secs(u32::MAX.into());
        let soonest = |of: fn(&Self) -> Duration| all.iter().map(of).min().unwrap_or(never);
        Self { least: soonest(|it| it.least), most: soonest(|it| it.most) }
    }
}

/// The hold timer runs from the last keepalive, which is up to an interval old (RFC 4271 section 6.5).
fn held(own: &BgpEnd, peer: &BgpEnd) -> Notices {
    let hold = own.hold_time.min(peer.hold_time);
    let shortest = if own.hold_jitter { hold.scale(3, 4) } else { hold };
    let keepalive = peer.keepalive.min(hold.scale(1, 3));
    Notices { least: shortest.saturating_sub(keepalive), most: hold + own.poll }
}

/// Dead peer detection runs from the last packet, and traffic flows until the failure.
fn checked(end: &IkeEnd) -> Option<Notices> {
    if end.dpd.action == DpdTimeoutAction::None {
        return None;
    }
    let repeated = || end.retransmission.iter().fold(end.dpd.delay, |sum, wait| sum + *wait);
    let after = end.dpd.timeout.unwrap_or_else(repeated);
    // A check that is due while one is under way waits for it.
    Some(Notices { least: after, most: if end.dpd.timeout.is_some() { after } else { after + end.dpd.delay } })
}
