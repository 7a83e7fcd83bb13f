//! Suites: what is offered, what is chosen, and what a peer chose (RFC 7296 sections 2.7 and 3.3). IKEv1's wire has other
//! words for them, in its own `proposal`.

use std::borrow::Cow;

use super::config::{ChildProtocol, Config, Esn, EspOffer, IkeOffer, Round, Selection};
use crate::crypto::dh::DhGroup;
use crate::crypto::exchange::Method;
use crate::crypto::prf::Prf;
use crate::crypto::suite::{Encryption, Integrity, Suite};
use crate::wire::ike::{Proposal, Protocol, Spi, Transform, TransformType};

/// A negotiated IKE_SA suite.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IkeSuite {
    /// Encryption and integrity.
    pub protection: Suite,
    /// Pseudorandom function.
    pub prf: Prf,
    /// Diffie-Hellman group.
    pub group: DhGroup,
}

/// A negotiated CHILD_SA suite.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EspSuite {
    /// ESP or AH.
    pub protocol: ChildProtocol,
    /// Encryption and integrity. AH's is that of ESP with NULL encryption, which takes the same keys.
    pub protection: Suite,
    /// The group of its own key exchange, if it had one.
    pub group: Option<DhGroup>,
    /// How packets are numbered.
    pub esn: Esn,
}

impl EspSuite {
    /// ESP with the sequence numbers that everybody has.
    pub const fn new(protection: Suite, group: Option<DhGroup>) -> Self {
        Self { protocol: ChildProtocol::Esp, protection, group, esn: Esn::No }
    }
}

/// An algorithm as the wire names it: transform id and Key Length.
type Algorithm = (u16, Option<u16>);

/// One offer: the algorithms of each transform type that is part of it, in this end's order. It stays in the configuration,
/// because it is looked at more often than it is written.
struct Offer<'a> {
    encryption: Option<&'a [Encryption]>,
    integrity: &'a [Integrity],
    prf: Option<&'a [Prf]>,
    groups: Option<&'a [DhGroup]>,
    esn: Option<&'a [Esn]>,
    rounds: &'a [Round],
}

impl<'a> Offer<'a> {
    fn ike(offer: &'a IkeOffer) -> Self {
        Self {
            encryption: Some(&offer.encryption),
            integrity: &offer.integrity,
            prf: Some(&offer.prf),
            groups: Some(&offer.groups),
            esn: None,
            rounds: &offer.additional,
        }
    }

    fn esp(config: &'a Config, offer: &'a EspOffer, pfs: bool) -> Self {
        Self {
            // RFC 7296 section 3.3.3: AH has no encryption.
            encryption: (config.child_protocol == ChildProtocol::Esp).then_some(&offer.encryption),
            integrity: &offer.integrity,
            prf: None,
            groups: pfs.then_some(&offer.groups),
            esn: Some(&config.esn),
            rounds: if pfs { &offer.additional } else { &[] },
        }
    }

    /// The transform types that are part of it but those of additional key exchanges, in the order of their algorithms.
    fn types(&self) -> impl Iterator<Item = TransformType> {
        let all = [
            self.encryption.map(|_| TransformType::Encryption),
            Some(TransformType::Integrity),
            self.prf.map(|_| TransformType::Prf),
            self.groups.map(|_| TransformType::DhGroup),
            self.esn.map(|_| TransformType::Esn),
        ];
        all.into_iter().flatten()
    }

    /// The additional key exchanges. A number that there is not is left out.
    fn rounds(&self) -> impl Iterator<Item = (TransformType, &'a Round)> {
        self.rounds.iter().filter_map(|round| {
            let kind = TransformType::ADDITIONAL.get(usize::from(round.number).checked_sub(1)?)?;
            Some((*kind, round))
        })
    }

    fn knows(&self, kind: TransformType) -> bool {
        self.types().any(|known| known == kind) || self.rounds().any(|(known, _)| known == kind)
    }

    /// The algorithms of a type that is no additional key exchange.
    fn each(&self, kind: TransformType, mut what: impl FnMut(Algorithm)) {
        match kind {
            TransformType::Encryption => self.encryption.unwrap_or_default().iter().for_each(|cipher| {
                what((cipher.id(), Some(cipher.key_bits()).filter(|bits| *bits > 0)));
            }),
            TransformType::Integrity => self.integrity.iter().for_each(|hash| what((hash.id(), None))),
            TransformType::Prf => self.prf.unwrap_or_default().iter().for_each(|prf| what((prf.id(), None))),
            TransformType::DhGroup => self.groups.unwrap_or_default().iter().for_each(|group| what((group.id(), None))),
            TransformType::Esn => self.esn.unwrap_or_default().iter().for_each(|esn| what((esn.id(), None))),
            _ => {}
        }
    }

    /// The rank of a transform among the algorithms of its type.
    fn rank(&self, t: &Transform) -> Option<usize> {
        let (mut next, mut found) = (0, None);
        self.each(t.kind, |algorithm| {
            if found.is_none() && algorithm == (t.id, t.key_length) {
                found = Some(next);
            }
            next += 1;
        });
        found.filter(|_| t.unknown.is_empty())
    }

    fn proposal(&self, number: u8, protocol: Protocol, spi: Spi) -> Proposal {
        let mut transforms = Vec::with_capacity(8);
        for kind in self.types() {
            self.each(kind, |algorithm| transforms.push(transform(kind, algorithm)));
        }
        for (kind, round) in self.rounds() {
            transforms.extend(methods(round).map(|algorithm| transform(kind, algorithm)));
        }
        Proposal { number, protocol, spi, transforms }
    }

    /// One transform of each type that both have, by `rule`; with the rank of each in this end's order.
    fn choose(&self, received: &Proposal, rule: Selection) -> Option<(Vec<usize>, Vec<Transform>)> {
        let known = |t: &&Transform| is_none(t) || (t.unknown.is_empty() && self.knows(t.kind));
        // A transform type that this end does not know, or does not want, cannot be agreed on, unless "none" is on offer.
        let foreign = |t: &&Transform| received.transforms.iter().filter(|o| o.kind == t.kind).all(|o| !known(&o));
        if received.transforms.iter().any(|t| foreign(&t)) {
            return None;
        }
        let (mut ranks, mut chosen) = (Vec::new(), Vec::with_capacity(received.transforms.len()));
        for kind in self.types() {
            let offered = || received.transforms.iter().filter(|t| t.kind == kind);
            let mut is_empty = true;
            self.each(kind, |_| is_empty = false);
            if is_empty {
                match offered().find(|t| is_none(t)) {
                    Some(none) => chosen.push(none.clone()),
                    None if offered().next().is_none() => {}
                    None => return None,
                }
                continue;
            }
            let found = match rule {
                Selection::FirstOfInitiator => offered().find_map(|t| Some((self.rank(t)?, t))),
                Selection::LowestConfigured => {
                    offered().filter_map(|t| Some((self.rank(t)?, t))).min_by_key(|(rank, _)| *rank)
                }
            };
            let (rank, t) = found?;
            ranks.push(rank);
            chosen.push(t.clone());
        }
        let rounds: Vec<_> = self.rounds().collect();
        distinct(&rounds, received, rule, &mut ranks, &mut chosen)?;
        // What this end has no use for is declined in so many words (RFC 9370 section 2.2.1).
        let unused = received.transforms.iter().filter(|t| is_additional(t.kind) && t.id == 0);
        chosen.extend(unused.filter(|t| rounds.iter().all(|(kind, _)| *kind != t.kind)).cloned());
        Some((ranks, chosen))
    }
}

/// One method for each additional key exchange that both have, all of them different and none the one of type 4 (RFC 9370
/// section 2.2.1). An optional one has "none" as its last choice, and may be missing.
fn distinct(
    rounds: &[(TransformType, &Round)],
    received: &Proposal,
    rule: Selection,
    ranks: &mut Vec<usize>,
    chosen: &mut Vec<Transform>,
) -> Option<()> {
    let Some(((kind, round), rest)) = rounds.split_first() else { return Some(()) };
    let place = |t: &Transform| methods(round).position(|a| a == (t.id, t.key_length) && t.unknown.is_empty());
    let offered = received.transforms.iter().filter(|t| t.kind == *kind);
    let mut common: Vec<_> = offered.clone().filter_map(|t| Some((place(t)?, t))).collect();
    if rule == Selection::LowestConfigured {
        common.sort_by_key(|(rank, _)| *rank);
    }
    let before = (ranks.len(), chosen.len());
    for (rank, t) in common {
        let is_used = |c: &Transform| c.id == t.id && (c.kind == TransformType::DhGroup || is_additional(c.kind));
        if t.id != 0 && chosen.iter().any(is_used) {
            continue;
        }
        ranks.push(rank);
        chosen.push(t.clone());
        if distinct(rest, received, rule, ranks, chosen).is_some() {
            return Some(());
        }
        ranks.truncate(before.0);
        chosen.truncate(before.1);
    }
    let may_miss = round.optional && offered.count() == 0;
    may_miss.then(|| distinct(rest, received, rule, ranks, chosen)).flatten()
}

/// The explicit "none" of the types that have one (RFC 7296 section 3.3.2, RFC 9370 section 4).
fn is_none(t: &Transform) -> bool {
    let has_none = matches!(t.kind, TransformType::Integrity | TransformType::DhGroup | TransformType::Esn);
    t.id == 0 && (has_none || is_additional(t.kind))
}

/// "None" as an algorithm.
const NONE: Algorithm = (0, None);

fn is_additional(kind: TransformType) -> bool {
    TransformType::ADDITIONAL.contains(&kind)
}

/// The alternatives of an additional key exchange; an optional one has "none" as its last.
fn methods(round: &Round) -> impl Iterator<Item = Algorithm> {
    round.methods.iter().map(|method| (method.id(), None)).chain(round.optional.then_some(NONE))
}

/// The methods of the additional key exchanges of a proposal that was agreed on, the last one first.
pub fn rounds(agreed: &Proposal) -> Vec<Method> {
    let transforms = TransformType::ADDITIONAL.into_iter().rev().filter_map(|kind| find(agreed, kind));
    transforms.filter_map(|t| Method::from_id(t.id)).collect()
}

/// What is left of proposals to an IKE_SA where there can be no additional key exchanges, because the peer does not support
/// IKE_INTERMEDIATE: those that do not insist on one.
pub fn without_rounds(received: &[Proposal]) -> Cow<'_, [Proposal]> {
    if !received.iter().flat_map(|proposal| &proposal.transforms).any(|t| is_additional(t.kind)) {
        return Cow::Borrowed(received);
    }
    let insists = |p: &Proposal| {
        let mut wanted = p.transforms.iter().filter(|t| is_additional(t.kind));
        wanted.any(|t| !p.transforms.iter().any(|none| none.kind == t.kind && is_none(none)))
    };
    let mut left: Vec<_> = received.iter().filter(|p| !insists(p)).cloned().collect();
    for proposal in &mut left {
        proposal.transforms.retain(|t| !is_additional(t.kind) || is_none(t));
    }
    Cow::Owned(left)
}

fn transform(kind: TransformType, (id, key_length): Algorithm) -> Transform {
    Transform { key_length, ..Transform::new(kind, id) }
}

/// The SA payload of an IKE_SA_INIT request (no SPI), or of a request to rekey an IKE_SA (this end's new SPI).
pub fn offer_ike(config: &Config, spi: Spi) -> Vec<Proposal> {
    let offers = config.ike_offers.iter().zip(1..);
    offers.map(|(offer, number)| Offer::ike(offer).proposal(number, Protocol::Ike, spi)).collect()
}

/// The SA payload of a CHILD_SA request; `pfs` is false in IKE_AUTH, where no key exchange is possible.
pub fn offer_esp(config: &Config, spi_in: u32, pfs: bool) -> Vec<Proposal> {
    let protocol = config.child_protocol.into();
    let offers = child_offers(config, pfs).zip(1..);
    offers.map(|(offer, number)| offer.proposal(number, protocol, spi_in.into())).collect()
}

/// The offers that make sense for the protocol: AH needs an integrity algorithm of its own.
fn child_offers(config: &Config, pfs: bool) -> impl Iterator<Item = Offer<'_>> + Clone {
    let ah = config.child_protocol == ChildProtocol::Ah;
    let fitting = config.esp_offers.iter().filter(move |offer| !ah || !offer.integrity.is_empty());
    fitting.map(move |offer| Offer::esp(config, offer, pfs))
}

/// Picks a suite for an IKE_SA from the peer's proposals: the suite, and the proposal to answer with.
pub fn choose_ike(config: &Config, received: &[Proposal]) -> Option<(IkeSuite, Proposal)> {
    let offers = config.ike_offers.iter().map(Offer::ike);
    let proposal = choose(offers, received, Protocol::Ike, config.selection)?;
    Some((read_ike(&proposal)?, proposal))
}

/// Picks a suite for a CHILD_SA: the suite, the peer's SPI, and the proposal to answer with (its SPI still the peer's).
pub fn choose_esp(config: &Config, received: &[Proposal], pfs: bool) -> Option<(EspSuite, u32, Proposal)> {
    let mut received = Cow::Borrowed(received);
    let is_exchange = |t: &Transform| t.kind == TransformType::DhGroup || is_additional(t.kind);
    if !pfs && received.iter().flat_map(|proposal| &proposal.transforms).any(is_exchange) {
        // Key exchanges have no meaning in IKE_AUTH (RFC 7296 section 1.2); some peers send them all the same.
        received.to_mut().iter_mut().for_each(|proposal| proposal.transforms.retain(|t| !is_exchange(t)));
    }
    let proposal = choose(child_offers(config, pfs), &received, config.child_protocol.into(), config.selection)?;
    Some((read_esp(&proposal)?, proposal.spi.child()?, proposal))
}

fn choose<'a>(
    offers: impl Iterator<Item = Offer<'a>> + Clone,
    received: &[Proposal],
    protocol: Protocol,
    rule: Selection,
) -> Option<Proposal> {
    let fitting = received.iter().filter(|p| p.protocol == protocol);
    let mut candidates = fitting.flat_map(|proposal| {
        offers.clone().enumerate().filter_map(move |(i, offer)| {
            let (ranks, transforms) = offer.choose(proposal, rule)?;
            Some(((i, ranks), Proposal { transforms, ..*proposal }))
        })
    });
    match rule {
        Selection::FirstOfInitiator => candidates.next(),
        Selection::LowestConfigured => candidates.min_by(|(a, _), (b, _)| a.cmp(b)),
    }
    .map(|(_, proposal)| proposal)
}

/// Reads the answer to [`offer_ike`]: one proposal that is part of the offer. The suite, and the peer's SPI in a rekey.
pub fn accept_ike(config: &Config, answer: &[Proposal]) -> Option<(IkeSuite, Spi)> {
    let [proposal] = answer else { return None };
    let (suite, chosen) = choose_ike(config, answer)?;
    (chosen.transforms.len() == proposal.transforms.len()).then_some((suite, chosen.spi))
}

/// Reads the answer to [`offer_esp`]: the suite and the peer's SPI.
pub fn accept_esp(config: &Config, answer: &[Proposal], pfs: bool) -> Option<(EspSuite, u32)> {
    let [proposal] = answer else { return None };
    let (suite, spi, chosen) = choose_esp(config, answer, pfs)?;
    (chosen.transforms.len() == proposal.transforms.len()).then_some((suite, spi))
}

fn read_ike(proposal: &Proposal) -> Option<IkeSuite> {
    Some(IkeSuite {
        protection: read_protection(proposal)?,
        prf: Prf::from_id(find(proposal, TransformType::Prf)?.id)?,
        group: DhGroup::from_id(find(proposal, TransformType::DhGroup)?.id)?,
    })
}

fn read_esp(proposal: &Proposal) -> Option<EspSuite> {
    let group = find(proposal, TransformType::DhGroup).and_then(|t| DhGroup::from_id(t.id));
    let (protocol, protection) = match proposal.protocol {
        Protocol::Ah => {
            let integrity = Integrity::from_id(find(proposal, TransformType::Integrity)?.id)?;
            (ChildProtocol::Ah, Suite::new(Encryption::Null, integrity)?)
        }
        _ => (ChildProtocol::Esp, read_protection(proposal)?),
    };
    let esn = find(proposal, TransformType::Esn).map_or(Esn::No.id(), |t| t.id);
    let esn = Esn::ALL.into_iter().find(|known| known.id() == esn)?;
    Some(EspSuite { protocol, protection, group, esn })
}

fn read_protection(proposal: &Proposal) -> Option<Suite> {
    let cipher = find(proposal, TransformType::Encryption)?;
    let integrity = find(proposal, TransformType::Integrity).map_or(0, |t| t.id);
    Suite::new(Encryption::from_id(cipher.id, cipher.key_length.unwrap_or(0))?, Integrity::from_id(integrity)?)
}

fn find(proposal: &Proposal, kind: TransformType) -> Option<&Transform> {
    proposal.transforms.iter().find(|t| t.kind == kind)
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::super::config::{Identity, suite_aes128_sha1_group2, suite_aes128gcm_group19, suite_aes256gcm_group20};
    use super::*;

    fn aws() -> Config {
        let id = Identity::Ipv4(Ipv4Addr::new(192, 0, 2, 1));
        Config::aws(id.clone(), id, b"secret")
    }

    /// AWS's user guide: endpoints take the lowest configured value whatever the peer prefers, so that the defaults end at
    /// AES128, SHA1 and group 2.
    #[test]
    fn aws_takes_its_lowest_value_and_ignores_the_peers_order() {
        let aws = aws();
        let mut eager = aws.clone();
        for offer in &mut eager.ike_offers {
            offer.encryption.reverse();
            offer.integrity.reverse();
            offer.prf.reverse();
            offer.groups.reverse();
        }
        eager.ike_offers.reverse();
        let offered = offer_ike(&eager, Spi::EMPTY);
        let lowest = IkeSuite {
            protection: Suite::new(Encryption::AesCbc128, Integrity::HmacSha1_96).unwrap(),
            prf: Prf::HmacSha1,
            group: DhGroup::Modp1024,
        };
        let (suite, answer) = choose_ike(&aws, &offered).unwrap();
        assert_eq!((suite, answer.number), (lowest, 2));
        assert_eq!(accept_ike(&eager, &[answer]), Some((lowest, Spi::EMPTY)));
        // By RFC 7296 section 2.7 the initiator's order counts: its first proposal is AES-256-GCM with group 24.
        let polite = Config { selection: Selection::FirstOfInitiator, ..aws };
        let first = IkeSuite {
            protection: Suite::new(Encryption::AesGcm16_256, Integrity::None).unwrap(),
            prf: Prf::HmacSha2_512,
            group: DhGroup::Modp2048Sub256,
        };
        assert_eq!(choose_ike(&polite, &offered).unwrap().0, first);
    }

    #[test]
    fn an_aead_may_come_with_an_explicit_none() {
        let mut config = aws();
        config.ike_offers = vec![suite_aes256gcm_group20().0];
        let mut offered = offer_ike(&config, Spi::EMPTY);
        assert!(choose_ike(&config, &offered).is_some());
        let none = Transform::new(TransformType::Integrity, 0);
        offered[0].transforms.push(none.clone());
        let (_, answer) = choose_ike(&config, &offered).unwrap();
        assert!(answer.transforms.contains(&none));
        assert!(accept_ike(&config, &[answer]).is_some());
        // RFC 7296 section 3.3: an integrity algorithm beside an AEAD is not the same suite.
        offered[0].transforms.pop();
        let hash = Transform::new(TransformType::Integrity, Integrity::HmacSha1_96.id());
        offered[0].transforms.push(hash);
        assert_eq!(choose_ike(&config, &offered), None);
    }

    #[test]
    fn what_is_not_understood_is_not_chosen() {
        let mut config = aws();
        config.esp_offers = vec![suite_aes128_sha1_group2().1];
        let offered = offer_esp(&config, 0x1234, true);
        assert_eq!(choose_esp(&config, &offered, true).unwrap().1, 0x1234);
        let mut odd = offered.clone();
        odd[0].transforms[0].unknown.push(crate::wire::ike::Attribute::Short(99, 1));
        assert_eq!(choose_esp(&config, &odd, true), None);
        let mut odd = offered.clone();
        let unknown = Transform::new(TransformType::Other(13), 35);
        odd[0].transforms.push(unknown);
        assert_eq!(choose_esp(&config, &odd, true), None);
        let mut odd = offered;
        odd[0].transforms[0].key_length = Some(192);
        assert_eq!(choose_esp(&config, &odd, true), None);
    }

    /// RFC 7296 section 3.3.2: the ESN transform says which numbers; both on offer leaves the choice to the responder.
    #[test]
    fn extended_sequence_numbers_are_agreed_on_or_nothing_is() {
        let with = |esn: &[Esn]| Config { esn: esn.to_vec(), ..aws() };
        let (both, short, long) = (with(&[Esn::Yes, Esn::No]), with(&[Esn::No]), with(&[Esn::Yes]));
        for pfs in [false, true] {
            let chosen = |own: &Config, peer: &Config| {
                let (suite, _, answer) = choose_esp(own, &offer_esp(peer, 7, pfs), pfs)?;
                assert_eq!(accept_esp(peer, &[answer], pfs).map(|(suite, _)| suite), Some(suite));
                Some(suite.esn)
            };
            assert_eq!(chosen(&short, &both), Some(Esn::No));
            assert_eq!(chosen(&long, &both), Some(Esn::Yes));
            assert_eq!(chosen(&both, &long), Some(Esn::Yes));
            // AWS takes the first of its own list; by RFC 7296 section 2.7 it is the initiator's.
            let polite = Config { selection: Selection::FirstOfInitiator, ..with(&[Esn::No, Esn::Yes]) };
            assert_eq!(chosen(&with(&[Esn::No, Esn::Yes]), &both), Some(Esn::No));
            assert_eq!(chosen(&polite, &both), Some(Esn::Yes));
            assert_eq!(chosen(&short, &long), None);
            assert_eq!(chosen(&long, &short), None);
        }
    }

    /// RFC 7296 section 3.3.3: AH's types are integrity and ESN, and a group. Its SPI has four octets like ESP's.
    #[test]
    fn ah_is_offered_without_encryption() {
        let ah = Config { child_protocol: ChildProtocol::Ah, ..aws() };
        let offered = offer_esp(&ah, 0x0102_0304, true);
        let [proposal] = &offered[..] else { panic!("AEADs are nothing to AH: {offered:?}") };
        assert_eq!((proposal.protocol, proposal.spi.child()), (Protocol::Ah, Some(0x0102_0304)));
        let kinds = [TransformType::Integrity, TransformType::DhGroup, TransformType::Esn];
        assert!(proposal.transforms.iter().all(|t| kinds.contains(&t.kind)), "{proposal:?}");
        let (suite, spi, answer) = choose_esp(&ah, &offered, true).unwrap();
        assert_eq!((suite.protocol, spi, answer.transforms.len()), (ChildProtocol::Ah, 0x0102_0304, 3));
        assert_eq!(suite.protection.integrity(), Integrity::HmacSha1_96);
        assert_eq!(choose_esp(&aws(), &offered, true), None);
        assert_eq!(choose_esp(&ah, &offer_esp(&aws(), 7, true), true), None);
    }

    /// RFC 2410 section 2.3: ENCR_NULL has no key, so its transform has no Key Length (RFC 7296 section 3.3.5).
    #[test]
    fn null_encryption_has_no_key_length() {
        let mut config = aws();
        config.esp_offers[0].encryption = vec![Encryption::Null];
        config.esp_offers.truncate(1);
        let offered = offer_esp(&config, 7, false);
        let cipher = &offered[0].transforms[0];
        assert_eq!((cipher.kind, cipher.id, cipher.key_length), (TransformType::Encryption, 11, None));
        let (suite, ..) = choose_esp(&config, &offered, false).unwrap();
        assert_eq!(suite.protection.encryption(), Encryption::Null);
        // Nobody gets it who has not asked for it.
        assert_eq!(choose_esp(&aws(), &offered, false), None);
    }

    #[test]
    fn an_answer_must_be_part_of_the_offer() {
        let mut config = aws();
        config.ike_offers = vec![suite_aes256gcm_group20().0];
        let mut other = config.clone();
        other.ike_offers = vec![suite_aes128gcm_group19().0];
        let answer = offer_ike(&other, Spi::EMPTY);
        assert_eq!(accept_ike(&config, &answer), None);
        assert_eq!(accept_ike(&config, &[]), None);
        let twice = [offer_ike(&config, Spi::EMPTY), offer_ike(&config, Spi::EMPTY)].concat();
        assert_eq!(accept_ike(&config, &twice), None);
    }
}
