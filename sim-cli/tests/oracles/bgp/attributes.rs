//! A route with every attribute goes through our speaker: from a peer whose octets are written here, to BIRD, which says what
//! arrived.

use sim_core::proto::bgp::policy::Policy;
use sim_core::proto::bgp::{Input, PeerConfig, PeerId, SpeakerConfig};
use sim_core::proto::tcp::TcpConfig;
use sim_core::reason::State;
use sim_core::time::Duration;

use super::LIMIT;
use super::octets::{connect, hello, say, update};
use crate::bird::Bird;
use crate::network::isolated;
use crate::pace::Clock;
use crate::process::{Outcome, expect, run_line};
use crate::router::{OUR_AS, OURS, Router, THEIR_AS, THEIRS, parse, peer};

/// The second link: our address on it, and BIRD's.
const OUR_SECOND: &str = "169.254.20.1";
const BIRDS: &str = "169.254.20.2";
/// BIRD's AS.
const BIRD_AS: u32 = 65_001;

/// Every attribute of RFC 4271 that an external peer sends, communities of three kinds and one of which nobody knows: type,
/// what it is, octets.
#[rustfmt::skip]
const ATTRIBUTES: [&[u8]; 11] = [
    // ORIGIN: EGP.
    &[0x40, 1, 1, 1],
    // AS_PATH: 65000 4200000001 (0xfa56ea01), then a set of 65100 (0xfe4c) and 65101.
    &[0x40, 2, 20, 2, 2, 0, 0, 0xfd, 0xe8, 0xfa, 0x56, 0xea, 0x01, 1, 2, 0, 0, 0xfe, 0x4c, 0, 0, 0xfe, 0x4d],
    // NEXT_HOP: 169.254.10.2.
    &[0x40, 3, 4, 169, 254, 10, 2],
    // MULTI_EXIT_DISC: 77.
    &[0x80, 4, 4, 0, 0, 0, 77],
    // ATOMIC_AGGREGATE.
    &[0x40, 6, 0],
    // AGGREGATOR: 4200000001, 192.0.2.9.
    &[0xc0, 7, 8, 0xfa, 0x56, 0xea, 0x01, 192, 0, 2, 9],
    // COMMUNITIES: 65000:1, 65000:2.
    &[0xc0, 8, 8, 0xfd, 0xe8, 0, 1, 0xfd, 0xe8, 0, 2],
    // EXTENDED COMMUNITIES: route target 65000:5.
    &[0xc0, 16, 8, 0, 2, 0xfd, 0xe8, 0, 0, 0, 5],
    // LARGE_COMMUNITY: 65000:2:3.
    &[0xc0, 32, 12, 0, 0, 0xfd, 0xe8, 0, 0, 0, 2, 0, 0, 0, 3],
    // Optional transitive 99, and optional non-transitive 98.
    &[0xc0, 99, 3, 1, 2, 3],
    &[0x80, 98, 1, 9],
];

/// Towards another AS (RFC 4271 section 5): our AS in front, our address as NEXT_HOP, no MED; all else as it came, but for the
/// Partial bit of what we do not know (0x20 of the flags).
#[test]
fn attributes_survive_to_another_as() {
    isolated("bgp::attributes::attributes_survive_to_another_as", || {
        let said = through()?;
        expect(
            &said,
            &[
                "BGP.origin: EGP",
                "BGP.as_path: 64512 65000 4200000001 {65100 65101}",
                "BGP.next_hop: 169.254.20.1",
                "BGP.local_pref: 100",
                "BGP.atomic_aggr:",
                "BGP.aggregator: 192.0.2.9 AS4200000001",
                "BGP.community: (65000,1) (65000,2)",
                "BGP.ext_community: (rt, 65000, 5)",
                "BGP.large_community: (65000, 2, 3)",
                "BGP.63 [t]: 01 02 03",
            ],
        )?;
        absent(&said, &["BGP.med", "BGP.62"])
    });
}

fn absent(text: &str, parts: &[&str]) -> Outcome {
    match parts.iter().find(|part| text.contains(**part)) {
        None => Ok(()),
        Some(found) => Err(format!("{found:?} in\n{text}")),
    }
}

/// What BIRD says of the route. Its kernel has the first peer's address too, so within our AS it would refuse the NEXT_HOP.
fn through() -> Outcome<String> {
    let clock = Clock::start();
    let second = PeerConfig::new("second", BIRD_AS, parse(OUR_SECOND)?, parse(BIRDS)?, parse("169.254.20.0/30")?);
    let first = PeerConfig { passive: true, import: Policy::accept_all(), ..peer(Duration::from_secs(90))? };
    let config = SpeakerConfig::new(OUR_AS, parse(OURS)?, vec![first, second]);
    let (mut router, inbox) = Router::with(config, TcpConfig::default())?;
    run_line(&format!("ip address add {BIRDS}/30 dev tun0"))?;
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let config = dir.path().join("bird.conf");
    let text = format!(
        "log stderr all;
router id {BIRDS};
protocol device {{ }}
protocol bgp 'vpn.a' {{
    local {BIRDS} as {BIRD_AS};
    neighbor {OUR_SECOND} as {OUR_AS};
    direct;
    connect delay time 1;
    ipv4 {{ import all; export none; gateway direct; }};
}}
"
    );
    std::fs::write(&config, text).map_err(|e| e.to_string())?;
    let bird = Bird::start(&config, str::to_owned)?;
    for n in 0..2 {
        router.input(clock.now(), Input::Start { peer: PeerId(n) })?;
    }
    assert_eq!(THEIR_AS, 65_000, "the octets above say so");
    let update = update(&ATTRIBUTES, &[24, 30, 0, 0]);
    let octets = [hello(THEIR_AS, parse(THEIRS)?), update].concat();
    let there = parse(OURS)?;
    let scripted = std::thread::spawn(move || connect(there).map(|stream| say(stream, octets)));
    let up = |router: &Router| (0..2).all(|n| router.speaker().state(PeerId(n)) == State::Established);
    let explain = |router: &Router, e| format!("{e}\n--- our speaker\n{}\n--- BIRD\n{}", router.log(), bird.log());
    clock.run("both sessions", LIMIT, &mut router, &inbox, up).map_err(|e| explain(&router, e))?;
    let said = clock.ask("the route", LIMIT, &mut router, &inbox, || {
        let said = bird.birdc("show route 30.0.0.0/24 all")?;
        if said.contains("BGP.origin") { Ok(said) } else { Err(said) }
    });
    let said = said.map_err(|e| explain(&router, e))?;
    drop(router);
    // It ends when the connection does, which has nobody any more.
    drop(scripted);
    Ok(said)
}
