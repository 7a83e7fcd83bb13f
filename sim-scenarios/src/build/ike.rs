//! What IKE is told: from AWS's tunnel options, which name phases and integrity, to proposals as RFC 7296 has them.

use std::net::IpAddr;

use ipnet::IpNet;
use sim_core::crypto::prf::Prf;
use sim_core::crypto::suite;
use sim_core::proto::ike;
use sim_core::proto::ike::config as ike_config;
use sim_core::time::Duration;
use sim_core::wire::ike::TrafficSelector;

use crate::leaf;
use crate::plan::{IkeEnd, IkeIdentity, Side, StartupAction};

/// What IKE is told at one end. The identities of both ends are addresses: the customer gateway's is the one that AWS has
/// registered, also behind a NAT, as AWS's own configuration files have it.
pub(super) fn ike_end(end: &IkeEnd, local: IpAddr, remote: IpAddr, side: Side) -> ike::Config {
    let (local_id, remote_id) = (identity(&end.id, local), identity(&end.expected_id, remote));
    let mut config = ike::Config::aws(local_id, remote_id, end.psk.expose());
    config.credentials = end.credentials.clone();
    config.versions = end.ike_versions.as_slice().into();
    (config.ike_offers, config.esp_offers) = offers(end, side);
    config.esn = end.extended_sequence_numbers.offered().to_vec();
    config.child_protocol = end.child_protocol;
    config.selection = match side {
        Side::Aws => ike_config::Selection::LowestConfigured,
        Side::Customer => ike_config::Selection::FirstOfInitiator,
    };
    config.local_ts = vec![TrafficSelector::prefix(IpNet::V4(end.local_cidr))];
    config.remote_ts = vec![TrafficSelector::prefix(IpNet::V4(end.remote_cidr))];
    let selectors = end.selectors.iter().map(|(local, remote)| ike_config::Policy {
        local: TrafficSelector::prefix(IpNet::V4(*local)),
        remote: TrafficSelector::prefix(IpNet::V4(*remote)),
    });
    config.policies = selectors.collect();
    config.second_child = end.second_child;
    config.ike_lifetime = end.phase1.lifetime;
    config.child_lifetime = end.phase2.lifetime;
    config.rekey.initiates = end.initiates_rekeying;
    config.nat = end.nat_traversal;
    config.rekey.margin = end.rekey_margin;
    config.rekey.fuzz_percent = end.rekey_fuzz_percent.into();
    config.rekey.law = end.rekey_law;
    config.dpd.idle = end.dpd.delay;
    config.dpd.periodic_for_nat = side == Side::Aws;
    config.dpd.model = match end.dpd.timeout {
        Some(timeout) => ike_config::DpdModel::Timeout {
            interval: ike_config::AWS_DPD_INTERVAL,
            timeout,
            base: ike_config::DpdBase::LastPacket,
        },
        None => ike_config::DpdModel::RetransmissionSeries,
    };
    config.dpd.action = match end.dpd.action {
        crate::plan::DpdTimeoutAction::Clear => ike_config::DpdAction::Clear,
        crate::plan::DpdTimeoutAction::None => ike_config::DpdAction::None,
        crate::plan::DpdTimeoutAction::Restart => ike_config::DpdAction::Restart,
    };
    config.startup = match end.startup {
        StartupAction::Add => ike_config::Startup::Add,
        StartupAction::Start => ike_config::Startup::Start,
    };
    config.initiate_on_traffic = side == Side::Customer && end.startup == StartupAction::Start;
    config.retransmission = retransmission(&end.retransmission);
    config.half_open = end.half_open_timeout;
    config.retry.first = end.retry;
    config.retry.cap = config.retry.cap.max(end.retry);
    config.fragment_size = end.fragment_size;
    config.reauthentication = end.reauthentication;
    config.mobike = end.mobike.then(ike_config::Mobike::default);
    config.invalid_cookie = end.invalid_cookie;
    config
}

/// Who an end is: as configured, or its outside address.
fn identity(id: &Option<IkeIdentity>, address: IpAddr) -> ike_config::Identity {
    match id {
        None => address.into(),
        Some(IkeIdentity::Address(address)) => (*address).into(),
        Some(IkeIdentity::Name(name)) => ike_config::Identity::Fqdn(name.clone()),
        Some(IkeIdentity::DistinguishedName(der)) => ike_config::Identity::DistinguishedName(der.clone()),
    }
}

/// The series of waits as IKE takes it: a first wait, a ratio, a number of repetitions.
fn retransmission(waits: &[Duration]) -> ike_config::Retransmission {
    let first = waits.first().copied().unwrap_or(ike_config::RETRANSMIT_FIRST);
    let second = waits.get(1).copied().unwrap_or(first);
    ike_config::Retransmission {
        first,
        factor: (second.as_nanos().max(1), first.as_nanos().max(1)),
        tries: waits.len().saturating_sub(1) as u32,
        jitter_percent: 0,
    }
}

/// Proposals from AWS's lists: ciphers with an HMAC and AEADs apart, because an AEAD has no integrity algorithm. AWS goes from
/// its lowest configured value upwards, in whatever order it was given them; a customer gateway prefers what it was given first.
fn offers(end: &IkeEnd, side: Side) -> (Vec<ike_config::IkeOffer>, Vec<ike_config::EspOffer>) {
    let (phase1, phase2) = (in_order(&end.phase1, side), in_order(&end.phase2, side));
    let split = |phase: &crate::plan::Phase| {
        let all: Vec<suite::Encryption> = phase.encryption.iter().map(|e| encryption(*e)).collect();
        let (aead, cbc): (Vec<_>, Vec<_>) = all.into_iter().partition(|e| e.is_aead());
        let hashes: Vec<suite::Integrity> = phase.integrity.iter().map(|i| integrity(*i)).collect();
        [(cbc, hashes), (aead, Vec::new())].into_iter().filter(|(e, _)| !e.is_empty())
    };
    let prf = phase1.integrity.iter().map(|i| prf(*i)).collect::<Vec<_>>();
    let ike = split(&phase1).map(|(encryption, integrity)| ike_config::IkeOffer {
        encryption,
        integrity,
        prf: prf.clone(),
        groups: phase1.dh_groups.clone(),
        additional: phase1.additional.clone(),
    });
    let esp = split(&phase2).map(|(encryption, integrity)| ike_config::EspOffer {
        encryption,
        integrity,
        groups: phase2.dh_groups.clone(),
        additional: phase2.additional.clone(),
    });
    let (ike, esp) = (ike.collect(), esp.collect());
    if end.one_by_one { one_by_one(ike, esp) } else { (ike, esp) }
}

/// Each combination by itself, as far as the one octet that numbers them goes (RFC 7296 section 3.3.1).
fn one_by_one(
    ike: Vec<ike_config::IkeOffer>,
    esp: Vec<ike_config::EspOffer>,
) -> (Vec<ike_config::IkeOffer>, Vec<ike_config::EspOffer>) {
    const MOST: usize = u8::MAX as usize;
    // AWS's integrity option names the PRF, too, so a device that lists combinations lists the two as one.
    let hashed = |offer: &ike_config::IkeOffer| -> Vec<(Vec<suite::Integrity>, Prf)> {
        let pair = |(i, prf): (usize, &Prf)| (offer.integrity.get(i).copied().into_iter().collect(), *prf);
        offer.prf.iter().enumerate().map(pair).collect()
    };
    let mut single_ike = Vec::new();
    for offer in &ike {
        for encryption in &offer.encryption {
            for (integrity, prf) in hashed(offer) {
                single_ike.extend(offer.groups.iter().map(|group| ike_config::IkeOffer {
                    encryption: vec![*encryption],
                    integrity: integrity.clone(),
                    prf: vec![prf],
                    groups: vec![*group],
                    additional: offer.additional.clone(),
                }));
            }
        }
    }
    let mut single_esp = Vec::new();
    for offer in &esp {
        let hashes: Vec<Vec<_>> = offer.integrity.iter().map(|i| vec![*i]).collect();
        let hashes = if hashes.is_empty() { vec![Vec::new()] } else { hashes };
        let groups: Vec<Vec<_>> = offer.groups.iter().map(|group| vec![*group]).collect();
        let groups = if groups.is_empty() { vec![Vec::new()] } else { groups };
        for encryption in &offer.encryption {
            for integrity in &hashes {
                single_esp.extend(groups.iter().map(|groups| ike_config::EspOffer {
                    encryption: vec![*encryption],
                    integrity: integrity.clone(),
                    groups: groups.clone(),
                    additional: offer.additional.clone(),
                }));
            }
        }
    }
    single_ike.truncate(MOST);
    single_esp.truncate(MOST);
    (single_ike, single_esp)
}

fn in_order(phase: &crate::plan::Phase, side: Side) -> crate::plan::Phase {
    let mut phase = phase.clone();
    if side == Side::Aws {
        phase.encryption.sort_unstable();
        phase.integrity.sort_unstable();
        phase.dh_groups.sort_unstable_by_key(|group| group.id());
        phase.additional.iter_mut().for_each(|round| round.methods.sort_unstable_by_key(|method| method.id()));
    }
    phase
}

pub(crate) const fn encryption(name: leaf::Encryption) -> suite::Encryption {
    match name {
        leaf::Encryption::Aes128 => suite::Encryption::AesCbc128,
        leaf::Encryption::Aes256 => suite::Encryption::AesCbc256,
        leaf::Encryption::Aes128Gcm16 => suite::Encryption::AesGcm16_128,
        leaf::Encryption::Aes256Gcm16 => suite::Encryption::AesGcm16_256,
        leaf::Encryption::Null => suite::Encryption::Null,
    }
}

pub(crate) const fn integrity(name: leaf::Integrity) -> suite::Integrity {
    match name {
        leaf::Integrity::Sha1 => suite::Integrity::HmacSha1_96,
        leaf::Integrity::Sha2_256 => suite::Integrity::HmacSha2_256_128,
        leaf::Integrity::Sha2_384 => suite::Integrity::HmacSha2_384_192,
        leaf::Integrity::Sha2_512 => suite::Integrity::HmacSha2_512_256,
    }
}

/// AWS's integrity option of phase 1 also names the PRF.
const fn prf(name: leaf::Integrity) -> Prf {
    match name {
        leaf::Integrity::Sha1 => Prf::HmacSha1,
        leaf::Integrity::Sha2_256 => Prf::HmacSha2_256,
        leaf::Integrity::Sha2_384 => Prf::HmacSha2_384,
        leaf::Integrity::Sha2_512 => Prf::HmacSha2_512,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoSecrets, Scenario};

    const TEXT: &str = include_str!("../../../scenarios/active_passive.ron");

    fn offers_of_b(changes: &[&str], side: Side) -> (Vec<ike_config::IkeOffer>, Vec<ike_config::EspOffer>) {
        let scenario = Scenario::parse("active_passive.ron", TEXT, &NoSecrets).expect("it makes sense");
        let scenario = scenario.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let tunnel = &scenario.plan().connections[0].tunnels[1];
        offers(if side == Side::Aws { &tunnel.aws } else { &tunnel.customer }, side)
    }

    /// The user guide's lists: four ciphers, four hashes, groups 2 and 14 to 24, in phase 2 also 5. All are offered if nothing
    /// else is said.
    #[test]
    fn by_default_everything_that_aws_lists_is_offered() {
        for side in [Side::Aws, Side::Customer] {
            let (ike, esp) = offers_of_b(&[], side);
            let ids = |groups: &[sim_core::crypto::dh::DhGroup]| groups.iter().map(|g| g.id()).collect::<Vec<_>>();
            for offer in &ike {
                assert_eq!(ids(&offer.groups), [2, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);
                assert_eq!(offer.prf, Prf::ALL);
            }
            for offer in &esp {
                assert_eq!(ids(&offer.groups), [2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);
            }
            let ciphers: Vec<_> = ike.iter().flat_map(|offer| offer.encryption.clone()).collect();
            assert_eq!(ciphers, suite::Encryption::ALL);
            assert_eq!(ike[0].integrity, suite::Integrity::ALL[1..]);
            assert_eq!(esp[0].integrity, suite::Integrity::ALL[1..]);
        }
    }

    /// AWS's guide has no word on INVALID-COOKIE, so it is the customer gateway's alone.
    #[test]
    fn a_customer_gateway_may_tell_that_it_has_lost_its_state() {
        let says = |changes: &[&str]| {
            let scenario = Scenario::parse("active_passive.ron", TEXT, &NoSecrets).expect("it makes sense");
            let scenario = scenario.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
            let tunnel = &scenario.plan().connections[0].tunnels[1];
            [Side::Aws, Side::Customer].map(|side| crate::build::ike_config(tunnel, side).invalid_cookie)
        };
        assert_eq!(says(&[]), [false, false]);
        assert_eq!(says(&["connections.vpn.tunnels.b.customer.invalid_cookie=true"]), [false, true]);
    }

    /// The user guide: AWS goes from the lowest value upwards. RFC 7296 section 2.7: the initiator's order is its preference.
    #[test]
    fn aws_sorts_what_the_customer_orders() {
        let changes = [
            "connections.vpn.tunnels.b.phase1.dh_groups=[24, 14]",
            "connections.vpn.tunnels.b.phase1.encryption=[\"AES256\", \"AES128\"]",
            "connections.vpn.tunnels.b.phase1.integrity=[\"SHA2-512\", \"SHA1\"]",
        ];
        let of = |side| offers_of_b(&changes, side).0.swap_remove(0);
        let (aws, customer) = (of(Side::Aws), of(Side::Customer));
        assert_eq!(aws.groups.iter().map(|g| g.id()).collect::<Vec<_>>(), [14, 24]);
        assert_eq!(aws.encryption, [suite::Encryption::AesCbc128, suite::Encryption::AesCbc256]);
        assert_eq!(aws.prf, [Prf::HmacSha1, Prf::HmacSha2_512]);
        let turned = |groups: &[sim_core::crypto::dh::DhGroup]| groups.iter().rev().copied().collect::<Vec<_>>();
        assert_eq!(customer.groups, turned(&aws.groups));
        assert_eq!(customer.encryption, [suite::Encryption::AesCbc256, suite::Encryption::AesCbc128]);
    }
}
