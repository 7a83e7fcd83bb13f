//! The two ends of each tunnel: what they will agree to, who calls, who notices, and in what time.

use core::fmt;

use sim_core::proto::ike::config::IkeVersion;
use sim_core::time::Duration;

use super::rule::{
    CLEAR_TEXT, ENDS_DO_NOT_FIT, IKEV1, LIFETIMES_DIFFER, NO_COMMON_PFS_GROUP, NOBODY_CALLS, NOBODY_CALLS_AGAIN,
    NOBODY_CHECKS, ROUTE_OUTLIVES_TUNNEL, Rule, SLOW_HOLD_TIMER, WEAK_SUITE,
};
use super::{Desk, some};
use crate::leaf::{Encryption, Integrity};
use crate::plan::{Connection, DpdTimeoutAction, IkeEnd, NodeKind, Phase, Routing, StartupAction, Tunnel};

/// BGP's hold time in AWS's configuration files.
const HOLD_TIME: Duration = Duration::from_secs(30);

/// What two ends agree to for one phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Suite {
    /// Encryption.
    pub encryption: Encryption,
    /// Integrity; `None` beside an AEAD.
    pub integrity: Option<Integrity>,
    /// Diffie-Hellman group, by its IANA number; `None` if there is no common one.
    pub dh_group: Option<u16>,
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.encryption)?;
        if let Some(integrity) = self.integrity {
            write!(f, "/{integrity}")?;
        }
        self.dh_group.map_or(Ok(()), |group| write!(f, "/group {group}"))
    }
}

/// What AWS takes of what both ends allow: from its lowest value upwards, whatever the order of either list. It is the same if AWS
/// begins, as it then offers its lowest value first, and a customer gateway takes the first that fits.
///
/// `None`: no cipher fits, or the one that does has no integrity algorithm that does.
pub fn negotiated(aws: &Phase, customer: &Phase) -> Option<Suite> {
    fn common<'a, T: Copy + Ord + 'a>(ours: &'a [T], theirs: &'a [T]) -> impl Iterator<Item = T> + 'a {
        let mut all: Vec<T> = ours.iter().filter(|it| theirs.contains(it)).copied().collect();
        all.sort_unstable();
        all.into_iter()
    }
    let integrity = common(&aws.integrity, &customer.integrity).next();
    let ids = |phase: &Phase| phase.dh_groups.iter().map(|group| group.id()).collect::<Vec<_>>();
    let dh_group = common(&ids(aws), &ids(customer)).next();
    common(&aws.encryption, &customer.encryption).find_map(|encryption| {
        let aead = crate::build::ike::encryption(encryption).is_aead();
        let fits = aead || integrity.is_some();
        fits.then_some(Suite { encryption, integrity: integrity.filter(|_| !aead), dh_group })
    })
}

pub(super) fn look(desk: &mut Desk<'_>) {
    let mut seen = Seen::default();
    for (_, connection, tunnel, path) in desk.tunnels() {
        let at = At { connection, tunnel, path: &path };
        at.fit(&mut seen);
        at.suites(&mut seen);
        at.calls(&mut seen);
        at.checks(&mut seen);
        at.lifetimes(&mut seen);
        at.hold_timer(&mut seen);
    }
    for Entry { rule, path, tunnels, text, change } in seen.0 {
        let subject = if tunnels.len() == 1 { "Tunnel" } else { "Tunnels" };
        desk.say(rule, path, format!("{subject} {}: {text}", some(&tunnels)), change);
    }
    outliving_routes(desk);
}

/// What is said of tunnels: the same of several is said once.
#[derive(Default)]
struct Seen(Vec<Entry>);

struct Entry {
    rule: Rule,
    path: String,
    tunnels: Vec<String>,
    text: String,
    change: String,
}

/// A tunnel under review.
struct At<'a> {
    connection: &'a Connection,
    tunnel: &'a Tunnel,
    path: &'a str,
}

impl At<'_> {
    fn say(&self, seen: &mut Seen, rule: Rule, setting: &str, text: String, change: impl Into<String>) {
        let name = self.tunnel.name.clone();
        let change = change.into();
        match seen.0.iter_mut().find(|entry| entry.rule == rule && entry.text == text && entry.change == change) {
            Some(entry) => entry.tunnels.push(name),
            None => {
                let path = format!("{}{setting}", self.path);
                seen.0.push(Entry { rule, path, tunnels: vec![name], text, change });
            }
        }
    }

    fn version(&self) -> Option<IkeVersion> {
        let aws = &self.tunnel.aws.ike_versions;
        [IkeVersion::V2, IkeVersion::V1]
            .into_iter()
            .find(|version| aws.contains(version) && self.tunnel.customer.ike_versions.contains(version))
    }

    /// What leaves the tunnel down from the start, or kills it at the first rekey.
    fn fit(&self, seen: &mut Seen) {
        let (aws, customer) = (&self.tunnel.aws, &self.tunnel.customer);
        let mut never = |setting: &str, what: String| {
            let text = format!("the tunnel never comes up: {what}.");
            self.say(
                seen,
                ENDS_DO_NOT_FIT,
                setting,
                text,
                "make the two ends agree; `vpnsim diagnose` tries which edit is enough",
            );
        };
        if self.version().is_none() {
            never(".ike_versions", "its ends have no version of IKE in common".into());
        }
        // Keys are compared and never said.
        if aws.credentials.is_none() && customer.credentials.is_none() && aws.psk != customer.psk {
            never(".customer.pre_shared_key", "its ends have two pre-shared keys".into());
        }
        let one = negotiated(&aws.phase1, &customer.phase1).filter(|suite| suite.dh_group.is_some());
        if one.is_none() {
            never(".phase1", "no proposal of phase 1 fits both ends".into());
        }
        let Some(two) = negotiated(&aws.phase2, &customer.phase2) else {
            return never(".phase2", "no proposal of phase 2 fits both ends".into());
        };
        if two.dh_group.is_none() {
            let text = "it comes up, as IKE_AUTH has no key exchange of its own, and its CHILD_SA cannot be rekeyed: no group for \
                        PFS fits both ends."
                .to_owned();
            self.say(seen, NO_COMMON_PFS_GROUP, ".phase2.dh_groups", text, "one group for PFS that both ends allow");
        }
    }

    fn suites(&self, seen: &mut Seen) {
        let (aws, customer) = (&self.tunnel.aws, &self.tunnel.customer);
        if self.version() == Some(IkeVersion::V1) {
            let text = "its ends agree on IKEv1, which is deprecated, and which cannot rekey phase 1 without authenticating anew.";
            self.say(seen, IKEV1, ".ike_versions", text.into(), "IKEv2 at both ends");
        }
        let (Some(one), Some(two)) =
            (negotiated(&aws.phase1, &customer.phase1), negotiated(&aws.phase2, &customer.phase2))
        else {
            return;
        };
        if two.encryption == Encryption::Null {
            let text = "phase 2 has NULL encryption: whoever is on the path reads everything.";
            self.say(seen, CLEAR_TEXT, ".phase2.encryption", text.into(), "AES128-GCM-16 or AES256-GCM-16");
        }
        let mut weak: Vec<String> = [one, two].into_iter().flat_map(weaknesses).collect();
        weak.sort_unstable();
        weak.dedup();
        if weak.is_empty() {
            return;
        }
        let text = format!(
            "of what both ends allow AWS takes the lowest: {one} for phase 1 and {two} for phase 2. The RFCs say of these: {}.",
            weak.join("; ")
        );
        let change = "restrict AWS's lists (phase1 and phase2 of the tunnel) to what is wanted, for example AES256-GCM-16, SHA2-256 and \
                      group 19 or 20: the customer gateway's order does not count";
        self.say(seen, WEAK_SUITE, "", text, change);
    }

    fn calls(&self, seen: &mut Seen) {
        let (aws, customer) = (&self.tunnel.aws, &self.tunnel.customer);
        if (aws.startup, customer.startup) == (StartupAction::Add, StartupAction::Add) {
            let text = "both ends wait for the other to begin (startup action add), so nobody does.".to_owned();
            let change = "startup action start at one end; at AWS's that takes IKEv2 and a registered address";
            return self.say(seen, NOBODY_CALLS, ".startup_action", text, change);
        }
        let restarts = |end: &IkeEnd| end.dpd.action == DpdTimeoutAction::Restart;
        let ends = |end: &IkeEnd| end.dpd.action == DpdTimeoutAction::Clear;
        let silent = aws.startup == StartupAction::Add && !restarts(aws) && !restarts(customer);
        if silent && (ends(aws) || ends(customer)) && self.is_static() {
            let text = "once dead peer detection has ended it, nobody calls again until the site has something to send: neither end \
                        restarts, AWS waits (startup action add), and there is no BGP that would try."
                .to_owned();
            self.say(seen, NOBODY_CALLS_AGAIN, ".dpd_timeout_action", text, "DPD timeout action restart at one end");
        }
    }

    /// Without BGP, dead peer detection alone notices a silent path.
    fn checks(&self, seen: &mut Seen) {
        let off = |end: &IkeEnd| end.dpd.action == DpdTimeoutAction::None;
        let (aws, customer) = (&self.tunnel.aws, &self.tunnel.customer);
        let (who, setting) = match (off(aws), off(customer)) {
            (true, true) => ("neither end looks", ".dpd_timeout_action"),
            (true, false) => ("AWS's end does not look", ".dpd_timeout_action"),
            (false, true) => ("the customer gateway does not look", ".customer.dpd_timeout_action"),
            (false, false) => return,
        };
        if self.is_static() {
            let text = format!(
                "{who} whether the other lives (DPD timeout action none), and routing is static: on a silent path traffic goes on \
                 into the dead tunnel for good."
            );
            self.say(seen, NOBODY_CHECKS, setting, text, "DPD timeout action restart, or BGP");
        }
    }

    fn lifetimes(&self, seen: &mut Seen) {
        let (aws, customer) = (&self.tunnel.aws, &self.tunnel.customer);
        for (phase, a, c) in [(1, &aws.phase1, &customer.phase1), (2, &aws.phase2, &customer.phase2)] {
            if a.lifetime != c.lifetime {
                let text = format!(
                    "the lifetime of phase {phase} is {} at AWS and {} at the customer gateway. AWS rekeys by its own, and warns that \
                     a difference can break the tunnel.",
                    a.lifetime, c.lifetime
                );
                let change = format!("{} at both ends", a.lifetime.min(c.lifetime));
                self.say(seen, LIFETIMES_DIFFER, &format!(".phase{phase}.lifetime"), text, change);
            }
        }
    }

    /// The lower of both hold times counts (RFC 4271 section 4.2).
    fn hold_timer(&self, seen: &mut Seen) {
        let Some((aws, customer)) = &self.tunnel.bgp else { return };
        let hold = aws.hold_time.min(customer.hold_time);
        let setting = "connections.".to_owned() + &self.connection.name + ".routing";
        let text = match hold {
            Duration::ZERO => {
                "its BGP has no hold timer (0 s at one end): a session over a silent path is up for good.".to_owned()
            }
            hold if hold > HOLD_TIME => format!(
                "its BGP holds a silent peer for alive for {hold}, where AWS's configuration files say {HOLD_TIME}, and there is no BFD \
                 through a VPN tunnel that would be faster."
            ),
            _ => return,
        };
        let change = format!("a hold time of {HOLD_TIME}");
        At { path: &setting, ..*self }.say(seen, SLOW_HOLD_TIMER, "", text, change);
    }

    fn is_static(&self) -> bool {
        matches!(self.connection.routing, Routing::Static(_))
    }
}

/// What RFC 8247 (section 2.3, 2.4) and RFC 8221 (section 6) hold against a suite.
fn weaknesses(suite: Suite) -> impl Iterator<Item = String> {
    let group = match suite.dh_group {
        Some(id @ (2 | 5)) => Some(format!("group {id}, of less than 2,048 bits, SHOULD NOT be used")),
        Some(22) => Some("group 22 MUST NOT be used".to_owned()),
        Some(id @ (23 | 24)) => Some(format!("group {id} SHOULD NOT be used")),
        _ => None,
    };
    let sha1 = (suite.integrity == Some(Integrity::Sha1)).then(|| "SHA1 is on its way out (MUST-)".to_owned());
    group.into_iter().chain(sha1)
}

/// A customer gateway that goes on using a static route whose tunnel is gone sends into nothing.
fn outliving_routes(desk: &mut Desk<'_>) {
    for node in &desk.plan.nodes {
        let NodeKind::CustomerGateway(cgw) = &node.kind else { continue };
        let into_tunnels = cgw
            .static_routes
            .iter()
            .any(|route| matches!(route.via, crate::plan::Via::Tunnel(_)) && route.track.is_none());
        if cgw.routes_follow_sa || !into_tunnels {
            continue;
        }
        let text = format!(
            "{} keeps a static route into a tunnel that has no SA (routes_follow_sa is false, or its profile says so): when the tunnel \
             is down, traffic is dropped there and does not move to another.",
            node.name
        );
        let change = "a track on the route, or routes that follow the SA (an updown script of the device), or BGP";
        desk.say(ROUTE_OUTLIVES_TUNNEL, format!("nodes.{}.static_routes", node.name), text, change);
    }
}
