//! IKE and ESP at the two ends of a tunnel: AWS's tunnel options, and the customer gateway's counterparts.
//!
//! Ranges and defaults are those of the EC2 API (`VpnTunnelOptionsSpecification`) and of the Site-to-Site VPN user guide,
//! "Tunnel options for your Site-to-Site VPN connection".

use ipnet::Ipv4Net;
use sim_core::crypto::dh::DhGroup;
use sim_core::crypto::exchange::Method;
use sim_core::node::tunnel::{NAT_KEEPALIVE, Options};
use sim_core::proto::ike::config::{
    AWS_CHILD_GROUPS, AWS_IKE_GROUPS, ChildProtocol, FRAGMENT_SIZE, IkeVersion, NatTraversal, Reauthentication,
    ReauthenticationOrder, RekeyLaw, Round, SecondChild,
};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::Duration;

use crate::leaf::{Encryption, Integrity, Leaf, MssClamping, Percent, Psk, PskSource, Size};
use crate::place::{At, List};
use crate::plan::{
    Dpd, DpdTimeoutAction, ExtendedSequenceNumbers, IkeEnd, IkeIdentity, Phase, Proposals, Reauthenticates,
    Requirement, StartupAction, Warning,
};
use crate::profile::{AWS, Profile};
use crate::schema;

use super::certificates::Made;
use super::judge::{Judge, between, positive};
use super::nodes::whole;

const ENCRYPTION: [Encryption; 4] =
    [Encryption::Aes128, Encryption::Aes256, Encryption::Aes128Gcm16, Encryption::Aes256Gcm16];
const INTEGRITY: [Integrity; 4] = [Integrity::Sha1, Integrity::Sha2_256, Integrity::Sha2_384, Integrity::Sha2_512];

/// The groups of a phase. A customer gateway may have 31, too, which AWS does not.
fn groups(phase: u8, customer: bool) -> Vec<DhGroup> {
    let aws = if phase == 1 { &AWS_IKE_GROUPS[..] } else { &AWS_CHILD_GROUPS[..] };
    aws.iter().copied().chain(customer.then_some(DhGroup::Curve25519)).collect()
}

/// AWS's end, by AWS's rules. The traffic selectors are the connection's.
pub(super) fn aws_end(
    schema: &schema::Tunnel,
    name: &str,
    (local_cidr, remote_cidr): (Ipv4Net, Ipv4Net),
    accelerated: bool,
    seed: u64,
    certificate: Option<&Made>,
    j: &mut Judge,
) -> IkeEnd {
    let s = Duration::from_secs;
    let mut phase1 = phase(&schema.phase1, &whole_phase(1, s(28_800)), false, 1, j);
    let mut phase2 = phase(&schema.phase2, &whole_phase(2, s(3_600)), false, 2, j);
    phase1.lifetime =
        j.lawful_or(&schema.phase1.lifetime, s(28_800), |t| between(*t, s(900), s(28_800), "AWS's phase 1 lifetime"));
    phase2.lifetime = j.lawful_or(&schema.phase2.lifetime, s(3_600), |t| {
        between(*t, s(900), s(3_600), "AWS's phase 2 lifetime")?;
        if *t < phase1.lifetime {
            Ok(())
        } else {
            Err(format!("the phase 2 lifetime must be less than that of phase 1, {}", phase1.lifetime))
        }
    });
    if phase2.lifetime >= phase1.lifetime
        && schema.phase2.lifetime.is_none()
        && let Some(at) = &schema.phase1.lifetime
    {
        let message = format!("the phase 1 lifetime must be more than that of phase 2, {}", phase2.lifetime);
        j.wrong(at.place, message, None);
    }
    let half = phase2.lifetime / 2;
    let versions = ike_versions(&schema.ike_versions, &[IkeVersion::V1, IkeVersion::V2], &phase1, j);
    rounds_are_of_ikev2([&schema.phase1, &schema.phase2], &versions, j);
    let startup = j.or(&schema.startup_action, StartupAction::Add);
    IkeEnd {
        psk: match &schema.pre_shared_key {
            Some(at) => psk(at, j),
            None => drawn_psk(seed, name),
        },
        credentials: certificate.map(|made| made.credentials.clone()),
        child_protocol: child_protocol(&schema.child_protocol, &versions, j),
        ike_versions: versions,
        id: certificate.map(subject),
        expected_id: None,
        local_cidr,
        remote_cidr,
        selectors: Vec::new(),
        second_child: SecondChild::Displaces,
        rekey_margin: j.lawful_or(&schema.rekey_margin, s(270), |t| {
            between(*t, s(60), half, "AWS's rekey margin (at most half of the phase 2 lifetime)")
        }),
        rekey_fuzz_percent: fuzz(&schema.rekey_fuzz, 100, j),
        rekey_law: RekeyLaw::BeforeMargin,
        replay_window: j.number(&schema.replay_window, 1024, 64, 2048, "AWS's replay window"),
        dpd: Dpd {
            delay: j.lawful_or(&schema.dpd_delay, s(10), |t| positive(*t, "the DPD delay")),
            timeout: Some(j.lawful_or(&schema.dpd_timeout, s(40), |t| {
                if *t < s(30) { Err(format!("AWS's DPD timeout is 30s or more, not {t}")) } else { Ok(()) }
            })),
            action: j.or(&schema.dpd_timeout_action, DpdTimeoutAction::Clear),
        },
        startup,
        retransmission: retransmission(&schema.retransmission, &AWS, j),
        half_open_timeout: j.lawful_or(&schema.half_open_timeout, s(30), |t| positive(*t, "the half-open timeout")),
        retry: retry(&schema.retry, j),
        fragment_size: fragment_size(&schema.ike_fragmentation, &schema.ike_fragment_size, FRAGMENT_SIZE, j),
        reauthentication: None,
        mobike: j.or(&schema.mobike, AWS.mobike),
        invalid_cookie: false,
        one_by_one: false,
        // Guide, "Accelerated Site-to-Site VPN connections".
        initiates_rekeying: !accelerated,
        nat_traversal: if accelerated { NatTraversal::Force } else { NatTraversal::Detect },
        // AWS publishes none, and its endpoints are not behind a NAT.
        nat_keepalive: Some(NAT_KEEPALIVE),
        extended_sequence_numbers: j.or(&schema.extended_sequence_numbers, ExtendedSequenceNumbers::No),
        // How AWS seals what is too long is not published beyond this: before it encrypts (guide, best practices).
        packets: Options {
            delete_rekeyed_delay: delete_rekeyed_delay(&schema.delete_rekeyed_delay, &AWS, j),
            ..Options::default()
        },
        phase1,
        phase2,
    }
}

/// 576 octets is what every host takes (RFC 791).
fn fragment_size(on: &Option<At<bool>>, size: &Option<At<u64>>, default: u16, j: &mut Judge) -> Option<u16> {
    let size = j.number(size, default, 576, u16::MAX.into(), "the length of an IKE fragment's IP packet in octets");
    j.or(on, true).then_some(size)
}

fn reauthentication(
    schema: &schema::CustomerEnd,
    lifetime: Duration,
    aws: &IkeEnd,
    j: &mut Judge,
) -> Option<Reauthentication> {
    let after = lifetime.saturating_sub(aws.rekey_margin);
    let after = j.lawful_or(&schema.reauthentication_time, after, |t| positive(*t, "the time to authenticate anew"));
    let order = match j.or(&schema.reauthentication, Reauthenticates::Off) {
        Reauthenticates::Off => {
            if let Some(at) = &schema.reauthentication_time {
                let help = "say how: reauthentication: \"make_before_break\"";
                j.wrong(at.place, "`reauthentication` is off, so it has no time", Some(help.into()));
            }
            return None;
        }
        Reauthenticates::BreakBeforeMake => ReauthenticationOrder::BreakBeforeMake,
        Reauthenticates::MakeBeforeBreak => ReauthenticationOrder::MakeBeforeBreak,
    };
    Some(Reauthentication { after, order })
}

/// Who an end with a certificate says it is.
fn subject(made: &Made) -> IkeIdentity {
    IkeIdentity::DistinguishedName(made.credentials.chain[0].subject_der())
}

fn retry(at: &Option<At<Duration>>, j: &mut Judge) -> Duration {
    j.lawful_or(at, Duration::from_secs(10), |t| positive(*t, "the wait before a new attempt"))
}

/// The customer gateway's end: as AWS's, but that it begins and begins again, and that its own maker set its ranges.
pub(super) fn customer_end(
    schema: &schema::CustomerEnd,
    aws: &IkeEnd,
    certificate: Option<&Made>,
    profile: &Profile,
    j: &mut Judge,
) -> IkeEnd {
    let mut phase1 = phase(&schema.phase1, &aws.phase1, true, 1, j);
    let mut common = aws.phase2.clone();
    // An extra is named at both ends or it is none.
    common.encryption.retain(|encryption| *encryption != Encryption::Null);
    let mut phase2 = phase(&schema.phase2, &common, true, 2, j);
    let lifetime = |t: &Duration| between(*t, Duration::from_secs(60), Duration::from_secs(86_400 * 7), "a lifetime");
    let usual = profile.lifetimes_s.map(|own| own.map(Duration::from_secs));
    let [first, second] = usual.unwrap_or([aws.phase1.lifetime, aws.phase2.lifetime]);
    phase1.lifetime = j.lawful_or(&schema.phase1.lifetime, first, lifetime);
    phase2.lifetime = j.lawful_or(&schema.phase2.lifetime, second, lifetime);
    let shortest = phase1.lifetime.min(phase2.lifetime);
    let delay = j.lawful_or(&schema.dpd_delay, aws.dpd.delay, |t| positive(*t, "the DPD delay"));
    let usual = profile.dpd_timeout_s.map(Duration::from_secs).or(aws.dpd.timeout);
    let usual = usual.filter(|_| !profile.dpd_by_retransmission).unwrap_or_default();
    let timeout = j.lawful_or(&schema.dpd_timeout, usual, |t| {
        if t.is_zero() || *t > delay {
            Ok(())
        } else {
            Err(format!(
                "the DPD timeout must be longer than the DPD delay, {delay}, or \"0s\" for the retransmission series"
            ))
        }
    });
    let versions = ike_versions(&schema.ike_versions, &aws.ike_versions, &phase1, j);
    rounds_are_of_ikev2([&schema.phase1, &schema.phase2], &versions, j);
    IkeEnd {
        psk: schema.pre_shared_key.as_ref().map_or_else(|| aws.psk.clone(), |at| psk(at, j)),
        credentials: certificate.map(|made| made.credentials.clone()),
        child_protocol: child_protocol(&schema.child_protocol, &versions, j),
        ike_versions: versions.clone(),
        id: schema.id.as_ref().map_or_else(|| certificate.map(subject), |at| j.read(at)),
        expected_id: schema.expected_id.as_ref().map_or_else(|| aws.id.clone(), |at| j.read(at)),
        local_cidr: j.lawful_or(&schema.local_cidr, aws.remote_cidr, whole),
        remote_cidr: j.lawful_or(&schema.remote_cidr, aws.local_cidr, whole),
        selectors: traffic_selectors(schema, j),
        second_child: SecondChild::Kept,
        rekey_margin: j.lawful_or(&schema.rekey_margin, aws.rekey_margin.min(shortest / 2), |t| {
            between(*t, Duration::from_secs(1), shortest / 2, "the rekey margin (at most half of the shorter lifetime)")
        }),
        rekey_fuzz_percent: fuzz(&schema.rekey_fuzz, aws.rekey_fuzz_percent, j),
        rekey_law: RekeyLaw::BeforeMargin,
        replay_window: j.number(&schema.replay_window, aws.replay_window, 32, 4096, "a replay window"),
        dpd: Dpd {
            delay,
            timeout: (!timeout.is_zero()).then_some(timeout),
            action: j.or(&schema.dpd_timeout_action, DpdTimeoutAction::Restart),
        },
        startup: j.or(&schema.startup_action, StartupAction::Start),
        retransmission: retransmission(&schema.retransmission, profile, j),
        half_open_timeout: j
            .lawful_or(&schema.half_open_timeout, Duration::from_secs(30), |t| positive(*t, "the half-open timeout")),
        retry: retry(&schema.retry, j),
        fragment_size: fragment_size(
            &schema.ike_fragmentation,
            &schema.ike_fragment_size,
            aws.fragment_size.unwrap_or(FRAGMENT_SIZE),
            j,
        ),
        reauthentication: reauthentication(schema, phase1.lifetime, aws, j),
        mobike: j.or(&schema.mobike, profile.mobike),
        invalid_cookie: j.or(&schema.invalid_cookie, false),
        one_by_one: j.or(&schema.proposals, Proposals::Combined) == Proposals::OneByOne,
        initiates_rekeying: true,
        nat_traversal: j.or(&schema.nat_traversal, NatTraversal::Detect),
        nat_keepalive: Some(j.or(&schema.nat_keepalive, NAT_KEEPALIVE)).filter(|t| !t.is_zero()),
        extended_sequence_numbers: j.or(&schema.extended_sequence_numbers, ExtendedSequenceNumbers::No),
        packets: packets(schema, profile, j),
        phase1,
        phase2,
    }
}

/// The pairs of networks of a policy-based device.
fn traffic_selectors(schema: &schema::CustomerEnd, j: &mut Judge) -> Vec<(Ipv4Net, Ipv4Net)> {
    const MOST: usize = 100;
    let Some(given) = &schema.traffic_selectors else { return Vec::new() };
    let pairs = given.iter().map(|pair| (j.lawful(&pair.local_cidr, whole), j.lawful(&pair.remote_cidr, whole)));
    let pairs = pairs.filter_map(|(local, remote)| local.zip(remote)).collect();
    let Some(place) = given.first().map(|first| first.local_cidr.place) else { return pairs };
    if given.len() > MOST {
        j.wrong(place, format!("a device has at most {MOST} pairs of `traffic_selectors`, not {}", given.len()), None);
    }
    for at in [&schema.local_cidr, &schema.remote_cidr].into_iter().flatten() {
        j.wrong(at.place, "`traffic_selectors` say what this says", Some("leave out one of them".into()));
    }
    if let Some(at) = schema
        .reauthentication
        .as_ref()
        .filter(|_| j.or(&schema.reauthentication, Reauthenticates::Off) != Reauthenticates::Off)
    {
        j.wrong(at.place, "a device with `traffic_selectors` does not authenticate anew here", None);
    }
    pairs
}

/// What a customer gateway does with packets.
fn packets(schema: &schema::CustomerEnd, profile: &Profile, j: &mut Judge) -> Options {
    let default = Options::default();
    let Size(tfc_padding) = j.lawful_or(&schema.tfc_padding, Size(0), |Size(octets)| {
        between(*octets, 1, 65_535, "the length to which packets are padded")
    });
    let MssClamping(mss_clamp) = j.or(&schema.mss_clamping, MssClamping(None));
    let last_packet: Option<u64> = schema
        .last_sequence_number
        .is_some()
        .then(|| j.number(&schema.last_sequence_number, u64::MAX, 1, u64::MAX, "the last sequence number"));
    let rekey_packets: Option<u64> = schema.rekey_packets.as_ref().and_then(|at| j.read(at));
    Options {
        df: j.or(&schema.df_bit, default.df),
        clear_df: j.or(&schema.clear_df_bit, default.clear_df),
        fragmentation: j.or(&schema.fragmentation, default.fragmentation),
        learns_path_mtu: j.or(&schema.path_mtu_discovery, true),
        mss_clamp,
        tfc_padding: tfc_padding as u16,
        dummy_every: schema.dummy_interval.as_ref().and_then(|at| j.lawful(at, |t| positive(*t, "this interval"))),
        // If only the end is moved, so is the beginning of the end.
        rekey_packets: rekey_packets.or(last_packet.map(|last| last / 4 * 3)),
        last_packet,
        delete_rekeyed_delay: delete_rekeyed_delay(&schema.delete_rekeyed_delay, profile, j),
    }
}

fn delete_rekeyed_delay(at: &Option<At<Duration>>, profile: &Profile, j: &mut Judge) -> Option<Duration> {
    let usual = Duration::from_secs(profile.delete_rekeyed_delay_s);
    Some(j.or(at, usual)).filter(|delay| !delay.is_zero())
}

/// What is allowed at AWS's end here and not offered by AWS.
pub(super) fn extras(aws: &IkeEnd, customer: &IkeEnd, tunnel: &str) -> Vec<Warning> {
    let (connection, own) = tunnel.split_once('.').unwrap_or((tunnel, ""));
    let warning = |given: bool, setting: &str, text: &str| {
        let parameter = format!("connections.{connection}.tunnels.{own}.{setting}");
        given.then(|| Warning { parameter, text: text.to_owned() })
    };
    let null = aws.phase2.encryption.contains(&Encryption::Null);
    let esn = aws.extended_sequence_numbers != ExtendedSequenceNumbers::No;
    let ah = aws.child_protocol == ChildProtocol::Ah;
    let calls = aws.startup == StartupAction::Start;
    let pairs = customer.selectors.len();
    [
        // Guide, "Your customer gateway device".
        warning(
            pairs > 1,
            "customer.traffic_selectors",
            "AWS keeps one pair of SAs for a tunnel: traffic of one of these pairs of networks takes the tunnel from the others; \
             make one of them",
        ),
        warning(
            null,
            "phase2.encryption",
            "AWS does not offer NULL encryption: such a tunnel is for looking into packets only",
        ),
        warning(
            esn,
            "extended_sequence_numbers",
            "AWS has no option for extended sequence numbers: whether its endpoints agree to them is not published",
        ),
        warning(
            aws.mobike,
            "mobike",
            "AWS documents no MOBIKE: such a tunnel shows what another responder does, not what AWS does",
        ),
        // Guide, page initiate-vpn-tunnels.html.
        warning(
            calls && aws.ike_versions == [IkeVersion::V1],
            "startup_action",
            "AWS initiates by IKEv2 only: a tunnel of IKEv1 that it begins shows what another initiator does",
        ),
        warning(ah, "child_protocol", "AWS does not offer AH: such a tunnel shows what AH is, not what AWS does"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn whole_phase(number: u8, lifetime: Duration) -> Phase {
    let dh_groups = groups(number, false);
    let (encryption, integrity) = (ENCRYPTION.to_vec(), INTEGRITY.to_vec());
    Phase { encryption, integrity, dh_groups, additional: Vec::new(), lifetime }
}

/// What a phase allows; its lifetime is judged by the caller.
fn phase(schema: &schema::Phase, default: &Phase, customer: bool, number: u8, j: &mut Judge) -> Phase {
    let groups = groups(number, customer);
    let numbered = |n: &u64| groups.iter().copied().find(|group| u64::from(group.id()) == *n);
    let group_rule = |n: &u64| match numbered(n) {
        Some(_) => Ok(()),
        None if *n == 5 => Err("group 5 is for phase 2 only".into()),
        None => {
            let whose = if customer { "a customer gateway's" } else { "AWS's" };
            let ids: Vec<u16> = groups.iter().map(|group| group.id()).collect();
            let nearest = ids.iter().min_by_key(|id| u64::from(**id).abs_diff(*n)).copied().unwrap_or_default();
            let all = ids.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            Err(format!("{whose} phase {number} has no Diffie-Hellman group {n}: the nearest of {all} is {nearest}"))
        }
    };
    let cipher_rule = |e: &Encryption| match (e, number) {
        (Encryption::Null, 1) => Err("NULL encryption is for phase 2 only: IKE itself is always encrypted".into()),
        _ => Ok(()),
    };
    let encryption = match &schema.encryption {
        Some(list) => j.items(list, cipher_rule),
        None => default.encryption.clone(),
    };
    let dh_groups = schema.dh_groups.as_ref().map(|list| j.items(list, group_rule));
    Phase {
        encryption,
        integrity: words(&schema.integrity, &default.integrity, j),
        dh_groups: dh_groups
            .map_or_else(|| default.dh_groups.clone(), |numbers| numbers.iter().filter_map(numbered).collect()),
        additional: schema
            .additional_key_exchanges
            .as_ref()
            .map_or_else(|| default.additional.clone(), |list| rounds(list, customer, j)),
        lifetime: default.lifetime,
    }
}

/// Additional key exchanges (API: `VpnAdditionalKeyExchangeRequest`): rounds 1 to 7, each once, with the groups of phase 2 or
/// ML-KEM.
fn rounds(list: &[schema::AdditionalKeyExchange], customer: bool, j: &mut Judge) -> Vec<Round> {
    let groups = groups(2, customer);
    let method = |n: &u64| {
        let method = u16::try_from(*n).ok().and_then(Method::from_id);
        method.filter(|method| !matches!(method, Method::Dh(group) if !groups.contains(group)))
    };
    let rule = |n: &u64| match method(n) {
        Some(_) => Ok(()),
        None => Err(format!(
            "there is no key exchange method {n} here: 35, 36 and 37 are ML-KEM-512, ML-KEM-768 and ML-KEM-1024, the \
             others are Diffie-Hellman groups"
        )),
    };
    let mut rounds: Vec<Round> = Vec::new();
    for exchange in list {
        let Some(number) = j.lawful(&exchange.round, |n| between(*n, 1, 7, "the round of a key exchange")) else {
            continue;
        };
        if rounds.iter().any(|round| u64::from(round.number) == number) {
            j.wrong(exchange.round.place, format!("there are two rounds {number}"), None);
        }
        let methods = j.items(&exchange.key_exchange_methods, rule).iter().filter_map(method).collect();
        let optional = j.or(&exchange.requirement, Requirement::Required) == Requirement::Optional;
        rounds.push(Round { number: number as u8, methods, optional });
    }
    rounds.sort_by_key(|round| round.number);
    rounds
}

/// IKEv1 has one key exchange.
fn rounds_are_of_ikev2(phases: [&schema::Phase; 2], versions: &[IkeVersion], j: &mut Judge) {
    let given = phases.into_iter().filter_map(|phase| phase.additional_key_exchanges.as_ref()?.first());
    for exchange in given.filter(|_| versions == [IkeVersion::V1]) {
        j.wrong(exchange.round.place, "additional key exchanges are for IKEv2 only", None);
    }
}

fn words<T: Leaf + Clone>(list: &Option<List<T>>, default: &[T], j: &mut Judge) -> Vec<T> {
    list.as_ref().map_or_else(|| default.to_vec(), |list| j.items(list, |_| Ok(())))
}

/// The versions of an end. One that speaks IKEv1 alone needs a cipher for it.
fn ike_versions(
    list: &Option<List<IkeVersion>>,
    default: &[IkeVersion],
    phase1: &Phase,
    j: &mut Judge,
) -> Vec<IkeVersion> {
    let versions = words(list, default, j);
    let cbc = phase1.encryption.iter().any(|e| matches!(e, Encryption::Aes128 | Encryption::Aes256));
    if let Some(list) = list
        && versions == [IkeVersion::V1]
        && !cbc
    {
        let help = "allow AES128 or AES256 in phase 1, or \"ikev2\"";
        j.wrong(list.place, "IKEv1 has no AES-GCM in phase 1", Some(help.into()));
    }
    versions
}

/// ESP or AH. AH is negotiated by IKEv2 alone.
fn child_protocol(at: &Option<At<ChildProtocol>>, versions: &[IkeVersion], j: &mut Judge) -> ChildProtocol {
    j.lawful_or(at, ChildProtocol::Esp, |protocol| match protocol {
        ChildProtocol::Ah if versions == [IkeVersion::V1] => Err("AH is for IKEv2 only here".into()),
        ChildProtocol::Ah | ChildProtocol::Esp => Ok(()),
    })
}

fn fuzz(at: &Option<At<Percent>>, default: u32, j: &mut Judge) -> u32 {
    const ONE_PERCENT: u64 = 10_000_000;
    let Percent(share) = j.lawful_or(at, Percent(u64::from(default) * ONE_PERCENT), |Percent(share)| {
        if share % ONE_PERCENT == 0 { Ok(()) } else { Err("the rekey fuzz is a whole percentage".into()) }
    });
    (share / ONE_PERCENT) as u32
}

fn retransmission(list: &Option<List<Duration>>, profile: &Profile, j: &mut Judge) -> Vec<Duration> {
    list.as_ref().map_or_else(|| profile.retransmission(), |list| j.items(list, |t| positive(*t, "a wait")))
}

/// The key itself, wherever it is kept.
pub(super) fn psk(at: &At<PskSource>, j: &mut Judge) -> Psk {
    let unknown = || Psk::new("placeholder").unwrap_or_else(|_| drawn_psk(0, ""));
    let (kept, content) = match j.read(at) {
        None => return unknown(),
        Some(PskSource::Inline(psk)) => return psk,
        Some(PskSource::File(path)) => (format!("file `{path}`"), j.secrets.file(&path)),
        Some(PskSource::Environment(name)) => (format!("environment variable `{name}`"), j.secrets.environment(&name)),
    };
    let psk = content.and_then(|text| Psk::new(text.trim_end_matches(['\r', '\n'])));
    psk.unwrap_or_else(|why| {
        j.wrong(at.place, format!("no pre-shared key in {kept}: {why}"), None);
        unknown()
    })
}

/// 32 letters and digits, as AWS makes them when none is given.
fn drawn_psk(seed: u64, tunnel: &str) -> Psk {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut rng = Rng::stream(seed, &format!("pre-shared key of {tunnel}"), Purpose::IkeSecrets);
    // The first is a letter: a key does not start with 0.
    let key: String = (0..32).map(|i| char::from(ALPHABET[rng.below(if i == 0 { 52 } else { 62 }) as usize])).collect();
    Psk::drawn(key)
}
