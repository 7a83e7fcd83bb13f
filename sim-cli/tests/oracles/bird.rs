//! BIRD opposite our BGP speaker: its kernel's TCP against ours over a TUN device. It is configured by our export alone, as
//! the customer's router of a tunnel whose AWS end we are.

use std::path::Path;
use std::sync::mpsc::Receiver;

use sim_core::reason::State;
use sim_core::time::Duration;
use tempfile::TempDir;

use crate::customer::Customer;
use crate::network::isolated;
use crate::pace::Clock;
use crate::process::{Daemon, Outcome, expect, run_line, wait_for};
use crate::router::{OUR_AS, OURS, Router};

/// How many prefixes BIRD is to hold.
const PREFIXES: u16 = 1_000;
/// The site of `live.ron` with BGP, and without a route that is not learnt.
pub const SITE: [&str; 3] =
    ["connections.vpn.routing=Bgp()", "nodes.cgw.advertise=[\"10.1.0.0/16\"]", "nodes.cgw.static_routes=[]"];
/// What our export calls the session.
const SESSION: &str = "'vpn.a'";
/// Far more than anything here takes, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(30);

/// Who opens the TCP connection.
#[derive(Clone, Copy, PartialEq)]
enum Opener {
    We,
    Bird,
    /// Both, so that connections may collide (RFC 4271 section 6.8).
    Both,
}

#[test]
fn bird_accepts_our_connection() {
    session("bird::bird_accepts_our_connection", Opener::We, 30);
}

#[test]
fn bird_connects_to_us() {
    session("bird::bird_connects_to_us", Opener::Bird, 30);
}

#[test]
fn both_connect() {
    session("bird::both_connect", Opener::Both, 30);
}

#[test]
fn our_keepalives_hold_the_session() {
    session("bird::our_keepalives_hold_the_session", Opener::We, 3);
}

/// A session with a `hold` time in seconds: BIRD is Established, holds our prefixes as we announced them, gives up the
/// one that we withdraw, and is still Established when the hold time is long over, if that is short.
fn session(test: &str, opener: Opener, hold: u64) {
    isolated(test, || {
        let clock = Clock::start();
        let (mut router, inbox) = Router::new(opener == Opener::Bird, Duration::from_secs(hold), PREFIXES)?;
        let changes = SITE.map(str::to_owned);
        let customer = Customer::of(include_str!("live.ron"), &changes)?;
        let bird = Bird::start(&customer.export("bird", "")?, str::to_owned)?;
        // BIRD connects no sooner than 1 s after its start.
        if opener == Opener::Both {
            clock.serve(Duration::from_millis(900), &mut router, &inbox)?;
        }
        router.start(clock.now())?;
        judge(&clock, &mut router, &inbox, &bird, hold).map_err(|e| {
            let (ours, theirs) = (router.log(), bird.log());
            format!("{e}\n--- our speaker\n{ours}\n--- BIRD\n{theirs}")
        })
    });
}

fn judge(clock: &Clock, router: &mut Router, inbox: &Receiver<Vec<u8>>, bird: &Bird, hold: u64) -> Outcome {
    clock.run("Established", LIMIT, router, inbox, |r| r.state() == State::Established)?;
    // One more is its own.
    let held = |n: u16| format!("{n} of {0} routes for {0} networks", n + 1);
    let all = held(PREFIXES);
    let count = format!("show route count protocol {SESSION}");
    clock.ask("BIRD's table", LIMIT, router, inbox, || expect(&bird.birdc(&count)?, &[&all]))?;
    bird.established(hold)?;
    expect(
        &bird.birdc("show route all for 10.0.0.0/24")?,
        &["BGP.origin: IGP", &format!("BGP.as_path: {OUR_AS}\n"), &format!("BGP.next_hop: {OURS}\n")],
    )?;

    router.withdraw(clock.now(), 0)?;
    let fewer = held(PREFIXES - 1);
    clock.ask("BIRD after a withdrawal", LIMIT, router, inbox, || expect(&bird.birdc(&count)?, &[&fewer]))?;

    if hold < 30 {
        clock.serve(Duration::from_secs(2 * hold), router, inbox)?;
        bird.established(hold)?;
    }
    Ok(())
}

/// A BIRD.
pub struct Bird {
    _daemon: Daemon,
    dir: TempDir,
}

impl Bird {
    /// Starts BIRD with an exported configuration, by a command that `place` makes of BIRD's own.
    pub fn start(config: &Path, place: impl Fn(&str) -> String) -> Outcome<Self> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let (path, config) = (dir.path().display(), config.display());
        let line = format!("bird -d -c {config} -s {path}/ctl -P {path}/pid");
        let daemon = Daemon::start(&place(&line), &[], &dir.path().join("out"))?;
        let this = Self { _daemon: daemon, dir };
        wait_for("BIRD answers birdc", || this.birdc("show status"))?;
        Ok(this)
    }

    /// BIRD's own word that the session is Established with this hold time.
    pub fn established(&self, hold: u64) -> Outcome {
        expect(
            &self.birdc(&format!("show protocols all {SESSION}"))?,
            &["BGP state:          Established", &format!("/{hold}\n")],
        )
    }

    /// What BIRD says to one command.
    pub fn birdc(&self, words: &str) -> Outcome<String> {
        let control = self.dir.path().join("ctl");
        run_line(&format!("birdc -s {} {words}", control.display()))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("out")).unwrap_or_default()
    }
}
