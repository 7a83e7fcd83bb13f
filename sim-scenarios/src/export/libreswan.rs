//! Libreswan's ipsec.conf and ipsec.secrets (the man page, version 4.10), in the manner of AWS's download for Openswan.

use sim_core::crypto::dh::DhGroup;
use sim_core::proto::esp::DfBit;
use sim_core::proto::ike::config::{HALF_OPEN_TIMEOUT, IkeVersion, NatTraversal, ReauthenticationOrder};
use sim_core::proto::ike::{NAT_PORT, PORT};
use sim_core::time::Duration;

use super::remark::Remarks;
use super::{Leg, Site, ciphers, comment, identity, linux};
use crate::leaf::{Encryption, Integrity};
use crate::plan::{DpdTimeoutAction, ExtendedSequenceNumbers, Phase, Routing, StartupAction};

/// The text of ipsec.conf, and that of ipsec.secrets.
pub(super) fn write(site: &Site<'_>, remarks: &mut Remarks) -> (String, String) {
    let mut body = String::new();
    let mut secrets = String::new();
    for leg in &site.legs {
        let [local, remote] = leg.identities().map(|id| identity(&id));
        body.push_str(&format!("\nconn {}\n", leg.word()));
        for (key, value) in connection(site, leg, remarks) {
            body.push_str(&format!("\t{key}={value}\n"));
        }
        // The key's alphabet (`leaf::Psk`) has neither quotes nor line ends.
        secrets.push_str(&format!("{local} {remote} : PSK \"{}\"\n", site.key(leg)));
    }
    let preamble = site.preamble("Libreswan (ipsec.conf)", remarks, &host(site));
    (format!("{}{body}", comment(&preamble, "#")), secrets)
}

fn host(site: &Site<'_>) -> Vec<String> {
    if site.order.policy_based {
        return Vec::new();
    }
    let mut lines =
        vec!["Libreswan makes an interface for each tunnel; its addresses and routes are the host's:".to_owned()];
    for leg in &site.legs {
        let interface = leg.interface();
        let (address, length) = (leg.tunnel.customer_inside, leg.tunnel.inside.prefix_len());
        lines.extend(linux::mtu_command(leg));
        lines.push(format!("    ip address add {address}/{length} dev {interface}"));
        lines.extend(leg.route_commands());
    }
    if site.connection.routing == Routing::Bgp {
        lines.push("BGP inside of the tunnels is another program's: --as bird, --as frr.".to_owned());
    }
    lines
}

fn connection(site: &Site<'_>, leg: &Leg<'_>, remarks: &mut Remarks) -> Vec<(&'static str, String)> {
    let end = leg.end();
    let [local, remote] = leg.identities().map(|id| identity(&id));
    let begins = end.startup == StartupAction::Start;
    let v2 = end.ike_versions.contains(&IkeVersion::V2);
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let mut lines = vec![
        ("type", "tunnel".to_owned()),
        ("authby", "secret".to_owned()),
        ("auto", if begins { "start" } else { "add" }.to_owned()),
        ("left", site.order.local.map_or("%defaultroute".to_owned(), |address| address.to_string())),
        ("leftid", local),
        ("leftsubnet", end.local_cidr.to_string()),
        ("right", leg.remote().to_string()),
        ("rightid", remote),
        ("rightsubnet", end.remote_cidr.to_string()),
        ("ikev2", yes(v2)),
        ("ike", proposals(leg, &end.phase1, v2, true, remarks)),
        ("phase2alg", proposals(leg, &end.phase2, v2, false, remarks)),
        ("pfs", yes(true)),
        ("esn", esn(end.extended_sequence_numbers).to_owned()),
        ("ikelifetime", format!("{}s", remarks.seconds(leg, "phase1.lifetime", end.phase1.lifetime))),
        ("salifetime", format!("{}s", remarks.seconds(leg, "phase2.lifetime", end.phase2.lifetime))),
        ("rekeymargin", format!("{}s", remarks.seconds(leg, "rekey_margin", end.rekey_margin))),
        ("rekeyfuzz", format!("{}%", end.rekey_fuzz_percent)),
        ("keyingtries", if begins { "%forever" } else { "1" }.to_owned()),
        ("replay-window", end.replay_window.to_string()),
        ("nat-keepalive", yes(end.nat_keepalive.is_some())),
        ("fragmentation", yes(end.fragment_size.is_some())),
        ("nopmtudisc", yes(end.packets.df == DfBit::Clear)),
    ];
    match end.nat_traversal {
        NatTraversal::Detect => {}
        NatTraversal::Force => lines.push(("encapsulation", yes(true))),
        NatTraversal::Off => lines.push(("encapsulation", yes(false))),
    }
    if let Some(door) = leg.door.filter(|door| door.ike_port != PORT) {
        lines.push(("leftikeport", NAT_PORT.to_string()));
        lines.push(("rightikeport", door.nat_port.to_string()));
    }
    if v2 {
        // RFC 7296 section 2.9 lets the peer narrow; Libreswan wants to be told.
        lines.push(("narrowing", yes(true)));
        // "no" is its default.
        lines.extend(end.mobike.then(|| ("mobike", yes(true))));
    }
    if !site.order.policy_based {
        lines.push(("ipsec-interface", leg.number.to_string()));
    }
    if end.ike_versions.len() > 1 {
        remarks.add(leg, "ike_versions: a connection of Libreswan has one, here IKEv2; it does not answer IKEv1");
    }
    site.warn_of_policies(leg, remarks);
    if !end.selectors.is_empty() {
        let pairs = end.selectors.len();
        remarks.add(
            leg,
            format!("traffic_selectors ({pairs}): a connection of Libreswan has one pair; write one for each"),
        );
    }
    if end.invalid_cookie {
        remarks.add(leg, "invalid_cookie true: Libreswan does not say INVALID-COOKIE");
    }
    if end.mobike && v2 {
        remarks.add(
            leg,
            "mobike true: Libreswan moves only as a client that AWS's end gives an address to, which it does not",
        );
    }
    lines.extend(packets(leg, remarks));
    linux::remark(site, leg, remarks);
    lines.extend(reauthentication(leg, v2, remarks));
    lines.extend(retransmission(leg, remarks));
    lines.extend(dpd(leg, v2, remarks));
    if let Some(every) = end.nat_keepalive {
        let seconds = remarks.seconds(leg, "nat_keepalive", every);
        if seconds != 20 {
            let what =
                format!("nat_keepalive {every} is for all connections: `keep-alive={seconds}` in `config setup`");
            remarks.add(leg, what);
        }
    }
    if let Some(size) = end.fragment_size.filter(|_| v2) {
        let what = format!(
            "ike_fragment_size {size}: Libreswan cuts what is longer than 576 octets, from the first repetition on"
        );
        remarks.add(leg, what);
    }
    if end.half_open_timeout != HALF_OPEN_TIMEOUT {
        remarks.add(leg, format!("half_open_timeout {}: Libreswan has a time of its own", end.half_open_timeout));
    }
    if let Some(delay) = end.packets.delete_rekeyed_delay {
        remarks.add(leg, format!("delete_rekeyed_delay {delay}: Libreswan has no word for it"));
    }
    if begins {
        remarks.add(leg, format!("retry {}: Libreswan has waits of its own before it tries again", end.retry));
    }
    lines
}

fn esn(wanted: ExtendedSequenceNumbers) -> &'static str {
    match wanted {
        ExtendedSequenceNumbers::No => "no",
        ExtendedSequenceNumbers::Yes => "yes",
        ExtendedSequenceNumbers::Preferred => "either",
    }
}

fn packets(leg: &Leg<'_>, remarks: &mut Remarks) -> Vec<(&'static str, String)> {
    let options = leg.end().packets;
    let mut lines = Vec::new();
    if options.tfc_padding > 0 {
        lines.push(("tfc", options.tfc_padding.to_string()));
    }
    if let Some(packets @ 1..) = options.rekey_packets {
        remarks.add(leg, format!("rekey_packets {packets}: Libreswan has a limit, and rekeys some time before it"));
        lines.push(("ipsec-max-packets", packets.to_string()));
    }
    lines
}

/// In place of a rekey of the IKE_SA, with the old one there until the other is.
fn reauthentication(leg: &Leg<'_>, v2: bool, remarks: &mut Remarks) -> Option<(&'static str, String)> {
    let wanted = leg.end().reauthentication.filter(|_| v2)?;
    let rekey = leg.end().phase1.lifetime.saturating_sub(leg.end().rekey_margin);
    if wanted.after != rekey {
        let what = format!(
            "reauthentication_time {}: Libreswan does it when it would rekey, {rekey} after the beginning",
            wanted.after
        );
        remarks.add(leg, what);
    }
    if wanted.order == ReauthenticationOrder::BreakBeforeMake {
        remarks.add(leg, "reauthentication break_before_make: Libreswan makes the other IKE_SA first");
    }
    Some(("reauth", "yes".to_owned()))
}

/// Libreswan doubles each wait until a time is over.
fn retransmission(leg: &Leg<'_>, remarks: &mut Remarks) -> [(&'static str, String); 2] {
    let waits = &leg.end().retransmission;
    let first = waits.first().copied().unwrap_or_default();
    let whole = waits.iter().fold(Duration::ZERO, |sum, wait| sum + *wait);
    if !waits.windows(2).all(|pair| pair[0] * 2 == pair[1]) {
        let all = waits.iter().map(Duration::to_string).collect::<Vec<_>>().join(", ");
        let what = format!("retransmission {all}: Libreswan doubles the first wait until {whole} are over");
        remarks.add(leg, what);
    }
    [
        ("retransmit-interval", (first.as_nanos() / 1_000_000).max(1).to_string()),
        ("retransmit-timeout", format!("{}s", whole.as_nanos().div_ceil(1_000_000_000))),
    ]
}

fn dpd(leg: &Leg<'_>, v2: bool, remarks: &mut Remarks) -> Vec<(&'static str, String)> {
    let dpd = leg.end().dpd;
    let action = match dpd.action {
        DpdTimeoutAction::None => return Vec::new(),
        DpdTimeoutAction::Clear => "clear",
        // Called restart_by_peer in AWS's file, a name that Libreswan has given up.
        DpdTimeoutAction::Restart => "restart",
    };
    // Without a timeout AWS's end is dead when a check was repeated in vain; Libreswan wants a number in any case.
    let series = || leg.end().retransmission.iter().fold(dpd.delay, |sum, wait| sum + *wait);
    let timeout = dpd.timeout.unwrap_or_else(series);
    if dpd.timeout.is_none() && !v2 {
        remarks.add(
            leg,
            format!("dpd_timeout 0s: Libreswan does not repeat a check as a request; here {timeout} of silence"),
        );
    }
    if dpd.timeout.is_some() && v2 {
        let what = format!(
            "dpd_timeout {timeout}: with IKEv2 Libreswan gives AWS's end up after its retransmit-timeout instead"
        );
        remarks.add(leg, what);
    }
    vec![
        ("dpddelay", remarks.seconds(leg, "dpd_delay", dpd.delay).to_string()),
        ("dpdtimeout", remarks.seconds(leg, "dpd_timeout", timeout).to_string()),
        ("dpdaction", action.to_owned()),
    ]
}

/// The proposals of a phase: alternatives in one with IKEv2 unless the scenario says otherwise, every combination by itself with
/// IKEv1.
fn proposals(leg: &Leg<'_>, phase: &Phase, v2: bool, ike: bool, remarks: &mut Remarks) -> String {
    let setting = if ike { "phase1" } else { "phase2" };
    let (had, mut lost): (Vec<DhGroup>, Vec<DhGroup>) = phase.dh_groups.iter().partition(|group| is_compiled(**group));
    let mut groups = if had.is_empty() { core::mem::take(&mut lost) } else { had.clone() };
    let list = |groups: &[DhGroup]| groups.iter().map(|g| g.id().to_string()).collect::<Vec<_>>().join(", ");
    if !lost.is_empty() {
        let what = format!("{setting}.dh_groups {}: Libreswan 4 has no such groups; they are left out", list(&lost));
        remarks.add(leg, what);
    } else if had.is_empty() {
        let what =
            format!("{setting}.dh_groups {}: Libreswan 4 has no such groups, and there are no others", list(&groups));
        remarks.add(leg, what);
    }
    if !v2 && !ike && groups.len() > 1 {
        let what = format!("phase2.dh_groups {}: with IKEv1 Libreswan offers one, {}", list(&groups), groups[0].id());
        remarks.add(leg, what);
        groups.truncate(1);
    }
    if !phase.additional.is_empty() {
        remarks.add(leg, format!("{setting}.additional_key_exchanges: Libreswan 4 has none; they are left out"));
    }
    let [cbc, aead] = ciphers(phase);
    let mut all = Vec::new();
    for (ciphers, is_aead) in [(cbc, false), (aead, true)] {
        if ciphers.is_empty() {
            continue;
        }
        if is_aead && ike && !v2 {
            remarks.add(leg, "phase1.encryption: IKEv1 has no AES-GCM in phase 1, which is left out");
            continue;
        }
        // The second word is the integrity algorithm; for an AEAD it is the PRF in phase 1, and none in phase 2.
        let hashes: Vec<&str> =
            if is_aead && !ike { vec!["null"] } else { phase.integrity.iter().map(|i| hash(*i)).collect() };
        if v2 && !leg.end().one_by_one {
            let ciphers = ciphers.iter().map(|e| cipher(*e)).collect::<Vec<_>>().join("+");
            let groups = groups.iter().map(|g| group(*g)).collect::<Vec<_>>().join("+");
            all.push(format!("{ciphers}-{};{groups}", hashes.join("+")));
        } else {
            for cipher in ciphers.iter().map(|e| cipher(*e)) {
                for hash in &hashes {
                    all.extend(groups.iter().map(|g| format!("{cipher}-{hash};{}", group(*g))));
                }
            }
        }
    }
    all.join(",")
}

/// Groups 2 and 22 to 24 are not compiled into Libreswan 4 (its man page).
fn is_compiled(group: DhGroup) -> bool {
    !matches!(group, DhGroup::Modp1024 | DhGroup::Modp1024Sub160 | DhGroup::Modp2048Sub224 | DhGroup::Modp2048Sub256)
}

fn hash(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::Sha1 => "sha1",
        Integrity::Sha2_256 => "sha2_256",
        Integrity::Sha2_384 => "sha2_384",
        Integrity::Sha2_512 => "sha2_512",
    }
}

fn cipher(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::Aes128 => "aes128",
        Encryption::Aes256 => "aes256",
        Encryption::Aes128Gcm16 => "aes_gcm128",
        Encryption::Aes256Gcm16 => "aes_gcm256",
        Encryption::Null => "null",
    }
}

/// AWS's file says modp1024; the others are numbered, as Libreswan prefers.
fn group(group: DhGroup) -> String {
    match group {
        DhGroup::Modp1024 => "modp1024".to_owned(),
        DhGroup::Modp1536
        | DhGroup::Modp2048
        | DhGroup::Modp3072
        | DhGroup::Modp4096
        | DhGroup::Modp6144
        | DhGroup::Modp8192
        | DhGroup::Ecp256
        | DhGroup::Ecp384
        | DhGroup::Ecp521
        | DhGroup::Modp1024Sub160
        | DhGroup::Modp2048Sub224
        | DhGroup::Modp2048Sub256
        | DhGroup::Curve25519 => format!("dh{}", group.id()),
    }
}
