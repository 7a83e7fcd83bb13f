//! BGP that depends on BFD: a router of a scenario, in `vpnsim live`, opposite FRR's bgpd and bfdd.

use super::{Theirs, expect};
use crate::frr::Frr;
use crate::live::Program;
use crate::network::isolated;
use crate::process::{Outcome, wait_for};
use crate::router::OURS;

/// The wire goes silent: each end's BFD takes its BGP session down within its Detection Time, where the hold timer would take 90 s,
/// and both come back. Then FRR's bfdd dies, its bgpd does not, and it is told why we end the session (Cease 6/10, RFC 9384).
#[test]
fn the_session_goes_down_with_bfd() {
    isolated("bgp::watched::the_session_goes_down_with_bfd", || {
        let mut program = Program::with(include_str!("watched.ron"), "--tun frr=tun0", str::to_owned)?;
        let depends = format!(" neighbor {OURS} bfd\n address-family");
        let frr = Frr::start("bgpd", "", &Theirs::default().frr().replace(" address-family", &depends))?;
        let mut bfdd = frr.beside("bfdd", "--bfdctl @DIR@/bfdd.sock")?;
        let mut judged = || -> Outcome {
            let session = || frr.ask(&format!("show bgp neighbors {OURS}"));
            let up = || expect(&session()?, &["BGP state = Established", "Status: Up"]);
            wait_for("both sessions", up)?;
            wait_for("FRR's BFD down", || expect(&session()?, &["Notification sent (Cease/BFD Down)"]))?;
            let route = || frr.ask("show bgp ipv4 unicast 10.1.0.0/24");
            wait_for("FRR without our route", || expect(&route()?, &["Network not in table"]))?;
            wait_for("both sessions again", up)?;
            bfdd.kill();
            wait_for("our Cease", || expect(&session()?, &["Notification received (Cease/BFD Down)"]))
        };
        let report = judged().and_then(|()| program.end_without_keys("INT"));
        let report = report.map_err(|e| format!("{e}\n--- FRR\n{}", frr.log()))?;
        // By the cut, and by the death of bfdd: BFD goes down, and takes BGP with it.
        let sessions = report["sessions"].to_string();
        match ["bfd_detection_expired", "bfd_down"].iter().find(|reason| sessions.matches(**reason).count() < 2) {
            None => Ok(()),
            Some(reason) => Err(format!("{reason} not twice in {sessions}")),
        }
    });
}
