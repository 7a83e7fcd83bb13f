//! Suites of IKEv1: a transform is a whole suite, spelt in attributes (RFC 2409 appendix A, RFC 2407 section 4.5, and IANA's
//! later values).
//!
//! Extended sequence numbers are an attribute, too (RFC 4304 section 2); without it they have 32 bits.
//!
//! One proposal carries all transforms, every combination of what an offer lists. AES-GCM protects phase 2 only (RFC 4106 section
//! 8); RFC 5282 brought it to IKEv2's own messages.

use super::keys::integrity_of;
use crate::crypto::dh::DhGroup;
use crate::crypto::prf::Prf;
use crate::crypto::signature::KeyType;
use crate::crypto::suite::{Encryption, Integrity, Suite};
use crate::proto::ike::config::{ChildProtocol, Config, Esn, EspOffer, IkeOffer, Selection};
use crate::proto::ike::{EspSuite, IkeSuite};
use crate::time::Duration;
use crate::wire::ike::v1::{Attribute, Proposal, Protocol, Spi, Transform};

/// KEY_IKE (RFC 2407 section 4.4.2).
const KEY_IKE: u8 = 1;
/// ESP_NULL (RFC 2407 section 4.4.4).
const ESP_NULL: u8 = 11;
/// ESP_AES and ESP_AES_GCM_16 (RFC 3602 section 5.1, RFC 4106 section 8.1).
const ESP_AES: u8 = 12;
const ESP_AES_GCM_16: u8 = 20;

/// Attributes of phase 1 (RFC 2409 appendix A).
mod phase1 {
    pub const ENCRYPTION: u16 = 1;
    pub const HASH: u16 = 2;
    pub const METHOD: u16 = 3;
    pub const GROUP: u16 = 4;
    pub const LIFE_TYPE: u16 = 11;
    pub const LIFE_DURATION: u16 = 12;
    pub const KEY_LENGTH: u16 = 14;
    pub const ALL: [u16; 7] = [ENCRYPTION, HASH, METHOD, GROUP, LIFE_TYPE, LIFE_DURATION, KEY_LENGTH];
    /// AES-CBC (RFC 3602 section 5.1).
    pub const AES_CBC: u16 = 7;
    pub const PRE_SHARED_KEY: u16 = 1;
    pub const RSA_SIGNATURES: u16 = 3;
    /// RFC 4754 section 4: with SHA-256 on P-256, with SHA-384 on P-384.
    pub const ECDSA_256: u16 = 9;
    pub const ECDSA_384: u16 = 10;
}

/// Attributes of phase 2 (RFC 2407 section 4.5).
mod phase2 {
    pub const LIFE_TYPE: u16 = 1;
    pub const LIFE_DURATION: u16 = 2;
    pub const GROUP: u16 = 3;
    pub const ENCAPSULATION: u16 = 4;
    pub const INTEGRITY: u16 = 5;
    pub const KEY_LENGTH: u16 = 6;
    /// RFC 4304 section 2.
    pub const EXTENDED_SEQUENCE_NUMBER: u16 = 11;
    pub const ALL: [u16; 7] =
        [LIFE_TYPE, LIFE_DURATION, GROUP, ENCAPSULATION, INTEGRITY, KEY_LENGTH, EXTENDED_SEQUENCE_NUMBER];
    pub const SEQUENCE_NUMBER_64: u16 = 1;
    pub const TUNNEL: u16 = 1;
    /// RFC 3947 section 5.1.
    pub const UDP_ENCAPSULATED_TUNNEL: u16 = 3;
}

/// The life type of both phases.
const SECONDS: u16 = 1;

/// Hash Algorithm of phase 1 (RFC 2409 appendix A, RFC 4868 section 2.7), Authentication Algorithm of phase 2 (RFC 2407
/// section 4.5, RFC 4868 section 2.7).
const HASHES: [(Prf, Integrity, u16, u16); 4] = [
    (Prf::HmacSha1, Integrity::HmacSha1_96, 2, 2),
    (Prf::HmacSha2_256, Integrity::HmacSha2_256_128, 4, 5),
    (Prf::HmacSha2_384, Integrity::HmacSha2_384_192, 5, 6),
    (Prf::HmacSha2_512, Integrity::HmacSha2_512_256, 6, 7),
];

/// What an initiator and a responder agree on in phase 1: suite and lifetime as offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Phase1 {
    pub suite: IkeSuite,
    pub lifetime: Option<Duration>,
}

/// The same of phase 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Phase2 {
    pub suite: EspSuite,
    /// The SPI of who wrote the proposal.
    pub spi: u32,
    pub lifetime: Option<Duration>,
}

/// The suites of an offer that IKEv1 can name, preferred first.
fn ike_suites(offer: &IkeOffer) -> impl Iterator<Item = IkeSuite> {
    let ciphers = offer.encryption.iter().filter(|cipher| !cipher.is_aead());
    ciphers.flat_map(move |cipher| {
        let hashes = offer.prf.iter().filter(|prf| offer.integrity.contains(&integrity_of(**prf)));
        hashes.flat_map(move |prf| {
            offer.groups.iter().filter_map(move |group| {
                let protection = Suite::new(*cipher, integrity_of(*prf))?;
                Some(IkeSuite { protection, prf: *prf, group: *group })
            })
        })
    })
}

/// The suites of an offer; none for AH, which is IKEv2's here.
fn esp_suites<'c>(
    config: &'c Config,
    offer: &'c EspOffer,
    group: Option<DhGroup>,
) -> impl Iterator<Item = EspSuite> + 'c {
    let protections = esp_protections(offer, group).filter(|_| config.child_protocol == ChildProtocol::Esp);
    protections.flat_map(move |protection| {
        config.esn.iter().map(move |esn| EspSuite { esn: *esn, ..EspSuite::new(protection, group) })
    })
}

fn esp_protections(offer: &EspOffer, group: Option<DhGroup>) -> impl Iterator<Item = Suite> {
    let wanted = group.map_or(offer.groups.is_empty(), |group| offer.groups.contains(&group));
    offer.encryption.iter().filter(move |_| wanted).flat_map(move |cipher| {
        let none = cipher.is_aead().then_some(&Integrity::None);
        let hashes = offer.integrity.iter().filter(|_| !cipher.is_aead());
        none.into_iter().chain(hashes).filter_map(move |integrity| Suite::new(*cipher, *integrity))
    })
}

/// How both ends prove who they are: one method for the two of them (RFC 2409 section 5), so the keys of both certificates must be
/// of one kind.
fn method(config: &Config) -> u16 {
    match config.credentials.as_ref().map(|credentials| credentials.key.kind()) {
        None => phase1::PRE_SHARED_KEY,
        Some(KeyType::Rsa) => phase1::RSA_SIGNATURES,
        Some(KeyType::EcdsaP256) => phase1::ECDSA_256,
        Some(KeyType::EcdsaP384) => phase1::ECDSA_384,
    }
}

/// The SA payload of Main Mode's first message; `None` if the configuration has no suite for it.
pub(super) fn offer_ike(config: &Config) -> Option<Vec<Proposal>> {
    let suites = config.ike_offers.iter().flat_map(ike_suites);
    let transforms: Vec<Transform> =
        suites.zip(1..=u8::MAX).map(|(suite, n)| ike_transform(config, suite, n)).collect();
    (!transforms.is_empty())
        .then(|| vec![Proposal { number: 1, protocol: Protocol::Isakmp, spi: Spi::EMPTY, transforms }])
}

fn ike_transform(config: &Config, suite: IkeSuite, number: u8) -> Transform {
    let hash = HASHES.iter().find(|(prf, ..)| *prf == suite.prf).map_or(0, |(_, _, id, _)| *id);
    let mut attributes = vec![
        Attribute::Short(phase1::ENCRYPTION, phase1::AES_CBC),
        Attribute::Short(phase1::KEY_LENGTH, suite.protection.encryption().key_bits()),
        Attribute::Short(phase1::HASH, hash),
        Attribute::Short(phase1::GROUP, suite.group.id()),
        Attribute::Short(phase1::METHOD, method(config)),
    ];
    attributes.extend(life(phase1::LIFE_TYPE, phase1::LIFE_DURATION, config.ike_lifetime));
    Transform { number, id: KEY_IKE, attributes }
}

/// The group of Quick Mode's key exchange: all transforms of a Quick Mode share one (RFC 2409 section 5.5).
pub(super) fn pfs_group(config: &Config) -> Option<DhGroup> {
    config.esp_offers.first()?.groups.first().copied()
}

/// The SA payload of Quick Mode's first message.
pub(super) fn offer_esp(config: &Config, spi_in: u32, udp: bool) -> Vec<Proposal> {
    let group = pfs_group(config);
    let suites = config.esp_offers.iter().flat_map(|offer| esp_suites(config, offer, group));
    // The cipher is the transform's identifier, which may differ from transform to transform.
    let transforms = suites.zip(1..=u8::MAX).map(|(suite, n)| esp_transform(config, suite, n, udp)).collect();
    vec![Proposal { number: 1, protocol: Protocol::Esp, spi: spi_in.into(), transforms }]
}

fn esp_transform(config: &Config, suite: EspSuite, number: u8, udp: bool) -> Transform {
    let cipher = suite.protection.encryption();
    let key_length = Some(cipher.key_bits()).filter(|bits| *bits > 0);
    let mut attributes: Vec<_> =
        key_length.into_iter().map(|bits| Attribute::Short(phase2::KEY_LENGTH, bits)).collect();
    attributes.push(Attribute::Short(phase2::ENCAPSULATION, encapsulation(udp)));
    let integrity = HASHES.iter().find(|(_, integrity, ..)| *integrity == suite.protection.integrity());
    attributes.extend(integrity.map(|(.., id)| Attribute::Short(phase2::INTEGRITY, *id)));
    attributes.extend(suite.group.map(|group| Attribute::Short(phase2::GROUP, group.id())));
    if suite.esn == Esn::Yes {
        attributes.push(Attribute::Short(phase2::EXTENDED_SEQUENCE_NUMBER, phase2::SEQUENCE_NUMBER_64));
    }
    attributes.extend(life(phase2::LIFE_TYPE, phase2::LIFE_DURATION, config.child_lifetime));
    let id = match cipher {
        Encryption::AesCbc128 | Encryption::AesCbc256 => ESP_AES,
        Encryption::AesGcm16_128 | Encryption::AesGcm16_256 => ESP_AES_GCM_16,
        Encryption::Null => ESP_NULL,
    };
    Transform { number, id, attributes }
}

const fn encapsulation(udp: bool) -> u16 {
    if udp { phase2::UDP_ENCAPSULATED_TUNNEL } else { phase2::TUNNEL }
}

/// A lifetime: its type, then its duration in four octets.
fn life(kind: u16, duration: u16, lifetime: Duration) -> [Attribute; 2] {
    let seconds = u32::try_from(lifetime.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX);
    [Attribute::Short(kind, SECONDS), Attribute::Long(duration, seconds.to_be_bytes().to_vec())]
}

/// The data of RESPONDER-LIFETIME for phase 1 or 2 (RFC 2407 section 4.6.3.1).
pub(super) fn responder_lifetime(phase: Phase, lifetime: Duration) -> [Attribute; 2] {
    let (kind, duration) = phase.life();
    life(kind, duration, lifetime)
}

/// Of which phase a lifetime is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    One,
    Two,
}

impl Phase {
    const fn life(self) -> (u16, u16) {
        match self {
            Self::One => (phase1::LIFE_TYPE, phase1::LIFE_DURATION),
            Self::Two => (phase2::LIFE_TYPE, phase2::LIFE_DURATION),
        }
    }
}

/// The lifetime in seconds among attributes; one in kilobytes may stand beside it and is not looked at.
pub(super) fn read_lifetime(phase: Phase, attributes: &[Attribute]) -> Option<Duration> {
    let (kind, duration) = phase.life();
    let mut pairs = attributes.windows(2).filter(|pair| {
        pair[0].kind() == kind && pair[0].value() == Some(u64::from(SECONDS)) && pair[1].kind() == duration
    });
    let seconds = pairs.next()?[1].value()?;
    Some(Duration::from_secs(seconds.min(u64::from(u32::MAX))))
}

fn read_ike(config: &Config, transform: &Transform) -> Option<Phase1> {
    let known = |a: &Attribute| phase1::ALL.contains(&a.kind());
    if transform.id != KEY_IKE || !transform.attributes.iter().all(known) {
        return None;
    }
    let value = |kind| u16::try_from(transform.value(kind)?).ok();
    if (value(phase1::ENCRYPTION)?, value(phase1::METHOD)?) != (phase1::AES_CBC, method(config)) {
        return None;
    }
    let cipher = aes_cbc(value(phase1::KEY_LENGTH)?)?;
    let hash = value(phase1::HASH)?;
    let (prf, integrity, ..) = HASHES.iter().find(|(_, _, id, _)| *id == hash)?;
    let suite = IkeSuite {
        protection: Suite::new(cipher, *integrity)?,
        prf: *prf,
        group: DhGroup::from_id(value(phase1::GROUP)?)?,
    };
    Some(Phase1 { suite, lifetime: read_lifetime(Phase::One, &transform.attributes) })
}

fn aes_cbc(bits: u16) -> Option<Encryption> {
    [Encryption::AesCbc128, Encryption::AesCbc256].into_iter().find(|cipher| cipher.key_bits() == bits)
}

fn read_esp(transform: &Transform, udp: bool) -> Option<(EspSuite, Option<Duration>)> {
    let known = |a: &Attribute| phase2::ALL.contains(&a.kind());
    if !transform.attributes.iter().all(known) {
        return None;
    }
    let value = |kind| transform.value(kind).and_then(|value| u16::try_from(value).ok());
    if value(phase2::ENCAPSULATION)? != encapsulation(udp) {
        return None;
    }
    let bits = value(phase2::KEY_LENGTH);
    let hash = |id: u16| HASHES.iter().find(|(.., it)| *it == id).map(|(_, integrity, ..)| *integrity);
    let protection = match (transform.id, value(phase2::INTEGRITY)) {
        (ESP_AES, Some(id)) => Suite::new(aes_cbc(bits?)?, hash(id)?)?,
        (ESP_NULL, Some(id)) if bits.is_none() => Suite::new(Encryption::Null, hash(id)?)?,
        (ESP_AES_GCM_16, None) => {
            let ciphers = [Encryption::AesGcm16_128, Encryption::AesGcm16_256];
            Suite::new(ciphers.into_iter().find(|cipher| Some(cipher.key_bits()) == bits)?, Integrity::None)?
        }
        (_, _) => return None,
    };
    let group = match value(phase2::GROUP) {
        Some(id) => Some(DhGroup::from_id(id)?),
        None => None,
    };
    let esn = match value(phase2::EXTENDED_SEQUENCE_NUMBER) {
        None => Esn::No,
        Some(phase2::SEQUENCE_NUMBER_64) => Esn::Yes,
        Some(_) => return None,
    };
    let suite = EspSuite { esn, ..EspSuite::new(protection, group) };
    Some((suite, read_lifetime(Phase::Two, &transform.attributes)))
}

/// Where a suite stands among this end's own.
fn rank_ike(config: &Config, suite: IkeSuite) -> Option<usize> {
    config.ike_offers.iter().flat_map(ike_suites).position(|own| own == suite)
}

fn rank_esp(config: &Config, suite: EspSuite) -> Option<usize> {
    config.esp_offers.iter().flat_map(|offer| esp_suites(config, offer, suite.group)).position(|own| own == suite)
}

/// Picks a suite for the ISAKMP SA: what was agreed, and the SA payload to answer with.
pub(super) fn choose_ike(config: &Config, received: &[Proposal]) -> Option<(Phase1, Proposal)> {
    let candidates = alone(received, Protocol::Isakmp).flat_map(|proposal| {
        proposal.transforms.iter().filter_map(move |transform| {
            let agreed = read_ike(config, transform)?;
            Some((rank_ike(config, agreed.suite)?, agreed, answer(proposal, transform)))
        })
    });
    let (_, agreed, answer) = pick(config.selection, candidates)?;
    Some((agreed, answer))
}

/// Picks a suite for the CHILD_SA: what was agreed, and the proposal to answer with (its SPI still the peer's).
pub(super) fn choose_esp(config: &Config, received: &[Proposal], udp: bool) -> Option<(Phase2, Proposal)> {
    let candidates = alone(received, Protocol::Esp).flat_map(|proposal| {
        proposal.transforms.iter().filter_map(move |transform| {
            let (suite, lifetime) = read_esp(transform, udp)?;
            let agreed = Phase2 { suite, spi: proposal.spi.child()?, lifetime };
            Some((rank_esp(config, suite)?, agreed, answer(proposal, transform)))
        })
    });
    let (_, agreed, answer) = pick(config.selection, candidates)?;
    Some((agreed, answer))
}

/// Proposals of a protocol whose number no other has: AH and ESP together are not wanted (RFC 2408 section 4.2).
fn alone(received: &[Proposal], protocol: Protocol) -> impl Iterator<Item = &Proposal> {
    let unique = |number| received.iter().filter(|p| p.number == number).count() == 1;
    received.iter().filter(move |p| p.protocol == protocol && unique(p.number))
}

fn answer(proposal: &Proposal, transform: &Transform) -> Proposal {
    Proposal { transforms: vec![transform.clone()], ..proposal.clone() }
}

fn pick<T>(
    rule: Selection,
    mut candidates: impl Iterator<Item = (usize, T, Proposal)>,
) -> Option<(usize, T, Proposal)> {
    match rule {
        Selection::FirstOfInitiator => candidates.next(),
        Selection::LowestConfigured => candidates.min_by_key(|(rank, ..)| *rank),
    }
}

/// Reads the answer to [`offer_ike`]: one transform of the offer.
pub(super) fn accept_ike(config: &Config, answer: &[Proposal]) -> Option<Phase1> {
    one(answer)?;
    choose_ike(config, answer).map(|(agreed, _)| agreed)
}

/// Reads the answer to [`offer_esp`]: one transform of the offer, with the peer's SPI.
pub(super) fn accept_esp(config: &Config, answer: &[Proposal], udp: bool) -> Option<Phase2> {
    one(answer)?;
    let (agreed, _) = choose_esp(config, answer, udp)?;
    (agreed.suite.group == pfs_group(config)).then_some(agreed)
}

fn one(answer: &[Proposal]) -> Option<()> {
    matches!(answer, [proposal] if proposal.transforms.len() == 1).then_some(())
}
