//! The XML of `CustomerGatewayConfiguration` (EC2 API), whose elements AWS's own samples and the tools that read them give.
//!
//! It has one value where tunnel options have a list, and no word for much else. AWS fills in its defaults even where other
//! options were chosen; here stands what both ends agree on. How AWS writes AES-GCM and SHA-2 is not published: the names
//! follow the pattern of those that are.

use core::net::{IpAddr, Ipv4Addr};

use quick_xml::events::{BytesDecl, BytesText, Event};
use serde::{Deserialize, Serialize};
use sim_core::node::tunnel::{Fragmentation, MssClamp, NAT_KEEPALIVE};
use sim_core::proto::bgp::config::CONNECT_RETRY;
use sim_core::proto::esp::DfBit;
use sim_core::proto::ike::config::{
    AWS_DPD_INTERVAL, AWS_REKEY_FUZZ_PERCENT, AWS_REKEY_MARGIN, FRAGMENT_SIZE, HALF_OPEN_TIMEOUT, IkeVersion,
    NatTraversal,
};
use sim_core::proto::tcp::Reach;
use sim_core::time::Duration;

use super::remark::Remarks;
use super::{Leg, Site, is_aead, linux};
use crate::leaf::{Encryption, Integrity};
use crate::plan::{BgpEnd, DpdTimeoutAction, ExtendedSequenceNumbers, Phase, Routing, StartupAction};

/// The MSS in AWS's files: an outer packet of 1,500 octets with AES-128-CBC and HMAC-SHA1-96, and some room.
const AWS_MSS: u16 = 1379;
/// A scenario's wait before another attempt if nothing else is said.
const RETRY: Duration = Duration::from_secs(10);
/// A scenario's wait after a BGP session failed if nothing else is said.
const IDLE_HOLD: Duration = Duration::from_secs(10);
/// The window that AWS's endpoints use if nothing else is said.
const AWS_REPLAY_WINDOW: u32 = 1024;

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename = "vpn_connection")]
pub(super) struct VpnConnection {
    #[serde(rename = "@id")]
    pub(super) id: String,
    pub(super) customer_gateway_id: String,
    pub(super) vpn_gateway_id: String,
    pub(super) vpn_connection_type: String,
    /// `NoBGPVPNConnection` with static routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vpn_connection_attributes: Option<String>,
    pub(super) ipsec_tunnel: Vec<IpsecTunnel>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(super) struct IpsecTunnel {
    pub(super) customer_gateway: End,
    pub(super) vpn_gateway: End,
    pub(super) ike: Ike,
    pub(super) ipsec: Ipsec,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(super) struct End {
    pub(super) tunnel_outside_address: Outside,
    pub(super) tunnel_inside_address: Inside,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bgp: Option<Bgp>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(super) struct Outside {
    pub(super) ip_address: IpAddr,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(super) struct Inside {
    pub(super) ip_address: Ipv4Addr,
    pub(super) network_mask: Ipv4Addr,
    pub(super) network_cidr: u8,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(super) struct Bgp {
    pub(super) asn: u32,
    pub(super) hold_time: u64,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(super) struct Ike {
    pub(super) authentication_protocol: String,
    pub(super) encryption_protocol: String,
    pub(super) lifetime: u64,
    pub(super) perfect_forward_secrecy: String,
    pub(super) mode: String,
    pub(super) pre_shared_key: String,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(super) struct Ipsec {
    pub(super) protocol: String,
    pub(super) authentication_protocol: String,
    pub(super) encryption_protocol: String,
    pub(super) lifetime: u64,
    pub(super) perfect_forward_secrecy: String,
    pub(super) mode: String,
    pub(super) clear_df_bit: bool,
    pub(super) fragmentation_before_encryption: bool,
    pub(super) tcp_mss_adjustment: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead_peer_detection: Option<DeadPeerDetection>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(super) struct DeadPeerDetection {
    pub(super) interval: u64,
    pub(super) retries: u64,
}

pub(super) fn write(site: &Site<'_>, remarks: &mut Remarks) -> String {
    let document = document(site, remarks);
    let lines = site.preamble("programs (CustomerGatewayConfiguration)", remarks, &[]);
    // A comment must not have two hyphens in a row (XML 1.0 section 2.5).
    let lines = lines.join("\n").replace("--", "- -");
    let mut text = Vec::new();
    let mut writer = quick_xml::Writer::new_with_indent(&mut text, b' ', 2);
    let head = [
        Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)),
        Event::Comment(BytesText::from_escaped(format!("\n{lines}\n"))),
    ];
    let written = head.into_iter().try_for_each(|event| writer.write_event(event).map_err(|e| e.to_string()));
    let written =
        written.and_then(|()| writer.write_serializable("vpn_connection", &document).map_err(|e| e.to_string()));
    written.unwrap_or_else(|why| unreachable!("texts and numbers in elements are well-formed XML: {why}"));
    text.push(b'\n');
    String::from_utf8_lossy(&text).into_owned()
}

pub(super) fn document(site: &Site<'_>, remarks: &mut Remarks) -> VpnConnection {
    let name = |node: sim_core::id::NodeId| site.order.plan.nodes[node.index()].name.clone();
    let is_static = matches!(site.connection.routing, Routing::Static(_));
    VpnConnection {
        id: site.connection.name.clone(),
        customer_gateway_id: name(site.connection.customer_gateway),
        // Of a connection to a transit gateway the element is there, and empty.
        vpn_gateway_id: match &site.order.plan.nodes[site.connection.gateway.index()].kind {
            crate::plan::NodeKind::TransitGateway(_) => String::new(),
            _ => name(site.connection.gateway),
        },
        vpn_connection_type: "ipsec.1".to_owned(),
        vpn_connection_attributes: is_static.then(|| "NoBGPVPNConnection".to_owned()),
        ipsec_tunnel: site.legs.iter().map(|leg| ipsec_tunnel(site, leg, remarks)).collect(),
    }
}

fn ipsec_tunnel(site: &Site<'_>, leg: &Leg<'_>, remarks: &mut Remarks) -> IpsecTunnel {
    let tunnel = leg.tunnel;
    let end = |outside, inside, bgp: Option<(u32, &BgpEnd)>, remarks: &mut Remarks| End {
        tunnel_outside_address: Outside { ip_address: outside },
        tunnel_inside_address: Inside {
            ip_address: inside,
            network_mask: tunnel.inside.netmask(),
            network_cidr: tunnel.inside.prefix_len(),
        },
        bgp: bgp.map(|(asn, bgp)| Bgp { asn, hold_time: remarks.seconds(leg, "hold_time", bgp.hold_time) }),
    };
    let (phase1, phase2, packets) = (&leg.end().phase1, &leg.end().phase2, leg.end().packets);
    let (cipher1, hash1, group1) = agreed(leg, "phase1", &tunnel.aws.phase1, phase1, remarks);
    let (cipher2, hash2, group2) = agreed(leg, "phase2", &tunnel.aws.phase2, phase2, remarks);
    let (aws, customer) = tunnel.bgp.as_ref().map_or((None, None), |(aws, customer)| (Some(aws), Some(customer)));
    let told = IpsecTunnel {
        customer_gateway: end(
            tunnel.customer_registered,
            tunnel.customer_inside,
            customer.map(|end| (tunnel.customer_asn, end)),
            remarks,
        ),
        vpn_gateway: end(leg.remote(), tunnel.aws_inside, aws.map(|end| (end.asn, end)), remarks),
        ike: Ike {
            authentication_protocol: hash(hash1).to_owned(),
            encryption_protocol: cipher(cipher1).to_owned(),
            lifetime: remarks.seconds(leg, "phase1.lifetime", phase1.lifetime),
            perfect_forward_secrecy: format!("group{group1}"),
            mode: "main".to_owned(),
            pre_shared_key: site.key(leg).to_owned(),
        },
        ipsec: Ipsec {
            protocol: "esp".to_owned(),
            authentication_protocol: if is_aead(cipher2) { "none" } else { hmac(hash2) }.to_owned(),
            encryption_protocol: cipher(cipher2).to_owned(),
            lifetime: remarks.seconds(leg, "phase2.lifetime", phase2.lifetime),
            perfect_forward_secrecy: format!("group{group2}"),
            mode: "tunnel".to_owned(),
            clear_df_bit: packets.clear_df,
            fragmentation_before_encryption: packets.fragmentation == Fragmentation::BeforeEncryption,
            tcp_mss_adjustment: mss(leg),
            dead_peer_detection: dead_peer_detection(leg, remarks),
        },
    };
    if tunnel.customer_anywhere {
        let what = "customer_address none: here stands the address that the customer gateway has in the beginning";
        remarks.add(leg, what);
    }
    wordless(leg, customer, remarks);
    told
}

/// What is negotiated: AWS goes from its lowest value upwards. If the ends have nothing in common, the customer's first.
fn agreed(
    leg: &Leg<'_>,
    phase: &str,
    aws: &Phase,
    customer: &Phase,
    remarks: &mut Remarks,
) -> (Encryption, Integrity, u16) {
    let mut one = |setting: &str, several: usize, chosen: &str| {
        if several > 1 {
            remarks
                .add(leg, format!("{phase}.{setting} allows {several}; here stands the one that AWS takes, {chosen}"));
        }
    };
    let cipher = lowest(&aws.encryption, &customer.encryption).unwrap_or(Encryption::Aes128);
    let hash = lowest(&aws.integrity, &customer.integrity).unwrap_or(Integrity::Sha1);
    let ids = |phase: &Phase| phase.dh_groups.iter().map(|group| group.id()).collect::<Vec<_>>();
    let group = lowest(&ids(aws), &ids(customer)).unwrap_or_default();
    one("encryption", customer.encryption.len(), self::cipher(cipher));
    // An AEAD of phase 2 has none; in phase 1 it names the PRF.
    let hashes = if phase == "phase2" && is_aead(cipher) { 0 } else { customer.integrity.len() };
    one("integrity", hashes, self::hash(hash));
    one("dh_groups", customer.dh_groups.len(), &group.to_string());
    (cipher, hash, group)
}

fn lowest<T: Ord + Copy>(aws: &[T], customer: &[T]) -> Option<T> {
    aws.iter().copied().filter(|value| customer.contains(value)).min().or(customer.first().copied())
}

/// AWS's 40 s are 10 s of silence and three checks, 10 s apart.
fn dead_peer_detection(leg: &Leg<'_>, remarks: &mut Remarks) -> Option<DeadPeerDetection> {
    let dpd = leg.end().dpd;
    if dpd.action == DpdTimeoutAction::None {
        return None;
    }
    let series = || leg.end().retransmission.iter().fold(dpd.delay, |sum, wait| sum + *wait);
    let timeout = dpd.timeout.unwrap_or_else(series);
    let retries = timeout.saturating_sub(dpd.delay).as_nanos().div_ceil(AWS_DPD_INTERVAL.as_nanos()).max(1);
    let told = dpd.delay + AWS_DPD_INTERVAL * retries;
    if told != timeout || dpd.delay != AWS_DPD_INTERVAL {
        let what = format!(
            "dpd_delay {} and dpd_timeout {timeout}: an interval and a number of retries say that but roughly",
            dpd.delay
        );
        remarks.add(leg, what);
    }
    Some(DeadPeerDetection { interval: remarks.seconds(leg, "dpd_delay", dpd.delay), retries })
}

/// AWS's files ask for clamping, whether the scenario's gateway does so or not.
fn mss(leg: &Leg<'_>) -> u16 {
    const IPV4_AND_TCP: u16 = 40;
    match leg.end().packets.mss_clamp {
        None => AWS_MSS,
        Some(MssClamp::Auto) => linux::narrowest(leg).map_or(AWS_MSS, |mtu| mtu - IPV4_AND_TCP),
        Some(MssClamp::To(octets)) => octets,
    }
}

/// What differs from the defaults of AWS, or of a scenario's customer gateway, and has no element.
fn wordless(leg: &Leg<'_>, bgp: Option<&BgpEnd>, remarks: &mut Remarks) {
    let end = leg.end();
    let mut no_word = |setting: &str, differs: bool, value: String| {
        if differs {
            remarks.add(leg, format!("{setting} {value} has no element"));
        }
    };
    let [id, expected] = leg.identities();
    no_word("ike_versions", end.ike_versions.len() == 1, version(end.ike_versions[0]).to_owned());
    for (setting, phase) in [("phase1", &end.phase1), ("phase2", &end.phase2)] {
        let rounds = phase.additional.len();
        let setting = format!("{setting}.additional_key_exchanges");
        no_word(&setting, rounds > 0, format!("({rounds})"));
    }
    no_word("id", end.id.is_some(), id.to_string());
    no_word("expected_id", end.expected_id.is_some(), expected.to_string());
    no_word("local_cidr", end.local_cidr.prefix_len() > 0, end.local_cidr.to_string());
    no_word("remote_cidr", end.remote_cidr.prefix_len() > 0, end.remote_cidr.to_string());
    let pairs = end.selectors.len();
    no_word("traffic_selectors", pairs > 0, format!("({pairs})"));
    no_word("rekey_margin", end.rekey_margin != AWS_REKEY_MARGIN, end.rekey_margin.to_string());
    let fuzz = u64::from(end.rekey_fuzz_percent);
    no_word("rekey_fuzz", fuzz != AWS_REKEY_FUZZ_PERCENT, format!("{fuzz}%"));
    no_word("replay_window", end.replay_window != AWS_REPLAY_WINDOW, end.replay_window.to_string());
    no_word("startup_action", end.startup == StartupAction::Add, "add".to_owned());
    no_word("dpd_timeout_action", end.dpd.action == DpdTimeoutAction::Clear, "clear".to_owned());
    let waits = end.retransmission.iter().map(Duration::to_string).collect::<Vec<_>>().join(", ");
    no_word("retransmission", !leg.has_usual_retransmission(), waits);
    no_word("half_open_timeout", end.half_open_timeout != HALF_OPEN_TIMEOUT, end.half_open_timeout.to_string());
    no_word("retry", end.retry != RETRY, end.retry.to_string());
    no_word("ike_fragmentation", end.fragment_size.is_none(), "false".to_owned());
    let size = end.fragment_size.unwrap_or(FRAGMENT_SIZE);
    no_word("ike_fragment_size", size != FRAGMENT_SIZE, size.to_string());
    no_word("proposals", end.one_by_one, "one_by_one".to_owned());
    if let Some(anew) = end.reauthentication {
        no_word("reauthentication", true, format!("every {}", anew.after));
    }
    no_word("mobike", end.mobike, "true".to_owned());
    no_word("invalid_cookie", end.invalid_cookie, "true".to_owned());
    match end.nat_traversal {
        NatTraversal::Detect => {}
        NatTraversal::Force => no_word("nat_traversal", true, "force".to_owned()),
        NatTraversal::Off => no_word("nat_traversal", true, "off".to_owned()),
    }
    let keepalive = end.nat_keepalive.unwrap_or_default();
    no_word("nat_keepalive", keepalive != NAT_KEEPALIVE, keepalive.to_string());
    let esn = end.extended_sequence_numbers;
    no_word("extended_sequence_numbers", esn != ExtendedSequenceNumbers::No, esn.to_string());
    let packets = end.packets;
    match packets.df {
        DfBit::Clear => {}
        DfBit::Copy => no_word("df_bit", true, "copy".to_owned()),
        DfBit::Set => no_word("df_bit", true, "set".to_owned()),
    }
    no_word("path_mtu_discovery", !packets.learns_path_mtu, "false".to_owned());
    no_word("tfc_padding", packets.tfc_padding > 0, packets.tfc_padding.to_string());
    for (setting, value) in [
        ("dummy_interval", packets.dummy_every.map(|every| every.to_string())),
        ("rekey_packets", packets.rekey_packets.map(|packets| packets.to_string())),
        ("last_sequence_number", packets.last_packet.map(|last| last.to_string())),
        ("delete_rekeyed_delay", packets.delete_rekeyed_delay.map(|delay| delay.to_string())),
    ] {
        no_word(setting, value.is_some(), value.unwrap_or_default());
    }
    if let Some(bgp) = bgp {
        no_word("connect_retry", bgp.connect_retry != CONNECT_RETRY, bgp.connect_retry.to_string());
        no_word("idle_hold", bgp.idle_hold != IDLE_HOLD, bgp.idle_hold.to_string());
        no_word(
            "advertisement_interval",
            !bgp.advertisement_interval.is_zero(),
            bgp.advertisement_interval.to_string(),
        );
        no_word("jitter", !bgp.jitter, "false".to_owned());
        no_word("prepend", bgp.prepend > 0, bgp.prepend.to_string());
        no_word("med", bgp.med.is_some(), bgp.med.unwrap_or_default().to_string());
        no_word("local_preference", bgp.local_preference != 100, bgp.local_preference.to_string());
        for (setting, named) in [("import_policy", &bgp.import), ("export_policy", &bgp.export)] {
            no_word(setting, named.is_some(), named.as_ref().map(|named| named.name.clone()).unwrap_or_default());
        }
        let third: Duration = bgp.hold_time / 3;
        no_word("keepalive", bgp.keepalive != third, bgp.keepalive.to_string());
        let limit = bgp.idle_hold_limit;
        no_word("idle_hold_limit", limit.is_some(), limit.map(|limit| limit.to_string()).unwrap_or_default());
        no_word("md5_key", bgp.md5_key.is_some(), "(hidden)".to_owned());
        match bgp.reach {
            Reach::SingleHop => {}
            Reach::Multihop(hops) => no_word("multihop", true, hops.to_string()),
            Reach::Security(hops) => no_word("ttl_security", true, hops.to_string()),
        }
        let most = bgp.max_prefixes.map(|limit| limit.most.to_string());
        no_word("max_prefixes", most.is_some(), most.unwrap_or_default());
        no_word("graceful_restart", bgp.graceful_restart.is_some(), "()".to_owned());
    }
}

fn version(version: IkeVersion) -> &'static str {
    match version {
        IkeVersion::V1 => "ikev1",
        IkeVersion::V2 => "ikev2",
    }
}

fn cipher(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::Aes128 => "aes-128-cbc",
        Encryption::Aes256 => "aes-256-cbc",
        Encryption::Aes128Gcm16 => "aes-128-gcm-16",
        Encryption::Aes256Gcm16 => "aes-256-gcm-16",
        Encryption::Null => "null",
    }
}

fn hash(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::Sha1 => "sha1",
        Integrity::Sha2_256 => "sha2-256",
        Integrity::Sha2_384 => "sha2-384",
        Integrity::Sha2_512 => "sha2-512",
    }
}

fn hmac(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::Sha1 => "hmac-sha1-96",
        Integrity::Sha2_256 => "hmac-sha2-256-128",
        Integrity::Sha2_384 => "hmac-sha2-384-192",
        Integrity::Sha2_512 => "hmac-sha2-512-256",
    }
}
