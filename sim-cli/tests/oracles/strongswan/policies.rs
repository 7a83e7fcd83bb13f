//! strongSwan with a CHILD_SA for each of two networks, opposite AWS's end, which keeps one for a tunnel.

use super::Pair;
use super::pair::SITE;
use crate::customer::Customer;
use crate::network::isolated;
use crate::process::{Outcome, expect, run_line};

#[test]
fn a_second_child_of_strongswan_displaces_the_first() {
    isolated("strongswan::policies::a_second_child_of_strongswan_displaces_the_first", || {
        let mut pair = Pair::start()?;
        // strongSwan wants an address of its own in each network.
        run_line(&pair.strongswan.line("ip address add 10.3.0.10/32 dev lo"))?;
        for version in [2, 1] {
            let outcome = two_networks(&mut pair, version);
            outcome.map_err(|e| pair.explain(format!("IKEv{version}: {e}")))?;
        }
        Ok(())
    });
}

fn two_networks(pair: &mut Pair, version: u8) -> Outcome {
    let network = |octet: u8| format!(r#"(local_cidr: "10.{octet}.0.0/24", remote_cidr: "10.1.0.0/16")"#);
    let customer = |setting: &str| format!("connections.vpn.tunnels.a.customer.{setting}");
    let changes = [
        customer(r#"ike_versions=["ikev2"]"#),
        customer("startup_action=add"),
        customer(&format!("traffic_selectors=[{}, {}]", network(2), network(3))),
    ];
    let customer = Customer::of(SITE, &changes)?;
    pair.gateway.renew(customer.aws(), pair.clock.now());
    let file = customer.export("swanctl", "")?;
    // What our customer gateways have of IKEv2 alone, strongSwan has of both.
    let text = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
    std::fs::write(&file, text.replace("version = 2", &format!("version = {version}"))).map_err(|e| e.to_string())?;
    pair.strongswan.load(&file)?;
    for (child, octet) in [(1, 2), (2, 3), (1, 2)] {
        // To swanctl the end of the other CHILD_SA looks like a failure.
        let _ = pair.swanctl(&format!("--initiate --child vpn-a-{child}"));
        pair.ask("the one CHILD_SA", |s| {
            let (name, network) = (format!("vpn-a-{child}: #"), format!("10.{octet}.0.0/24"));
            expect(&s.children(1)?, &[&name, "INSTALLED", &network, &format!("IKEv{version}")])
        })?;
    }
    // The last one is that of strongSwan's host.
    pair.pings(2)?;
    pair.they_delete()
}
