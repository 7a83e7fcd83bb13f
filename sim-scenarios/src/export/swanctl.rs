//! strongSwan's swanctl.conf (its man page, version 5.9; additional key exchanges, `ke1_` to `ke7_`, are of version 6.0).

use ipnet::Ipv4Net;
use sim_core::crypto::dh::DhGroup;
use sim_core::crypto::exchange::Method;
use sim_core::crypto::kem::MlKem;
use sim_core::node::tunnel::NAT_KEEPALIVE;
use sim_core::proto::esp::DfBit;
use sim_core::proto::ike::config::{
    FRAGMENT_SIZE, HALF_OPEN_TIMEOUT, IkeVersion, NatTraversal, RETRANSMIT_FIRST, ReauthenticationOrder, Round,
};
use sim_core::proto::ike::{NAT_PORT, PORT};
use sim_core::time::Duration;

use super::remark::Remarks;
use super::{Leg, Site, ciphers, comment, hash, identity, linux};
use crate::leaf::{Encryption, Integrity};
use crate::plan::{DpdTimeoutAction, ExtendedSequenceNumbers, IkeEnd, Phase, Routing, StartupAction};

pub(super) fn write(site: &Site<'_>, remarks: &mut Remarks) -> String {
    let mut body = Sections::default();
    body.open("connections");
    for leg in &site.legs {
        connection(site, leg, &mut body, remarks);
    }
    body.close();
    body.open("secrets");
    for leg in &site.legs {
        body.open(&format!("ike-{}", leg.word()));
        body.set("id", identity(&leg.identities()[1]));
        body.set("secret", quoted(site.key(leg)));
        body.close();
    }
    body.close();
    let preamble = site.preamble("strongSwan (swanctl.conf)", remarks, &host(site));
    format!("{}{}", comment(&preamble, "#"), body.text)
}

/// What the machine needs besides.
fn host(site: &Site<'_>) -> Vec<String> {
    if site.order.policy_based {
        return Vec::new();
    }
    let mut lines = vec!["Each tunnel is an XFRM interface, to be made before these lines are loaded:".to_owned()];
    for leg in &site.legs {
        let (interface, number) = (leg.interface(), leg.number);
        let (address, length) = (leg.tunnel.customer_inside, leg.tunnel.inside.prefix_len());
        lines.push(format!("    ip link add {interface} type xfrm if_id {number}"));
        lines.push(format!("    ip address add {address}/{length} dev {interface}"));
        lines.extend(linux::mtu_command(leg));
        lines.push(format!("    ip link set {interface} up"));
        lines.extend(leg.route_commands());
    }
    if site.connection.routing == Routing::Bgp {
        lines.push("BGP inside of the tunnels is another program's: --as bird, --as frr.".to_owned());
    }
    lines
}

fn connection(site: &Site<'_>, leg: &Leg<'_>, body: &mut Sections, remarks: &mut Remarks) {
    let end = leg.end();
    let begins = end.startup == StartupAction::Start;
    body.open(&leg.word());
    body.set("version", version(&end.ike_versions));
    if let Some(local) = site.order.local {
        body.set("local_addrs", local);
    }
    body.set("remote_addrs", leg.remote());
    if let Some(door) = leg.door.filter(|door| door.ike_port != PORT) {
        // With any but port 500 at the peer, strongSwan wants the framing of port 4500 from the first message on.
        body.set("local_port", NAT_PORT);
        body.set("remote_port", door.nat_port);
    }
    body.set("proposals", proposals(leg, &end.phase1, true, remarks));
    if begins {
        body.set("keyingtries", 0);
    }
    body.set("mobike", if end.mobike { "yes" } else { "no" });
    match end.nat_traversal {
        NatTraversal::Detect => {}
        NatTraversal::Force => body.set("encap", "yes"),
        NatTraversal::Off => remarks.add(leg, "nat_traversal off: strongSwan always looks for NATs"),
    }
    if end.fragment_size.is_none() {
        body.set("fragmentation", "no");
    }
    dpd(leg, body, remarks);
    let margin = Rekey::of(leg, "phase1.lifetime", end.phase1.lifetime, remarks);
    body.set("rekey_time", format!("{}s", margin.at));
    reauthentication(leg, body, remarks);
    body.set("rand_time", format!("{}s", margin.random));
    body.set("over_time", format!("{}s", margin.lifetime - margin.at));
    if !site.order.policy_based {
        body.set("if_id_in", leg.number);
        body.set("if_id_out", leg.number);
    }
    let [local, remote] = leg.identities();
    for (whose, id) in [("local", local), ("remote", remote)] {
        body.open(whose);
        body.set("auth", "psk");
        body.set("id", identity(&id));
        body.close();
    }
    body.open("children");
    if end.selectors.is_empty() {
        child(leg, &leg.word(), (end.local_cidr, end.remote_cidr), body, remarks);
    }
    for (number, pair) in end.selectors.iter().enumerate() {
        child(leg, &format!("{}-{}", leg.word(), number + 1), *pair, body, remarks);
    }
    body.close();
    body.close();
    elsewhere(site, leg, remarks);
    linux::remark(site, leg, remarks);
    site.warn_of_policies(leg, remarks);
}

/// What a CHILD_SA is made by.
fn child(leg: &Leg<'_>, name: &str, (local, remote): (Ipv4Net, Ipv4Net), body: &mut Sections, remarks: &mut Remarks) {
    let end = leg.end();
    let begins = end.startup == StartupAction::Start;
    body.open(name);
    body.set("local_ts", local);
    body.set("remote_ts", remote);
    body.set("esp_proposals", proposals(leg, &end.phase2, false, remarks));
    let margin = Rekey::of(leg, "phase2.lifetime", end.phase2.lifetime, remarks);
    body.set("rekey_time", format!("{}s", margin.at));
    body.set("rand_time", format!("{}s", margin.random));
    body.set("life_time", format!("{}s", margin.lifetime));
    if let Some(packets @ 1..) = end.packets.rekey_packets {
        body.set("rekey_packets", packets);
        body.set("rand_packets", 0);
    }
    body.set("replay_window", end.replay_window);
    if end.packets.tfc_padding > 0 {
        body.set("tfc_padding", end.packets.tfc_padding);
    }
    body.set("copy_df", if end.packets.df == DfBit::Clear { "no" } else { "yes" });
    body.set(
        "dpd_action",
        match end.dpd.action {
            DpdTimeoutAction::Clear | DpdTimeoutAction::None => "clear",
            DpdTimeoutAction::Restart => "restart",
        },
    );
    body.set("start_action", if begins { "start" } else { "none" });
    body.set("close_action", if begins { "start" } else { "none" });
    body.close();
}

fn dpd(leg: &Leg<'_>, body: &mut Sections, remarks: &mut Remarks) {
    let dpd = leg.end().dpd;
    if dpd.action == DpdTimeoutAction::None {
        body.set("dpd_delay", "0s");
        return;
    }
    body.set("dpd_delay", format!("{}s", remarks.seconds(leg, "dpd_delay", dpd.delay)));
    let Some(timeout) = dpd.timeout else { return };
    if leg.end().ike_versions.contains(&IkeVersion::V1) {
        body.set("dpd_timeout", format!("{}s", remarks.seconds(leg, "dpd_timeout", timeout)));
    }
    if leg.end().ike_versions.contains(&IkeVersion::V2) {
        let series = leg.end().retransmission.iter().fold(Duration::ZERO, |sum, wait| sum + *wait);
        let what = format!(
            "dpd_timeout {timeout} is nothing to strongSwan with IKEv2: AWS's end is dead when the repetitions of a check \
             end, {series} after it was sent"
        );
        remarks.add(leg, what);
    }
}

fn reauthentication(leg: &Leg<'_>, body: &mut Sections, remarks: &mut Remarks) {
    let Some(reauthentication) = leg.end().reauthentication else { return };
    let after = remarks.seconds(leg, "reauthentication_time", reauthentication.after);
    body.set("reauth_time", format!("{after}s"));
    remarks.add(leg, format!("reauthentication_time {after}s: strongSwan subtracts a random part of rand_time"));
    if reauthentication.order == ReauthenticationOrder::MakeBeforeBreak {
        let what = "reauthentication make_before_break is for all connections, in strongswan.conf: charon { \
                    make_before_break = yes }";
        remarks.add(leg, what);
    }
}

/// Settings that strongSwan has for all connections at once, in strongswan.conf, or not at all.
fn elsewhere(site: &Site<'_>, leg: &Leg<'_>, remarks: &mut Remarks) {
    let end = leg.end();
    let [first, second] = [0, 1].map(|i| end.retransmission.get(i).or(end.retransmission.first()).copied());
    let (first, second) = (first.unwrap_or(RETRANSMIT_FIRST), second.unwrap_or(RETRANSMIT_FIRST));
    let tries = end.retransmission.len().saturating_sub(1);
    if !leg.has_usual_retransmission() {
        let (base, first) = (second.as_secs_f64() / first.as_secs_f64(), first.as_secs_f64());
        let what = format!(
            "retransmission is for all connections, in strongswan.conf: charon {{ retransmit_timeout = {first} \
             retransmit_base = {base} retransmit_tries = {tries} }}"
        );
        remarks.add(leg, what);
    }
    if let Some(size) = end.fragment_size.filter(|size| *size != FRAGMENT_SIZE) {
        let what = format!(
            "ike_fragment_size {size} is for all connections, in strongswan.conf: charon {{ fragment_size = {size} }}"
        );
        remarks.add(leg, what);
    }
    if end.invalid_cookie {
        remarks.add(leg, "invalid_cookie true: strongSwan does not say INVALID-COOKIE");
    }
    let mut elsewhere = |setting: &str, key: &str, time: Duration| {
        let seconds = remarks.seconds(leg, setting, time);
        let what =
            format!("{setting} {time} is for all connections, in strongswan.conf: charon {{ {key} = {seconds}s }}");
        remarks.add(leg, what);
    };
    if end.half_open_timeout != HALF_OPEN_TIMEOUT {
        elsewhere("half_open_timeout", "half_open_timeout", end.half_open_timeout);
    }
    if end.nat_keepalive != Some(NAT_KEEPALIVE) {
        elsewhere("nat_keepalive", "keep_alive", end.nat_keepalive.unwrap_or_default());
    }
    if let Some(delay) = end.packets.delete_rekeyed_delay {
        elsewhere("delete_rekeyed_delay", "delete_rekeyed_delay", delay);
    }
    if end.startup == StartupAction::Start {
        let what = format!(
            "retry {}: strongSwan tries again at once when nobody answers, and not at all after a refusal",
            end.retry
        );
        remarks.add(leg, what);
    }
    if site.gateway.routes_follow_sa && !leg.routes.is_empty() {
        remarks.add(leg, "routes_follow_sa: an XFRM interface, and so the routes into it, stay when the SA goes");
    }
    if leg.tunnel.bgp.is_some() && !covers_inside(leg) {
        let what = "the traffic selectors leave out the inside addresses, and Linux's policies filter by them: no BGP";
        remarks.add(leg, what);
    }
}

fn covers_inside(leg: &Leg<'_>) -> bool {
    leg.end().local_cidr.contains(&leg.tunnel.customer_inside) && leg.end().remote_cidr.contains(&leg.tunnel.aws_inside)
}

/// IKE 0 answers both versions and begins with IKEv2.
fn version(versions: &[IkeVersion]) -> u8 {
    match (versions.contains(&IkeVersion::V1), versions.contains(&IkeVersion::V2)) {
        (true, false) => 1,
        (false, _) => 2,
        (true, true) => 0,
    }
}

/// When to rekey, in seconds of an SA's life. Both programs draw alike: at `at` less a random part of `random`.
struct Rekey {
    at: u64,
    random: u64,
    lifetime: u64,
}

impl Rekey {
    fn of(leg: &Leg<'_>, setting: &str, lifetime: Duration, remarks: &mut Remarks) -> Self {
        let end: &IkeEnd = leg.end();
        let lifetime = remarks.seconds(leg, setting, lifetime);
        let margin = remarks.seconds(leg, "rekey_margin", end.rekey_margin);
        let at = lifetime.saturating_sub(margin);
        // No more than the tenth part of the life that our own law leaves (`Rekey::after`).
        let random = (margin * u64::from(end.rekey_fuzz_percent) / 100).min(at.saturating_sub(lifetime / 10));
        Self { at, random, lifetime }
    }
}

/// The proposals of a phase. IKEv1 takes the first of each kind in a proposal only, so there every combination is one, as it is
/// where the scenario says so.
fn proposals(leg: &Leg<'_>, phase: &Phase, ike: bool, remarks: &mut Remarks) -> String {
    let end = leg.end();
    let v1_only = end.ike_versions == [IkeVersion::V1];
    let [cbc, aead] = ciphers(phase);
    if !phase.additional.is_empty() {
        let setting = if ike { "phase1" } else { "phase2" };
        let what = if v1_only { "IKEv1 has none; they are left out" } else { "they need strongSwan 6.0 or later" };
        remarks.add(leg, format!("{setting}.additional_key_exchanges: {what}"));
    }
    let mut all = Vec::new();
    for (ciphers, is_aead) in [(cbc, false), (aead, true)] {
        if ciphers.is_empty() {
            continue;
        }
        if is_aead && ike && v1_only {
            remarks.add(leg, "phase1.encryption: IKEv1 has no AES-GCM in phase 1, which is left out");
            continue;
        }
        let hashes: &[Integrity] = if is_aead { &[] } else { &phase.integrity };
        let prfs: &[Integrity] = if ike { &phase.integrity } else { &[] };
        if v1_only || end.one_by_one {
            for cipher in &ciphers {
                // One setting names the integrity algorithm and the PRF.
                for hash in alternatives(if ike { prfs } else { hashes }) {
                    let hashes = if is_aead { &[] } else { hash };
                    let prfs = if ike && !v1_only { hash } else { &[] };
                    let additional = if v1_only { &[] } else { &phase.additional[..] };
                    let groups = phase.dh_groups.iter();
                    all.extend(groups.map(|group| proposal(&[*cipher], hashes, prfs, &[*group], additional)));
                }
            }
        } else {
            all.push(proposal(&ciphers, hashes, prfs, &phase.dh_groups, &phase.additional));
        }
    }
    if !ike {
        let numbers = match end.extended_sequence_numbers {
            ExtendedSequenceNumbers::No => "",
            ExtendedSequenceNumbers::Yes => "-esn",
            ExtendedSequenceNumbers::Preferred => "-esn-noesn",
        };
        all.iter_mut().for_each(|proposal| proposal.push_str(numbers));
    }
    all.join(", ")
}

/// Each alone; or nothing at all, once, if there are none.
fn alternatives(hashes: &[Integrity]) -> Vec<&[Integrity]> {
    if hashes.is_empty() { vec![&[]] } else { hashes.chunks(1).collect() }
}

fn proposal(
    ciphers: &[Encryption],
    hashes: &[Integrity],
    prfs: &[Integrity],
    groups: &[DhGroup],
    rounds: &[Round],
) -> String {
    let rounds = rounds.iter().flat_map(|round| {
        let methods = round.methods.iter().map(|method| match method {
            Method::Dh(group) => self::group(*group),
            Method::Kem(MlKem::MlKem512) => "mlkem512",
            Method::Kem(MlKem::MlKem768) => "mlkem768",
            Method::Kem(MlKem::MlKem1024) => "mlkem1024",
        });
        methods.chain(round.optional.then_some("none")).map(|method| format!("ke{}_{method}", round.number))
    });
    let ciphers = ciphers.iter().map(|e| cipher(*e).to_owned());
    let hashes = hashes.iter().map(|i| hash(*i).to_owned());
    let prfs = prfs.iter().map(|i| format!("prf{}", hash(*i)));
    let groups = groups.iter().map(|g| group(*g).to_owned());
    ciphers.chain(hashes).chain(prfs).chain(groups).chain(rounds).collect::<Vec<_>>().join("-")
}

fn cipher(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::Aes128 => "aes128",
        Encryption::Aes256 => "aes256",
        Encryption::Aes128Gcm16 => "aes128gcm16",
        Encryption::Aes256Gcm16 => "aes256gcm16",
        Encryption::Null => "null",
    }
}

fn group(group: DhGroup) -> &'static str {
    match group {
        DhGroup::Modp1024 => "modp1024",
        DhGroup::Modp1536 => "modp1536",
        DhGroup::Modp2048 => "modp2048",
        DhGroup::Modp3072 => "modp3072",
        DhGroup::Modp4096 => "modp4096",
        DhGroup::Modp6144 => "modp6144",
        DhGroup::Modp8192 => "modp8192",
        DhGroup::Ecp256 => "ecp256",
        DhGroup::Ecp384 => "ecp384",
        DhGroup::Ecp521 => "ecp521",
        DhGroup::Modp1024Sub160 => "modp1024s160",
        DhGroup::Modp2048Sub224 => "modp2048s224",
        DhGroup::Modp2048Sub256 => "modp2048s256",
        DhGroup::Curve25519 => "curve25519",
    }
}

/// A string in double quotes, in which a backslash escapes. A key of AWS does not begin with 0, so it cannot be taken for
/// the hexadecimal (`0x`) or base64 (`0s`) form of another.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Sections within sections.
#[derive(Default)]
struct Sections {
    text: String,
    depth: usize,
}

impl Sections {
    fn line(&mut self, line: &str) {
        self.text.extend(core::iter::repeat_n("    ", self.depth));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn open(&mut self, name: &str) {
        self.line(&format!("{name} {{"));
        self.depth += 1;
    }

    fn set(&mut self, key: &str, value: impl core::fmt::Display) {
        self.line(&format!("{key} = {value}"));
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }
}
