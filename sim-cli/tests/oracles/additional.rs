//! strongSwan 6 opposite additional key exchanges (RFC 9242, RFC 9370): IKE_INTERMEDIATE and what AUTH covers of it, in fragments,
//! and IKE_FOLLOWUP_KE for rekeys of either kind. Debian builds strongSwan without ML-KEM, so the methods are Diffie-Hellman
//! groups; AWS-LC judges our ML-KEM among the tests of `sim-core`.

use crate::customer::Customer;
use crate::live::{APP, OFFICE, Program};
use crate::network::isolated;
use crate::process::{expect, wait_for};
use crate::strongswan::{OURS, StrongSwan};

/// Group 20, then 19, then 18, whose 1,024 octets need fragments here.
const SETTINGS: [&str; 9] = [
    "ike_versions=[\"ikev2\"]",
    "ike_fragment_size=576",
    "phase1.encryption=[\"AES256-GCM-16\"]",
    "phase1.integrity=[\"SHA2-384\"]",
    "phase1.dh_groups=[20]",
    "phase2.encryption=[\"AES256-GCM-16\"]",
    "phase2.dh_groups=[20]",
    "phase1.additional_key_exchanges=[(round:1,key_exchange_methods:[19]),(round:3,key_exchange_methods:[18])]",
    "phase2.additional_key_exchanges=[(round:1,key_exchange_methods:[19]),(round:3,key_exchange_methods:[18])]",
];

/// strongSwan sets up, both ends hear each other, and so they do after the rekey of its CHILD_SA, of the IKE_SA, and of the CHILD_SA
/// under the new IKE_SA.
#[test]
fn strongswan_makes_additional_key_exchanges() {
    isolated("additional::strongswan_makes_additional_key_exchanges", || {
        let settings = SETTINGS.map(|setting| format!("connections.vpn.tunnels.a.{setting}"));
        let customer = Customer::of(include_str!("live.ron"), &settings)?;
        let config = customer.export("swanctl", &format!("--live --listen {OURS}"))?;
        let strongswan = StrongSwan::start_six([APP, OFFICE])?;
        let quiet = "--set faults.cut.enabled=false --set expect.cut.min=0";
        let mut program = Program::changed(include_str!("live.ron"), &settings, &format!("--listen {OURS} {quiet}"))?;
        let with_rounds = "ECP_384/KE1_ECP_256/KE3_MODP_8192";
        let story = || {
            strongswan.load(&config)?;
            wait_for("strongSwan's SAs", || {
                expect(&strongswan.sas()?, &["ESTABLISHED, IKEv2", "INSTALLED", with_rounds])
            })?;
            strongswan.echoes(10)?;
            strongswan.swanctl("--rekey --child vpn-a")?;
            // A CHILD_SA that is rekeyed has its own key exchanges.
            let esp = format!("ESP:AES_GCM_16-256/{with_rounds}");
            wait_for("the second CHILD_SA", || expect(&strongswan.sas()?, &["vpn-a: #2, reqid 1, INSTALLED", &esp]))?;
            strongswan.echoes(10)?;
            let first = strongswan.ike_sa()?;
            strongswan.swanctl("--rekey --ike vpn-a")?;
            wait_for("the second IKE_SA", || {
                let now = strongswan.ike_sa()?;
                if now == first { Err(format!("still {first}")) } else { Ok(()) }
            })?;
            strongswan.echoes(10)?;
            strongswan.swanctl("--rekey --child vpn-a")?;
            wait_for("the third CHILD_SA", || expect(&strongswan.sas()?, &["vpn-a: #3, reqid 1, INSTALLED"]))?;
            strongswan.echoes(10)?;
            let log = strongswan.log();
            expect(&log, &["parsed IKE_INTERMEDIATE response 2 [ EF(3/3) ]", "parsed IKE_FOLLOWUP_KE response"])?;
            strongswan.swanctl("--terminate --ike vpn-a").map(drop)
        };
        let report = story().and_then(|()| program.end("INT"));
        report.map(drop).map_err(|e| format!("{e}\n--- strongSwan\n{}", strongswan.log()))
    });
}
