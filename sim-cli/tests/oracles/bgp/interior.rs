//! Inside of one AS (RFC 4456): a route with every attribute goes from a peer whose octets are written here to a reflector, from
//! there to us, who are its client and a reflector, too, and from us to our client, who says what arrived.

use std::net::Ipv4Addr;

use sim_core::proto::bgp::{Input, PeerConfig, PeerId, SpeakerConfig};
use sim_core::proto::tcp::TcpConfig;
use sim_core::reason::State;

use super::octets::{connect, hello, next_hop, say, update};
use super::{Kind, LIMIT};
use crate::bird::Bird;
use crate::frr::Frr;
use crate::network::{Namespace, isolated};
use crate::pace::Clock;
use crate::process::{Outcome, expect, run_line, wait_for};
use crate::router::{OUR_AS, OURS, Router, THEIRS, parse};

/// The second link: our address on it, and BIRD's. FRR is on the first.
const OUR_SECOND: &str = "169.254.20.1";
const BIRDS: &str = "169.254.20.2";
/// The link of the first peer: the kernel's address, and the peer's, which is in another namespace.
const NEAR: &str = "169.254.30.1";
const FIRST: &str = "169.254.30.2";

/// What the route has beside NEXT_HOP.
#[rustfmt::skip]
const ATTRIBUTES: [&[u8]; 12] = [
    // ORIGIN: EGP.
    &[0x40, 1, 1, 1],
    // AS_PATH: 65010 (0xfdf2) 4200000001 (0xfa56ea01), then a set of 65100 (0xfe4c) and 65101.
    &[0x40, 2, 20, 2, 2, 0, 0, 0xfd, 0xf2, 0xfa, 0x56, 0xea, 0x01, 1, 2, 0, 0, 0xfe, 0x4c, 0, 0, 0xfe, 0x4d],
    // MULTI_EXIT_DISC: 77.
    &[0x80, 4, 4, 0, 0, 0, 77],
    // LOCAL_PREF: 210.
    &[0x40, 5, 4, 0, 0, 0, 210],
    // ATOMIC_AGGREGATE.
    &[0x40, 6, 0],
    // AGGREGATOR: 4200000001, 192.0.2.9.
    &[0xc0, 7, 8, 0xfa, 0x56, 0xea, 0x01, 192, 0, 2, 9],
    // COMMUNITIES: 65010:1, 65010:2.
    &[0xc0, 8, 8, 0xfd, 0xf2, 0, 1, 0xfd, 0xf2, 0, 2],
    // ORIGINATOR_ID and CLUSTER_LIST: the first peer had it from another reflector.
    &[0x80, 9, 4, 192, 0, 2, 77],
    &[0x80, 10, 4, 192, 0, 2, 78],
    // EXTENDED COMMUNITIES: route target 65010:5.
    &[0xc0, 16, 8, 0, 2, 0xfd, 0xf2, 0, 0, 0, 5],
    // LARGE_COMMUNITY: 65010:2:3.
    &[0xc0, 32, 12, 0, 0, 0xfd, 0xf2, 0, 0, 0, 2, 0, 0, 0, 3],
    // Optional transitive 99.
    &[0xc0, 99, 3, 1, 2, 3],
];

/// Nothing of the route changes on its way but for CLUSTER_LIST, to which each reflector puts itself in front; who reflects a
/// route first says who had it.
#[test]
fn from_frr_by_us_to_bird() {
    isolated("bgp::interior::from_frr_by_us_to_bird", || {
        let [first, second] = reflected(Kind::Frr)?;
        expect(
            &first,
            &[
                "BGP.origin: EGP",
                "BGP.as_path: 65010 4200000001 {65100 65101}",
                "BGP.next_hop: 169.254.30.2",
                "BGP.med: 77",
                "BGP.local_pref: 210",
                "BGP.atomic_aggr:",
                "BGP.aggregator: 192.0.2.9 AS4200000001",
                "BGP.community: (65010,1) (65010,2)",
                "BGP.originator_id: 192.0.2.77",
                "BGP.cluster_list: 169.254.10.1 169.254.10.2 192.0.2.78",
                "BGP.ext_community: (rt, 65010, 5)",
                "BGP.large_community: (65010, 2, 3)",
                "BGP.63 [t]: 01 02 03",
            ],
        )?;
        expect(&second, &["BGP.originator_id: 169.254.30.2", "BGP.cluster_list: 169.254.10.1 169.254.10.2\n"])
    });
}

#[test]
fn from_bird_by_us_to_frr() {
    isolated("bgp::interior::from_bird_by_us_to_frr", || {
        let [first, second] = reflected(Kind::Bird)?;
        expect(
            &first,
            &[
                "65010 4200000001 {65100,65101}, (aggregated by 4200000001 192.0.2.9)",
                "169.254.30.2 from 169.254.10.1 (192.0.2.77)",
                "Origin EGP, metric 77, localpref 210, valid, internal, atomic-aggregate",
                "Community: 65010:1 65010:2",
                "Extended Community: RT:65010:5",
                "Large Community: 65010:2:3",
                "Originator: 192.0.2.77, Cluster list: 169.254.10.1 169.254.20.2 192.0.2.78",
            ],
        )?;
        expect(&second, &["Originator: 169.254.30.2, Cluster list: 169.254.10.1 169.254.20.2"])
    });
}

/// What the other daemon says of the two routes that `reflector` has from the first peer: one with every attribute, and one that
/// nobody reflected before.
fn reflected(reflector: Kind) -> Outcome<[String; 2]> {
    let clock = Clock::start();
    let link = |name, ours, theirs, client| -> Outcome<PeerConfig> {
        let peer = PeerConfig::new(name, OUR_AS, parse(ours)?, parse(theirs)?, parse(&format!("{ours}/30"))?);
        Ok(PeerConfig { route_reflector_client: client, ..peer })
    };
    let peers = vec![
        link("frr", OURS, THEIRS, reflector == Kind::Bird)?,
        link("bird", OUR_SECOND, BIRDS, reflector == Kind::Frr)?,
    ];
    let config = SpeakerConfig::new(OUR_AS, parse(OURS)?, peers);
    let (mut router, inbox) = Router::with(config, TcpConfig::default())?;
    run_line(&format!("ip address add {BIRDS}/30 dev tun0"))?;
    let namespace = Namespace::new()?;
    namespace.connect(&format!("{NEAR}/30"), &format!("{FIRST}/30"))?;
    namespace.run(&format!("ip route add default via {NEAR}"))?;

    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let file = dir.path().join("bird.conf");
    std::fs::write(&file, bird(reflector)).map_err(|e| e.to_string())?;
    let bird = Bird::start(&file, str::to_owned)?;
    let frr = Frr::start("bgpd", &format!("-l {THEIRS}"), &frr(reflector))?;
    for n in 0..2 {
        router.input(clock.now(), Input::Start { peer: PeerId(n) })?;
    }
    let next_hop = next_hop(parse(FIRST)?);
    let all = [&ATTRIBUTES[..2], &[&next_hop[..]], &ATTRIBUTES[2..]].concat();
    let few = [ATTRIBUTES[0], ATTRIBUTES[1], &next_hop, ATTRIBUTES[3]];
    let octets = [hello(OUR_AS, parse(FIRST)?), update(&all, &[24, 30, 0, 0]), update(&few, &[24, 30, 0, 1])].concat();
    let there: Ipv4Addr = parse(if reflector == Kind::Frr { THEIRS } else { BIRDS })?;
    let stream = namespace.inside(move || wait_for("the reflector", || connect(there)))?;
    let scripted = say(stream, octets);

    let explain = |router: &Router, e| {
        format!("{e}\n--- our speaker\n{}\n--- BIRD\n{}\n--- FRR\n{}", router.log(), bird.log(), frr.log())
    };
    let up = |router: &Router| (0..2).all(|n| router.speaker().state(PeerId(n)) == State::Established);
    clock.run("both sessions", LIMIT, &mut router, &inbox, up).map_err(|e| explain(&router, e))?;
    let of = |prefix: &str| match reflector {
        Kind::Frr => bird.birdc(&format!("show route {prefix} all")),
        Kind::Bird => frr.ask(&format!("show bgp ipv4 unicast {prefix}")),
    };
    let said = clock.ask("the routes", LIMIT, &mut router, &inbox, || {
        let said = [of("30.0.0.0/24")?, of("30.0.1.0/24")?];
        let there = |said: &String| said.contains("originator_id") || said.contains("Originator");
        if said.iter().all(there) { Ok(said) } else { Err(said.join("\n")) }
    });
    let said = said.map_err(|e| explain(&router, e))?;
    drop(router);
    // It ends when the reflector does.
    drop(scripted);
    Ok(said)
}

/// BIRD's configuration: the reflector's, or our client's.
fn bird(reflector: Kind) -> String {
    let client = format!(
        "protocol bgp 'vpn.first' {{
    local {BIRDS} as {OUR_AS};
    strict bind yes;
    neighbor {FIRST} as {OUR_AS};
    rr client;
    passive yes;
    ipv4 {{ import all; export all; }};
}}
"
    );
    let (first, role) = if reflector == Kind::Bird { (client.as_str(), "rr client;") } else { ("", "") };
    format!(
        "log stderr all;
router id {BIRDS};
protocol device {{ }}
protocol direct {{ ipv4; }}
{first}protocol bgp 'vpn.ours' {{
    local {BIRDS} as {OUR_AS};
    strict bind yes;
    neighbor {OUR_SECOND} as {OUR_AS};
    connect delay time 1;
    {role}
    ipv4 {{ import all; export where source = RTS_BGP; }};
}}
"
    )
}

/// FRR's, in the same way.
fn frr(reflector: Kind) -> String {
    let neighbors: &[&str] = if reflector == Kind::Frr { &[OURS, FIRST] } else { &[OURS] };
    let each = |what: &dyn Fn(&str) -> String| neighbors.iter().map(|neighbor| what(neighbor)).collect::<String>();
    let remote = each(&|it| format!(" neighbor {it} remote-as {OUR_AS}\n neighbor {it} timers connect 2\n"));
    let client = match reflector {
        Kind::Frr => each(&|it| format!("  neighbor {it} route-reflector-client\n")),
        Kind::Bird => String::new(),
    };
    format!(
        "log stdout
router bgp {OUR_AS}
 bgp router-id {THEIRS}
{remote} address-family ipv4 unicast
{client} exit-address-family
"
    )
}
