//! What IKE is told: from AWS's tunnel options, which name phases and integrity, to proposals as RFC 7296 has them.

use std::net::Ipv4Addr;

use ipnet::IpNet;
use sim_core::crypto::dh::DhGroup;
use sim_core::crypto::prf::Prf;
use sim_core::crypto::suite;
use sim_core::proto::ike;
use sim_core::proto::ike::config as ike_config;
use sim_core::time::Duration;
use sim_core::wire::ike::TrafficSelector;

use crate::leaf;
use crate::plan::{IkeEnd, IkeIdentity, Side, StartupAction};

/// What IKE is told at one end.
pub(super) fn ike_end(end: &IkeEnd, local: Ipv4Addr, remote: Ipv4Addr, side: Side) -> ike::Config {
    let (local_id, remote_id) = (identity(&end.id, local), identity(&end.expected_id, remote));
    let mut config = ike::Config::aws(local_id, remote_id, end.psk.expose());
    (config.ike_offers, config.esp_offers) = offers(end);
    config.selection = match side {
        Side::Aws => ike_config::Selection::LowestConfigured,
        Side::Customer => ike_config::Selection::FirstOfInitiator,
    };
    config.local_ts = vec![TrafficSelector::prefix(IpNet::V4(end.local_cidr))];
    config.remote_ts = vec![TrafficSelector::prefix(IpNet::V4(end.remote_cidr))];
    config.ike_lifetime = end.phase1.lifetime;
    config.child_lifetime = end.phase2.lifetime;
    config.rekey.margin = end.rekey_margin;
    config.rekey.fuzz_percent = end.rekey_fuzz_percent.into();
    config.dpd.idle = end.dpd.delay;
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
    config
}

/// Who an end is: as configured, or its outside address.
fn identity(id: &Option<IkeIdentity>, address: Ipv4Addr) -> ike_config::Identity {
    match id {
        None => ike_config::Identity::Ipv4(address),
        Some(IkeIdentity::Address(address)) => ike_config::Identity::Ipv4(*address),
        Some(IkeIdentity::Name(name)) => ike_config::Identity::Fqdn(name.clone()),
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

/// Proposals from AWS's lists: ciphers with an HMAC and AEADs apart, because an AEAD has no integrity algorithm.
fn offers(end: &IkeEnd) -> (Vec<ike_config::IkeOffer>, Vec<ike_config::EspOffer>) {
    let split = |phase: &crate::plan::Phase| {
        let all: Vec<suite::Encryption> = phase.encryption.iter().map(|e| encryption(*e)).collect();
        let (aead, cbc): (Vec<_>, Vec<_>) = all.into_iter().partition(|e| e.is_aead());
        let hashes: Vec<suite::Integrity> = phase.integrity.iter().map(|i| integrity(*i)).collect();
        let groups: Vec<DhGroup> = phase.dh_groups.iter().filter_map(|g| DhGroup::from_id(*g)).collect();
        let kinds = [(cbc, hashes), (aead, Vec::new())];
        (kinds.into_iter().filter(|(e, _)| !e.is_empty()), groups)
    };
    let prf = end.phase1.integrity.iter().map(|i| prf(*i)).collect::<Vec<_>>();
    let (kinds, groups) = split(&end.phase1);
    let ike = kinds.map(|(encryption, integrity)| ike_config::IkeOffer {
        encryption,
        integrity,
        prf: prf.clone(),
        groups: groups.clone(),
    });
    let ike = ike.collect();
    let (kinds, groups) = split(&end.phase2);
    let esp =
        kinds.map(|(encryption, integrity)| ike_config::EspOffer { encryption, integrity, groups: groups.clone() });
    (ike, esp.collect())
}

pub(crate) const fn encryption(name: leaf::Encryption) -> suite::Encryption {
    match name {
        leaf::Encryption::Aes128 => suite::Encryption::AesCbc128,
        leaf::Encryption::Aes256 => suite::Encryption::AesCbc256,
        leaf::Encryption::Aes128Gcm16 => suite::Encryption::AesGcm16_128,
        leaf::Encryption::Aes256Gcm16 => suite::Encryption::AesGcm16_256,
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
