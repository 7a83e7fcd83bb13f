//! What Linux's kernel does with packets, whichever program gives it its keys: the settings of a customer gateway that are
//! the host's, or nobody's.

use sim_core::crypto::suite::Integrity;
use sim_core::node::tunnel::{Fragmentation, MssClamp};
use sim_core::proto::esp::{DfBit, Suite, tunnel_mtu};

use super::remark::Remarks;
use super::{Leg, Site, ciphers};
use crate::build::ike::{encryption, integrity};

/// The path that AWS's own figures are of.
const OUTER_MTU: u16 = 1_500;

/// The longest packet that every suite that is proposed carries, in UDP.
pub(super) fn narrowest(leg: &Leg<'_>) -> Option<u16> {
    let [cbc, aead] = ciphers(&leg.end().phase2);
    let hashes: Vec<_> = leg.end().phase2.integrity.iter().map(|hash| integrity(*hash)).collect();
    let pairs = [(cbc, &hashes[..]), (aead, &[Integrity::None][..])];
    let suites = pairs.iter().flat_map(|(ciphers, hashes)| {
        ciphers.iter().flat_map(|cipher| hashes.iter().map(|hash| Suite::new(encryption(*cipher), *hash)))
    });
    suites.filter_map(|suite| tunnel_mtu(OUTER_MTU, suite?, true)).min()
}

/// The MTU of the tunnel's interface if packets are to be cut before they are encrypted. `None` if they are to be cut
/// afterwards: Linux gives the interface 1,500 octets.
fn interface_mtu(leg: &Leg<'_>) -> Option<u16> {
    match leg.end().packets.fragmentation {
        Fragmentation::AfterEncryption => None,
        Fragmentation::BeforeEncryption => narrowest(leg),
    }
}

/// The command that gives the interface this MTU.
pub(super) fn mtu_command(leg: &Leg<'_>) -> Option<String> {
    interface_mtu(leg).map(|mtu| format!("    ip link set {} mtu {mtu}", leg.interface()))
}

/// Names what neither strongSwan nor Libreswan has a word for.
pub(super) fn remark(site: &Site<'_>, leg: &Leg<'_>, remarks: &mut Remarks) {
    let packets = leg.end().packets;
    if packets.df == DfBit::Set {
        remarks.add(leg, "df_bit set: Linux clears the bit or copies it; here it is copied");
    }
    if packets.clear_df {
        remarks.add(leg, "clear_df_bit true: Linux cuts no packet whose DF bit is set; its sender hears so by ICMP");
    }
    if site.order.policy_based && packets.fragmentation == Fragmentation::BeforeEncryption {
        remarks.add(leg, "fragmentation before_encryption: without an interface Linux cuts after it has encrypted");
    }
    if !packets.learns_path_mtu {
        remarks.add(leg, "path_mtu_discovery false: Linux believes ICMP that quotes an SA of its own");
    }
    if let Some(clamp) = packets.mss_clamp {
        let (value, size) = match clamp {
            MssClamp::Auto => ("auto".to_owned(), "rt mtu".to_owned()),
            MssClamp::To(octets) => (octets.to_string(), octets.to_string()),
        };
        let what = format!(
            "mss_clamping {value} is the packet filter's: `nft add rule inet FILTER FORWARD oifname {} tcp flags syn tcp \
             option maxseg size set {size}`, and the same for iifname",
            leg.interface()
        );
        remarks.add(leg, what);
    }
    if let Some(every) = packets.dummy_every {
        remarks.add(leg, format!("dummy_interval {every}: Linux sends no dummy packets"));
    }
    if let Some(last) = packets.last_packet {
        remarks.add(leg, format!("last_sequence_number {last}: Linux goes on to the last that there is"));
    }
}
