//! strongSwan and our machine while the address of one of them changes (RFC 4555): the SAs stay, and traffic with them.
//!
//! The address is taken from the interface, as a provider does it. strongSwan hears of that from the kernel, waits a moment for more
//! to come, and requests the update; ours is told. strongSwan's user-space ESP cannot move an SA, so strongSwan rekeys the CHILD_SA
//! as soon as an update is through, and what it sends until then is lost.

use std::net::Ipv4Addr;

use sim_core::proto::ike::config::Mobike;

use crate::customer::Customer;
use crate::live::{APP, OFFICE, Program};
use crate::network::isolated;
use crate::process::{Outcome, expect, run_line, wait_for};
use crate::strongswan::{Initiator, OURS, Pair, StrongSwan, Suite, THEIRS};

/// Where the end that moves is from then on.
const LATER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);
/// strongSwan's words for a request of its own.
const REQUESTED: &str = "requesting address change using MOBIKE";

/// strongSwan is the site of a scenario whose AWS's end answers the announcement, as AWS does not. Pings cross all the time; while
/// strongSwan has no address and has not noticed yet, some are lost.
#[test]
fn strongswan_moves() {
    /// Twenty a second for ten seconds.
    const PINGS: u32 = 200;
    /// Two seconds.
    const MOST_LOST: u32 = 40;
    isolated("mobike::strongswan_moves", || {
        let mobike = ["mobike", "customer.mobike"].map(|end| format!("connections.vpn.tunnels.a.{end}=true"));
        let customer =
            Customer::of(include_str!("live.ron"), &[Suite::AWS_DEFAULT.changes(), mobike.to_vec()].concat())?;
        let config = customer.export("swanctl", &format!("--live --listen {OURS}"))?;
        let strongswan = StrongSwan::start([APP, OFFICE])?;
        let sets: String = mobike.iter().map(|change| format!(" --set {change}")).collect();
        let quiet = "--set faults.cut.enabled=false --set expect.cut.min=0";
        let mut program =
            Program::with(include_str!("live.ron"), &format!("--listen {OURS} {quiet}{sets}"), str::to_owned)?;
        let moved = || {
            strongswan.load(&config)?;
            wait_for("strongSwan's SAs", || expect(&strongswan.sas()?, &["ESTABLISHED, IKEv2", "INSTALLED"]))?;
            let before = strongswan.ike_sa()?;
            strongswan.echoes(20)?;
            let line = strongswan.line(&format!("ping -q -c {PINGS} -i 0.05 -W 2 -I {OFFICE} {APP}"));
            let pings = std::thread::spawn(move || run_line(&line));
            // While pings cross.
            strongswan.echoes(50)?;
            readdress(&strongswan)?;
            let said = pings.join().map_err(|_| "the pings' thread panicked")??;
            wait_for("strongSwan's new address", || expect(&strongswan.sas()?, &[&format!("@ {LATER}[4500]")]))?;
            expect(&strongswan.log(), &[REQUESTED])?;
            if strongswan.ike_sa()? != before {
                return Err("another IKE_SA".into());
            }
            strongswan.echoes(100)?;
            strongswan.children(1)?;
            let received = received(&said).ok_or_else(|| format!("no count in\n{said}"))?;
            if received + MOST_LOST < PINGS {
                Err(format!("{received} of {PINGS} pings were answered"))
            } else {
                Ok(())
            }
        };
        let report = moved().and_then(|()| program.end("INT"));
        let report = report.map_err(|e| format!("{e}\n--- strongSwan\n{}", strongswan.log()))?;
        let sessions = report["sessions"].to_string();
        if sessions.contains(r#""to":"down""#) { Err(format!("a session went down: {sessions}")) } else { Ok(()) }
    });
}

/// Takes strongSwan's address away and gives it another.
fn readdress(strongswan: &StrongSwan) -> Outcome {
    run_line(&strongswan.line(&format!("ip address del {THEIRS}/24 dev wire0")))?;
    run_line(&strongswan.line(&format!("ip address add {LATER}/24 dev wire0"))).map(drop)
}

/// From `200 packets transmitted, 190 received, ...`.
fn received(said: &str) -> Option<u32> {
    let (before, _) = said.split_once(" received")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// strongSwan is asked at its new address for a COOKIE2 and returns it; in a scenario the site's address in the world stays, so
/// there it is not asked.
#[test]
fn strongswan_moves_and_returns_our_cookie2() {
    opposite("mobike::strongswan_moves_and_returns_our_cookie2", Initiator::StrongSwan, |pair| {
        readdress(&pair.strongswan)?;
        pair.ask("strongSwan's new address", |s| expect(&s.log(), &[REQUESTED, "request 0 [ N(COOKIE2) ]"]))
    });
}

/// Our machine initiates, and its address changes: strongSwan follows its UPDATE_SA_ADDRESSES, tells of its own addresses, and goes
/// on between the new ones.
#[test]
fn we_move() {
    opposite("mobike::we_move", Initiator::We, |pair| {
        run_line(&format!("ip address add {LATER}/24 dev wire0"))?;
        run_line(&format!("ip address del {OURS}/24 dev wire0"))?;
        run_line(&format!("ip address replace {LATER}/24 dev wire0"))?;
        pair.gateway.readdress(pair.clock.now(), LATER)?;
        pair.ask("our new address at strongSwan", |s| expect(&s.sas()?, &[&format!("@ {LATER}[4500]")]))
    });
}

/// Pings before, and after one end has moved; then strongSwan rekeys the CHILD_SA between the new addresses once more. It is one
/// IKE_SA all the time.
fn opposite(test: &str, initiator: Initiator, moves: impl FnOnce(&mut Pair) -> Outcome) {
    let life = |pair: &mut Pair| {
        pair.come_up(&[])?;
        pair.pings(10)?;
        let (before, child) = (pair.strongswan.ike_sa()?, pair.gateway.spi());
        moves(pair)?;
        pair.run("the CHILD_SA that can be used there", |g| g.carries() && g.spi() != child)?;
        pair.ask("strongSwan's one CHILD_SA", |s| s.children(1))?;
        pair.pings(10)?;
        pair.they_rekey_the_child()?;
        pair.pings(10)?;
        let after = pair.strongswan.ike_sa()?;
        if after == before { Ok(()) } else { Err(format!("another IKE_SA: {before}, {after}")) }
    };
    isolated(test, || {
        let mut pair = Pair::start()?;
        let mobike = vec!["connections.vpn.tunnels.a.customer.mobike=true".to_owned()];
        let changes = [Suite::AWS_DEFAULT.changes(), mobike].concat();
        pair.configure(&changes, initiator, |config| config.mobike = Some(Mobike::default()))?;
        life(&mut pair).map_err(|e| pair.explain(e))
    });
}
