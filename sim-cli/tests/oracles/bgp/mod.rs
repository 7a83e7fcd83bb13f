//! BIRD and FRR opposite our BGP speaker: what a session carries, how it ends, and what a malformed UPDATE does to it. Their
//! TCP is this machine's kernel's, ours is our own over a TUN device.

mod attributes;
mod endings;
mod interior;
mod ipv6;
mod ipv6_malformed;
mod malformed;
mod octets;
mod refreshes;
mod restarts;
mod sessions;
mod watched;

use std::sync::mpsc::Receiver;

use serde_json::Value;
use sim_core::proto::bgp::{PeerConfig, SpeakerConfig};
use sim_core::proto::tcp::TcpConfig;
use sim_core::reason::State;
use sim_core::time::Duration;

use crate::bird::Bird;
use crate::frr::Frr;
use crate::pace::Clock;
use crate::process::{Outcome, expect};
use crate::router::{OUR_AS, OURS, Router, THEIR_AS, THEIRS, networks, parse, peer};

/// Far more than anything here takes, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(25);
/// What BIRD's session is called.
const SESSION: &str = "'vpn.a'";

/// Whose program it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Bird,
    Frr,
}

/// How the other end is configured.
#[derive(Clone)]
struct Theirs {
    /// Hold time in seconds.
    hold: u64,
    /// Networks that it announces: 20.0.0.0/24, 20.0.1.0/24 and so on.
    prefixes: u16,
    password: Option<&'static str>,
    /// Most prefixes that it takes.
    limit: Option<u32>,
    graceful: bool,
}

impl Default for Theirs {
    fn default() -> Self {
        Self { hold: 90, prefixes: 1, password: None, limit: None, graceful: false }
    }
}

/// A running BIRD or FRR.
enum Program {
    Bird(Bird),
    Frr(Frr),
}

impl Program {
    fn start(kind: Kind, theirs: &Theirs) -> Outcome<Self> {
        Self::start_with(kind, theirs, "")
    }

    /// The same with more options of the program's command.
    fn start_with(kind: Kind, theirs: &Theirs, options: &str) -> Outcome<Self> {
        match kind {
            Kind::Bird => {
                let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
                let config = dir.path().join("bird.conf");
                std::fs::write(&config, theirs.bird()).map_err(|e| e.to_string())?;
                Bird::start(&config, |line| format!("{line} {options}")).map(Self::Bird)
            }
            Kind::Frr => Frr::start("bgpd", options, &theirs.frr()).map(Self::Frr),
        }
    }

    /// How many routes it has from us.
    fn routes(&self) -> Outcome<u64> {
        match self {
            Self::Bird(bird) => {
                let said = bird.birdc(&format!("show route count protocol {SESSION}"))?;
                let first = said.lines().find_map(|line| line.split_once(" of ")?.0.trim().parse().ok());
                first.ok_or(said)
            }
            Self::Frr(_) => {
                let peer = self.frr_peer()?;
                peer["pfxRcd"].as_u64().ok_or_else(|| peer.to_string())
            }
        }
    }

    fn has_routes(&self, count: u64) -> Outcome {
        let found = self.routes()?;
        if found == count { Ok(()) } else { Err(format!("{found} routes, not {count}")) }
    }

    /// What it says of the session.
    fn session(&self) -> Outcome<String> {
        match self {
            Self::Bird(bird) => bird.birdc(&format!("show protocols all {SESSION}")),
            Self::Frr(frr) => frr.ask(&format!("show bgp neighbors {OURS}")),
        }
    }

    fn established(&self) -> Outcome {
        match self {
            Self::Bird(..) => expect(&self.session()?, &["BGP state:          Established"]),
            Self::Frr(_) => expect(&self.frr_peer()?.to_string(), &["\"state\":\"Established\""]),
        }
    }

    /// What it says of a route to `prefix` from us; an error if it has none.
    fn route(&self, prefix: &str) -> Outcome<String> {
        match self {
            Self::Bird(bird) => bird
                .birdc(&format!("show route {prefix} all protocol {SESSION}"))
                .and_then(|said| if said.contains("BGP.origin") { Ok(said) } else { Err(said) }),
            Self::Frr(frr) => frr
                .ask(&format!("show bgp ipv4 unicast {prefix} json"))
                .and_then(|said| if said.contains("\"paths\"") { Ok(said) } else { Err(said) }),
        }
    }

    fn frr_peer(&self) -> Outcome<Value> {
        let Self::Frr(frr) = self else { return Err("this is BIRD".into()) };
        let said = frr.ask("show bgp ipv4 unicast summary json")?;
        let mut value: Value = serde_json::from_str(&said).map_err(|e| format!("{e}: {said}"))?;
        Ok(value["peers"][OURS].take())
    }

    fn log(&self) -> String {
        match self {
            Self::Bird(bird) => bird.log(),
            Self::Frr(frr) => frr.log(),
        }
    }
}

impl Theirs {
    fn networks(&self) -> impl Iterator<Item = String> {
        (0..self.prefixes).map(|n| {
            let [high, low] = n.to_be_bytes();
            format!("20.{high}.{low}.0/24")
        })
    }

    fn bird(&self) -> String {
        let routes: String = self.networks().map(|net| format!("    route {net} blackhole;\n")).collect();
        let password = self.password.map_or(String::new(), |password| format!("    password \"{password}\";\n"));
        let limit = self.limit.map_or(String::new(), |limit| format!(" import limit {limit} action disable;"));
        let (hold, graceful) = (self.hold, if self.graceful { "on" } else { "off" });
        format!(
            "log stderr all;
router id {THEIRS};
protocol device {{ }}
protocol static statics {{
    ipv4;
{routes}}}
protocol bgp {SESSION} {{
    local {THEIRS} as {THEIR_AS};
    neighbor {OURS} as {OUR_AS};
    direct;
    hold time {hold};
    startup hold time 30;
    connect delay time 1;
    connect retry time 2;
    error wait time 1, 2;
    graceful restart {graceful};
{password}    ipv4 {{ import all; export where source = RTS_STATIC;{limit} }};
}}
"
        )
    }

    fn frr(&self) -> String {
        let networks: String = self.networks().map(|net| format!("  network {net}\n")).collect();
        let of_peer = |what: String| format!(" neighbor {OURS} {what}\n");
        let password = self.password.map_or(String::new(), |password| of_peer(format!("password {password}")));
        let limit =
            self.limit.map_or(String::new(), |limit| format!(" {}", of_peer(format!("maximum-prefix {limit}"))));
        let graceful = match self.graceful {
            true => " bgp graceful-restart\n bgp graceful-restart preserve-fw-state\n",
            false => "",
        };
        // Otherwise it sends us back what is ours.
        let own = of_peer("filter-list own out".into());
        let timers = of_peer(format!("timers {} {}", self.hold / 3, self.hold)) + &of_peer("timers connect 2".into());
        let remote = of_peer(format!("remote-as {OUR_AS}"));
        format!(
            "log stdout
bgp as-path access-list own seq 5 permit ^$
router bgp {THEIR_AS}
 bgp router-id {THEIRS}
 no bgp ebgp-requires-policy
 no bgp network import-check
{graceful}{remote}{timers}{password} address-family ipv4 unicast
{networks}{limit}{own} exit-address-family
"
        )
    }
}

/// Both ends of a session.
struct Ends {
    clock: Clock,
    router: Router,
    inbox: Receiver<Vec<u8>>,
    program: Program,
}

impl Ends {
    /// Our end with so many networks, and theirs, both started.
    fn start(
        kind: Kind,
        theirs: &Theirs,
        prefixes: u16,
        tcp: TcpConfig,
        adjust: impl FnOnce(&mut PeerConfig),
    ) -> Outcome<Self> {
        let mut peer = peer(Duration::from_secs(theirs.hold))?;
        peer.connect_retry = Duration::from_secs(2);
        adjust(&mut peer);
        let mut config = SpeakerConfig::new(OUR_AS, parse(OURS)?, vec![peer]);
        config.networks = networks(prefixes)?;
        let clock = Clock::start();
        let (router, inbox) = Router::with(config, tcp)?;
        let program = Program::start(kind, theirs)?;
        let mut ends = Self { clock, router, inbox, program };
        ends.router.start(ends.clock.now())?;
        Ok(ends)
    }

    fn established(kind: Kind, theirs: &Theirs, prefixes: u16, adjust: impl FnOnce(&mut PeerConfig)) -> Outcome<Self> {
        let mut ends = Self::start(kind, theirs, prefixes, TcpConfig::default(), adjust)?;
        ends.come_up(u64::from(prefixes), u64::from(theirs.prefixes))?;
        Ok(ends)
    }

    /// Waits until each end has that many routes of the other's.
    fn come_up(&mut self, ours: u64, theirs: u64) -> Outcome {
        self.until("Established", |router| router.state() == State::Established)?;
        self.ask("our routes at the other end", |program| program.has_routes(ours))?;
        self.until("the other end's routes", |router| router.known() as u64 == theirs)
    }

    fn until(&mut self, what: &str, done: impl FnMut(&Router) -> bool) -> Outcome {
        let result = self.clock.run(what, LIMIT, &mut self.router, &self.inbox, done);
        result.map_err(|e| self.explain(e))
    }

    fn ask<T>(&mut self, what: &str, probe: impl Fn(&Program) -> Outcome<T>) -> Outcome<T> {
        let Self { clock, router, inbox, program } = self;
        let result = clock.ask(what, LIMIT, router, inbox, || probe(program));
        result.map_err(|e| self.explain(e))
    }

    fn serve(&mut self, seconds: u64) -> Outcome {
        self.clock.serve(Duration::from_secs(seconds), &mut self.router, &self.inbox)
    }

    fn explain(&self, error: String) -> String {
        let session = self.program.session().unwrap_or_else(|e| e);
        let (ours, theirs) = (self.router.log(), self.program.log());
        format!("{error}\n--- our speaker\n{ours}\n--- the other's log\n{theirs}\n--- its session\n{session}")
    }
}
