//! IPv6 unicast with BIRD and FRR over a session of IPv4 (RFC 4760, RFC 2545): the capability, routes both ways with all their
//! attributes, withdrawals, End-of-RIB, refreshes of AFI 2, and a restart.
//!
//! The session's link has an IPv6 subnet. BIRD is told its next hop, as its manual asks for where the transport is IPv4; FRR takes
//! it from the interface.

use ipnet::Ipv6Net;
use sim_core::proto::bgp::as_path::AsPath;
use sim_core::proto::bgp::attributes::{Attributes, Origin};
use sim_core::proto::bgp::communities::{AnyCommunity, Communities, Community, LargeCommunity};
use sim_core::proto::bgp::policy::{Change, Policy};
use sim_core::proto::bgp::{GracefulRestart, Input, Ipv6Config, Ipv6NextHop, Originated, Output, SpeakerConfig};
use sim_core::proto::tcp::TcpConfig;
use sim_core::reason::{State, Step};
use sim_core::time::Duration;

use super::{Ends, Kind, Program, SESSION};
use crate::bird::Bird;
use crate::frr::Frr;
use crate::network::isolated;
use crate::pace::Clock;
use crate::process::{Outcome, expect, run_line};
use crate::router::{OUR_AS, OURS, PEER, Router, THEIR_AS, THEIRS, networks, parse, peer};

/// Our next hop, of which the second is the link-local one, and the other's.
const OUR_NEXT_HOP: [&str; 2] = ["2001:db8:ff::1", "fe80::1"];
const THEIR_ADDRESS: &str = "2001:db8:ff::2";
const SUBNET: &str = "2001:db8:ff::/64";
/// How many networks of IPv6 each end announces: 2001:db8:a:0::/64 and on are ours, 2001:db8:b:0::/64 and on theirs.
const NETWORKS: u16 = 300;

fn ours(n: u16) -> String {
    format!("2001:db8:a:{n:x}::/64")
}

fn theirs(n: u16) -> String {
    format!("2001:db8:b:{n:x}::/64")
}

/// Theirs have MED 77, 65000 twice more in front, one community of two kinds, and ORIGIN INCOMPLETE.
fn bird() -> String {
    let routes: String = (0..NETWORKS).map(|n| format!("    route {} blackhole;\n", theirs(n))).collect();
    format!(
        "log stderr all;
router id {THEIRS};
protocol device {{ }}
protocol static statics {{
    ipv4;
    route 20.0.0.0/24 blackhole;
}}
protocol static statics6 {{
    ipv6;
{routes}}}
filter out6 {{
    if source != RTS_STATIC then reject;
    bgp_origin = ORIGIN_INCOMPLETE;
    bgp_med = 77;
    bgp_path.prepend({THEIR_AS});
    bgp_path.prepend({THEIR_AS});
    bgp_community.add((65000, 1));
    bgp_large_community.add((65000, 2, 3));
    accept;
}}
protocol bgp {SESSION} {{
    debug {{ packets }};
    local {THEIRS} as {THEIR_AS};
    neighbor {OURS} as {OUR_AS};
    direct;
    hold time 90;
    connect delay time 1;
    connect retry time 2;
    error wait time 1, 2;
    graceful restart on;
    ipv4 {{ import all; export where source = RTS_STATIC; }};
    ipv6 {{ import all; export filter out6; next hop address {THEIR_ADDRESS}; }};
}}
"
    )
}

fn frr() -> String {
    let routes: String = (0..NETWORKS).map(|n| format!("  network {}\n", theirs(n))).collect();
    format!(
        "log stdout
debug bgp updates in
bgp as-path access-list own seq 5 permit ^$
route-map out6 permit 10
 match as-path own
 set origin incomplete
 set metric 77
 set as-path prepend {THEIR_AS} {THEIR_AS}
 set community 65000:1
 set large-community 65000:2:3
router bgp {THEIR_AS}
 bgp router-id {THEIRS}
 no bgp ebgp-requires-policy
 no bgp network import-check
 bgp graceful-restart
 bgp graceful-restart preserve-fw-state
 neighbor {OURS} remote-as {OUR_AS}
 neighbor {OURS} timers connect 2
 address-family ipv4 unicast
  network 20.0.0.0/24
  neighbor {OURS} filter-list own out
 exit-address-family
 address-family ipv6 unicast
{routes}  neighbor {OURS} activate
  neighbor {OURS} route-map out6 out
 exit-address-family
"
    )
}

/// Both ends of a session with a network of IPv4 and 300 of IPv6 on either side, with every route arrived.
pub(super) fn established(kind: Kind) -> Outcome<Ends> {
    let mut peer = peer(Duration::from_secs(90))?;
    peer.connect_retry = Duration::from_secs(2);
    peer.capabilities.enhanced_refresh = true;
    let restart_time = Duration::from_secs(60);
    peer.graceful_restart = Some(GracefulRestart { restart_time, ..GracefulRestart::default() });
    let [global, link_local] = OUR_NEXT_HOP;
    let local = Ipv6NextHop { global: parse(global)?, link_local: Some(parse(link_local)?) };
    let community = Community::new(64512, 7);
    let large = LargeCommunity { asn: 64512, first: 8, second: 9 };
    let changes = vec![
        Change::AddCommunity(AnyCommunity::Standard(community)),
        Change::AddCommunity(AnyCommunity::Large(large)),
        Change::Prepend(1),
    ];
    let export = Policy::change_all(changes);
    peer.ipv6 = Some(Box::new(Ipv6Config { export, ..Ipv6Config::new(local, parse(SUBNET)?) }));
    let mut config = SpeakerConfig::new(OUR_AS, parse(OURS)?, vec![peer]);
    config.networks = networks(1)?;
    let route = Originated { origin: Origin::Egp, med: Some(55), ..Originated::default() };
    for n in 0..NETWORKS {
        config.ipv6_networks.push((parse(&ours(n))?, route.clone()));
    }
    let clock = Clock::start();
    let (router, inbox) = Router::with(config, TcpConfig::default())?;
    run_line(&format!("ip -6 address add {THEIR_ADDRESS}/64 dev tun0 nodad"))?;
    let program = match kind {
        Kind::Bird => {
            let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
            let config = dir.path().join("bird.conf");
            std::fs::write(&config, bird()).map_err(|e| e.to_string())?;
            Program::Bird(Bird::start(&config, str::to_owned)?)
        }
        Kind::Frr => Program::Frr(Frr::start("bgpd", "", &frr())?),
    };
    let mut ends = Ends { clock, router, inbox, program };
    ends.router.start(ends.clock.now())?;
    ends.until("Established", |router| router.state() == State::Established)?;
    ends.ask("our routes at the other end", |program| has(program, NETWORKS.into()))?;
    ends.until("the other end's routes", |router| known(router) == usize::from(NETWORKS))?;
    Ok(ends)
}

/// How many routes of IPv6 the other end has announced.
fn known(router: &Router) -> usize {
    router.speaker().ipv6_adj_rib_in(PEER).map_or(0, |heard| heard.len())
}

/// The other end has so many routes of IPv6 from us.
fn has(program: &Program, count: u64) -> Outcome {
    let found: u64 = match program {
        Program::Bird(bird) => {
            let said = bird.birdc(&format!("show route table master6 count protocol {SESSION}"))?;
            let first = said.lines().find_map(|line| line.split_once(" of ")?.0.trim().parse().ok());
            first.ok_or(said)?
        }
        Program::Frr(frr) => {
            let said = frr.ask("show bgp ipv6 unicast summary json")?;
            let value: serde_json::Value = serde_json::from_str(&said).map_err(|e| format!("{e}: {said}"))?;
            value["peers"][OURS]["pfxRcd"].as_u64().ok_or(said)?
        }
    };
    if found == count { Ok(()) } else { Err(format!("{found} routes of IPv6, not {count}")) }
}

/// The other end has this route of IPv6.
pub(super) fn has_route(program: &Program, prefix: &str) -> Outcome {
    match program {
        Program::Bird(bird) => expect(&bird.birdc(&format!("show route table master6 {prefix} all"))?, &["BGP.origin"]),
        Program::Frr(frr) => expect(&frr.ask(&format!("show bgp ipv6 unicast {prefix} json"))?, &["\"paths\""]),
    }
}

/// The other end has ended the session for an UPDATE.
pub(super) fn saw_notification(router: &Router) -> bool {
    router.notifications(false).iter().any(|(code, _)| *code == 3)
}

fn saw(step: Step, times: usize) -> impl Fn(&Router) -> bool {
    let is = move |output: &&Output| matches!(output, Output::Step { step: s, .. } if *s == step);
    move |router| router.reports.iter().filter(is).count() >= times
}

/// What the other end announced has arrived whole and with nothing else, by the address of its that we know.
fn judge(route: &Attributes<Ipv6Net>) -> Outcome {
    let mut communities = Communities::default();
    communities.insert(AnyCommunity::Standard(Community::new(65000, 1)));
    communities.insert(AnyCommunity::Large(LargeCommunity { asn: 65000, first: 2, second: 3 }));
    let expected = Attributes {
        origin: Origin::Incomplete,
        as_path: AsPath::sequence([THEIR_AS; 3]),
        med: Some(77),
        communities,
        ..Attributes::new(Ipv6NextHop { global: parse(THEIR_ADDRESS)?, ..route.next_hop })
    };
    if *route == expected { Ok(()) } else { Err(format!("{route:?} is not {expected:?}")) }
}

#[test]
fn routes_of_ipv6_and_bird() {
    isolated("bgp::ipv6::routes_of_ipv6_and_bird", || routes(Kind::Bird));
}

#[test]
fn routes_of_ipv6_and_frr() {
    isolated("bgp::ipv6::routes_of_ipv6_and_frr", || routes(Kind::Frr));
}

/// The capability is seen at both ends; every route arrives with each attribute; a withdrawal takes one and leaves the rest; each
/// family's table ends with its own End-of-RIB, ours too.
fn routes(kind: Kind) -> Outcome {
    let mut ends = established(kind)?;
    ends.until("the End-of-RIB of both families", saw(Step::EndOfRibReceived, 2))?;
    let heard = ends.router.speaker().ipv6_adj_rib_in(PEER).ok_or("no IPv6")?;
    for n in [0, NETWORKS - 1] {
        let route = heard.get(&parse(&theirs(n))?).ok_or_else(|| format!("no {}", theirs(n)))?;
        judge(route).map_err(|e| ends.explain(e))?;
    }
    let theirs_says = |ends: &Ends| -> Outcome {
        match &ends.program {
            Program::Bird(bird) => {
                let session = bird.birdc(&format!("show protocols all {SESSION}"))?;
                expect(&session, &["AF announced: ipv4 ipv6"])?;
                let route = bird.birdc(&format!("show route table master6 {} all protocol {SESSION}", ours(0)))?;
                expect(
                    &route,
                    &[
                        "BGP.origin: EGP",
                        "BGP.as_path: 64512 64512",
                        "BGP.next_hop: 2001:db8:ff::1 fe80::1",
                        "BGP.med: 55",
                        "BGP.community: (64512,7)",
                        "BGP.large_community: (64512, 8, 9)",
                    ],
                )
            }
            Program::Frr(frr) => {
                let session = frr.ask(&format!("show bgp neighbors {OURS}"))?;
                expect(&session, &["Address Family IPv6 Unicast: advertised and received"])?;
                let route = frr.ask(&format!("show bgp ipv6 unicast {}", ours(0)))?;
                expect(
                    &route,
                    &[
                        "64512 64512",
                        "2001:db8:ff::1 from 169.254.10.1",
                        "(fe80::1)",
                        "Origin EGP, metric 55, valid, external",
                        "Community: 64512:7",
                        "Large Community: 64512:8:9",
                    ],
                )
            }
        }
    };
    theirs_says(&ends).map_err(|e| ends.explain(e))?;
    let end_of_rib = match kind {
        Kind::Bird => "Got END-OF-RIB",
        Kind::Frr => "rcvd End-of-RIB for IPv6 Unicast from 169.254.10.1",
    };
    let marks = ends.program.log().matches(end_of_rib).count();
    if marks != if kind == Kind::Bird { 2 } else { 1 } {
        return Err(ends.explain(format!("{marks} of {end_of_rib:?}")));
    }

    ends.router.input(ends.clock.now(), Input::WithdrawOriginatedIpv6 { prefix: parse(&ours(0))? })?;
    ends.ask("one route less", |program| has(program, u64::from(NETWORKS) - 1))?;
    match &ends.program {
        Program::Bird(bird) => drop(bird.birdc("disable statics6")?),
        Program::Frr(frr) => {
            let (bgp, no) = (format!("router bgp {THEIR_AS}"), format!("no network {}", theirs(0)));
            frr.configure(&[&bgp, "address-family ipv6 unicast", &no])?;
        }
    }
    let left = if kind == Kind::Bird { 0 } else { usize::from(NETWORKS) - 1 };
    ends.until("what the other end withdrew", |router| known(router) == left)?;
    // IPv4 has nothing to do with it.
    ends.come_up(1, 1)
}

#[test]
fn bird_and_we_refresh_ipv6() {
    isolated("bgp::ipv6::bird_and_we_refresh_ipv6", || refreshed(Kind::Bird));
}

#[test]
fn frr_and_we_refresh_ipv6() {
    isolated("bgp::ipv6::frr_and_we_refresh_ipv6", || refreshed(Kind::Frr));
}

/// We ask for the tables of both families, and all of IPv6 comes again; the other end asks for that of IPv6, and has it again.
fn refreshed(kind: Kind) -> Outcome {
    let mut ends = established(kind)?;
    ends.serve(1)?;
    ends.router.reports.clear();
    ends.router.input(ends.clock.now(), Input::Refresh { peer: PEER })?;
    let again = |router: &Router| {
        let of = |output: &Output| match output {
            Output::Step { step: Step::UpdateReceived, ipv6_prefixes: Some(told), .. } => told.announced.len(),
            _ => 0,
        };
        router.reports.iter().map(of).sum::<usize>() == usize::from(NETWORKS)
    };
    ends.until("all of IPv6 again", again)?;
    ends.until("the ends of both tables", saw(Step::EndOfRefreshReceived, 2))?;
    ends.router.reports.clear();
    let answered = |router: &Router| {
        let of = |output: &Output| match output {
            Output::Step { step: Step::UpdateSent, ipv6_prefixes: Some(told), .. } => told.announced.len(),
            _ => 0,
        };
        router.reports.iter().map(of).sum::<usize>() == usize::from(NETWORKS)
    };
    match &ends.program {
        Program::Bird(bird) => drop(bird.birdc(&format!("reload in {SESSION}"))?),
        Program::Frr(frr) => drop(frr.ask(&format!("clear bgp ipv6 unicast {OURS} in"))?),
    }
    ends.until("our answer", answered)?;
    ends.serve(1)?;
    ends.ask("all of ours", |program| has(program, NETWORKS.into()))?;
    if known(&ends.router) == usize::from(NETWORKS) { Ok(()) } else { Err(ends.explain("routes were swept".into())) }
}

#[test]
fn we_keep_the_ipv6_of_frr() {
    isolated("bgp::ipv6::we_keep_the_ipv6_of_frr", || {
        let mut ends = established(Kind::Frr)?;
        ends.serve(2)?;
        ends.router.reports.clear();
        if let Program::Frr(frr) = &mut ends.program {
            frr.daemon.kill();
        }
        // One of IPv4 and all of IPv6.
        let retained = Output::Retained { peer: PEER, routes: usize::from(NETWORKS) + 1 };
        ends.until("stale routes", |router| router.reports.contains(&retained))?;
        if let Program::Frr(frr) = &mut ends.program {
            frr.begin_again()?;
        }
        let mut least = usize::MAX;
        ends.until("both ends of its tables", |router| {
            least = least.min(known(router));
            saw(Step::EndOfRibReceived, 2)(router)
        })?;
        match least.min(known(&ends.router)) {
            least if least == usize::from(NETWORKS) => Ok(()),
            least => Err(ends.explain(format!("only {least} routes were left meanwhile"))),
        }
    });
}

#[test]
fn bird_keeps_our_ipv6() {
    isolated("bgp::ipv6::bird_keeps_our_ipv6", || restarted(Kind::Bird));
}

#[test]
fn frr_keeps_our_ipv6() {
    isolated("bgp::ipv6::frr_keeps_our_ipv6", || restarted(Kind::Frr));
}

/// Our program ends without a word: the other end keeps what we said of IPv6 while we are away, and we what it said; when we
/// are back, and have said End-of-RIB, a network that an operator had typed is gone there.
fn restarted(kind: Kind) -> Outcome {
    let mut ends = established(kind)?;
    let (prefix, route) = (parse("2001:db8:c::/48")?, Originated::default());
    ends.router.input(ends.clock.now(), Input::OriginateIpv6 { prefix, route })?;
    ends.ask("one more", |program| has(program, u64::from(NETWORKS) + 1))?;
    ends.router.input(ends.clock.now(), Input::Restart { forwarding: true })?;
    ends.serve(3)?;
    let stale = |program: &Program| match program {
        Program::Bird(..) => has(program, u64::from(NETWORKS) + 1),
        Program::Frr(frr) => expect(&frr.ask(&format!("show bgp ipv6 unicast {} json", ours(3)))?, &["\"stale\":true"]),
    };
    ends.ask("stale routes", stale)?;
    ends.router.start(ends.clock.now())?;
    ends.until("Established", |router| router.state() == State::Established)?;
    ends.ask("what we said again", |program| has(program, NETWORKS.into()))?;
    ends.until("the other end's routes", |router| known(router) == usize::from(NETWORKS))
}

/// A session for IPv6 alone, on a link without an IPv6 address of FRR's: it names its IPv4 address as an IPv4-mapped one. We take
/// that for connected if the subnet is written so, and no IPv4 is exchanged.
#[test]
fn ipv6_alone_and_ipv4_mapped() {
    isolated("bgp::ipv6::ipv6_alone_and_ipv4_mapped", || {
        let mut peer = peer(Duration::from_secs(90))?;
        peer.connect_retry = Duration::from_secs(2);
        let ours: std::net::Ipv6Addr = parse(&format!("::ffff:{OURS}"))?;
        peer.ipv6 = Some(Box::new(Ipv6Config::new(ours, parse(&format!("::ffff:{OURS}/126"))?)));
        let mut config = SpeakerConfig::new(OUR_AS, parse(OURS)?, vec![peer]);
        config.networks = networks(1)?;
        let clock = Clock::start();
        let (router, inbox) = Router::with(config, TcpConfig::default())?;
        run_line("ip -6 address flush dev tun0")?;
        let text = format!(
            "log stdout
router bgp {THEIR_AS}
 bgp router-id {THEIRS}
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 neighbor {OURS} remote-as {OUR_AS}
 neighbor {OURS} timers connect 2
 address-family ipv4 unicast
  network 20.0.0.0/24
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:b::/64
  neighbor {OURS} activate
 exit-address-family
"
        );
        let program = Program::Frr(Frr::start("bgpd", "", &text)?);
        let mut ends = Ends { clock, router, inbox, program };
        ends.router.start(ends.clock.now())?;
        ends.until("the route", |router| known(router) == 1)?;
        ends.serve(1)?;
        let heard = ends.router.speaker().ipv6_adj_rib_in(PEER).ok_or("no IPv6")?;
        let next_hop = heard.get(&parse("2001:db8:b::/64")?).ok_or("no route")?.next_hop;
        let used = ends.router.speaker().ipv6_routes().is_some_and(|routes| routes.len() == 1);
        let said = format!("{next_hop:?}, used: {used}, IPv4: {}", ends.router.known());
        let mapped: std::net::Ipv6Addr = parse(&format!("::ffff:{THEIRS}"))?;
        if next_hop.global == mapped && used && ends.router.known() == 0 { Ok(()) } else { Err(ends.explain(said)) }
    });
}
