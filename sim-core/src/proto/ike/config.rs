//! What a tunnel's IKE end is told: identities, suites, lifetimes, liveness, with AWS's defaults.
//!
//! Sources of the constants: *guide* is the AWS Site-to-Site VPN User Guide (tunnel options), *API* the EC2 API reference
//! (`ModifyVpnTunnelOptions`), *strongSwan* its 5.9 defaults. What AWS does not publish says so.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::slice::from_ref;

use ipnet::IpNet;
use smallvec::{SmallVec, smallvec};

use super::psk::Psk;
use crate::crypto::certificate::{Certificate, Trust};
use crate::crypto::dh::DhGroup;
use crate::crypto::exchange::Method;
use crate::crypto::prf::Prf;
use crate::crypto::signature::{PrivateKey, SignatureHash};
use crate::crypto::suite::{Encryption, Integrity};
use crate::rng::Seldom;
use crate::time::{Duration, Instant};
use crate::wire::ike::{Id, IdType, Protocol, TrafficSelector};

/// Phase 1 (IKE_SA) lifetime: 8 hours (guide; 900 to 28,800 s).
pub const AWS_IKE_LIFETIME: Duration = Duration::from_secs(28_800);
/// Phase 2 (CHILD_SA) lifetime: 1 hour (guide; 900 to 3,600 s).
pub const AWS_CHILD_LIFETIME: Duration = Duration::from_secs(3_600);
/// Rekey margin time (guide; 60 s to half of the phase 2 lifetime).
pub const AWS_REKEY_MARGIN: Duration = Duration::from_secs(270);
/// Rekey fuzz in percent of the margin (guide; 0 to 100).
pub const AWS_REKEY_FUZZ_PERCENT: u64 = 100;
/// DPD timeout (guide and API: 40 s; `CreateVpnConnection` says 30).
pub const AWS_DPD_TIMEOUT: Duration = Duration::from_secs(40);
/// Silence before the first probe (AWS Knowledge Center: 10 s without traffic from the peer).
pub const AWS_DPD_IDLE: Duration = Duration::from_secs(10);
/// Time between probes (customer gateway configuration: interval 10, retries 3).
pub const AWS_DPD_INTERVAL: Duration = Duration::from_secs(10);
/// First retransmission after 4 s (strongSwan; AWS publishes none).
pub const RETRANSMIT_FIRST: Duration = Duration::from_secs(4);
/// Each wait is 9/5 of the one before (strongSwan's 1.8; AWS publishes none).
pub const RETRANSMIT_FACTOR: (u64, u64) = (9, 5);
/// Retransmissions before the peer is given up (strongSwan: 5, 165 s in all; AWS publishes none).
pub const RETRANSMIT_TRIES: u32 = 5;
/// A responder forgets an IKE_SA that is not authenticated by then (strongSwan: 30 s).
pub const HALF_OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// Wait before the second attempt at an IKE_SA (assumed).
pub const RETRY_FIRST: Duration = Duration::from_secs(1);
/// IP packets with IKE fragments: 1,280 octets, which nearly every path carries (strongSwan's `fragment_size`; RFC 7383 section
/// 2.5.1 recommends that for IPv6 and 576 for IPv4; AWS publishes none).
pub const FRAGMENT_SIZE: u16 = 1_280;
/// The wait doubles up to this (assumed).
pub const RETRY_CAP: Duration = Duration::from_secs(60);

/// A version of IKE (guide: IKE versions; both by default).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum IkeVersion {
    /// RFC 2407, 2408 and 2409.
    V1,
    /// RFC 7296.
    V2,
}

/// Diffie-Hellman groups of phase 1 (guide).
pub const AWS_IKE_GROUPS: [DhGroup; 12] = [
    DhGroup::Modp1024,
    DhGroup::Modp2048,
    DhGroup::Modp3072,
    DhGroup::Modp4096,
    DhGroup::Modp6144,
    DhGroup::Modp8192,
    DhGroup::Ecp256,
    DhGroup::Ecp384,
    DhGroup::Ecp521,
    DhGroup::Modp1024Sub160,
    DhGroup::Modp2048Sub224,
    DhGroup::Modp2048Sub256,
];
/// Diffie-Hellman groups of phase 2 (guide): those of phase 1, and 5.
pub const AWS_CHILD_GROUPS: [DhGroup; 13] = [
    DhGroup::Modp1024,
    DhGroup::Modp1536,
    DhGroup::Modp2048,
    DhGroup::Modp3072,
    DhGroup::Modp4096,
    DhGroup::Modp6144,
    DhGroup::Modp8192,
    DhGroup::Ecp256,
    DhGroup::Ecp384,
    DhGroup::Ecp521,
    DhGroup::Modp1024Sub160,
    DhGroup::Modp2048Sub224,
    DhGroup::Modp2048Sub256,
];

/// Who an end claims to be (RFC 7296 section 3.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Identity {
    /// ID_IPV4_ADDR.
    Ipv4(Ipv4Addr),
    /// ID_IPV6_ADDR.
    Ipv6(Ipv6Addr),
    /// ID_FQDN, without a terminator.
    Fqdn(String),
    /// ID_DER_ASN1_DN, the DER of a distinguished name.
    DistinguishedName(Vec<u8>),
    /// ID_KEY_ID, opaque octets.
    KeyId(Vec<u8>),
}

impl From<IpAddr> for Identity {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::Ipv4(address),
            IpAddr::V6(address) => Self::Ipv6(address),
        }
    }
}

impl Identity {
    /// The payload's type and data, handed to `with`.
    pub fn with_id<T>(&self, with: impl FnOnce(Id<'_>) -> T) -> T {
        let (octets, long);
        let (kind, data) = match self {
            Self::Ipv4(address) => {
                octets = address.octets();
                (IdType::Ipv4Addr, &octets[..])
            }
            Self::Ipv6(address) => {
                long = address.octets();
                (IdType::Ipv6Addr, &long[..])
            }
            Self::Fqdn(name) => (IdType::Fqdn, name.as_bytes()),
            Self::DistinguishedName(der) => (IdType::DerAsn1Dn, &der[..]),
            Self::KeyId(data) => (IdType::KeyId, &data[..]),
        };
        with(Id { kind, data })
    }
}

/// An additional key exchange (RFC 9370; API: `VpnAdditionalKeyExchangeRequest`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Round {
    /// Which of the seven: they are made in this order. From 1 to 7.
    pub number: u8,
    /// Alternatives, in this end's order.
    pub methods: Vec<Method>,
    /// True if it may be left out with a peer that does not offer it.
    pub optional: bool,
}

/// Alternatives for an IKE_SA: one of each list. AEADs and other ciphers need offers of their own (RFC 7296 section 3.3),
/// and an offer of AEADs has no integrity algorithms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IkeOffer {
    /// Ciphers.
    pub encryption: Vec<Encryption>,
    /// Integrity algorithms; empty with AEADs.
    pub integrity: Vec<Integrity>,
    /// Pseudorandom functions.
    pub prf: Vec<Prf>,
    /// Diffie-Hellman groups.
    pub groups: Vec<DhGroup>,
    /// Additional key exchanges, by ascending number; IKEv2 only.
    pub additional: Vec<Round>,
}

/// Alternatives for a CHILD_SA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EspOffer {
    /// Ciphers.
    pub encryption: Vec<Encryption>,
    /// Integrity algorithms; empty with AEADs.
    pub integrity: Vec<Integrity>,
    /// Groups for perfect forward secrecy on rekey; empty for none. The first CHILD_SA uses none (RFC 7296 section 1.2).
    pub groups: Vec<DhGroup>,
    /// Additional key exchanges on rekey, by ascending number; IKEv2 only.
    pub additional: Vec<Round>,
}

/// AWS's default outcome: AES-128-CBC, HMAC-SHA1-96, PRF-HMAC-SHA1, group 2 (guide: sample configurations).
pub fn suite_aes128_sha1_group2() -> (IkeOffer, EspOffer) {
    offers(Encryption::AesCbc128, Some(Integrity::HmacSha1_96), Prf::HmacSha1, DhGroup::Modp1024)
}

/// AES-256-CBC, HMAC-SHA2-256-128, PRF-HMAC-SHA2-256, group 14.
pub fn suite_aes256_sha256_group14() -> (IkeOffer, EspOffer) {
    offers(Encryption::AesCbc256, Some(Integrity::HmacSha2_256_128), Prf::HmacSha2_256, DhGroup::Modp2048)
}

/// AES-128-GCM-16, PRF-HMAC-SHA2-256, group 19.
pub fn suite_aes128gcm_group19() -> (IkeOffer, EspOffer) {
    offers(Encryption::AesGcm16_128, None, Prf::HmacSha2_256, DhGroup::Ecp256)
}

/// AES-256-GCM-16, PRF-HMAC-SHA2-384, group 20.
pub fn suite_aes256gcm_group20() -> (IkeOffer, EspOffer) {
    offers(Encryption::AesGcm16_256, None, Prf::HmacSha2_384, DhGroup::Ecp384)
}

/// AES-128-GCM-16, PRF-HMAC-SHA2-256, group 31, which AWS does not offer.
pub fn suite_aes128gcm_group31() -> (IkeOffer, EspOffer) {
    offers(Encryption::AesGcm16_128, None, Prf::HmacSha2_256, DhGroup::Curve25519)
}

fn offers(encryption: Encryption, integrity: Option<Integrity>, prf: Prf, group: DhGroup) -> (IkeOffer, EspOffer) {
    let integrity: Vec<_> = integrity.into_iter().collect();
    let ike = IkeOffer {
        encryption: vec![encryption],
        integrity: integrity.clone(),
        prf: vec![prf],
        groups: vec![group],
        additional: Vec::new(),
    };
    let esp = EspOffer { encryption: vec![encryption], integrity, groups: vec![group], additional: Vec::new() };
    (ike, esp)
}

/// Everything an AWS tunnel accepts by default (guide: all values of each option).
pub fn aws_default_offers() -> (Vec<IkeOffer>, Vec<EspOffer>) {
    let cbc = vec![Encryption::AesCbc128, Encryption::AesCbc256];
    let gcm = vec![Encryption::AesGcm16_128, Encryption::AesGcm16_256];
    let hashes = Integrity::ALL[1..].to_vec();
    let prf = Prf::ALL.to_vec();
    let ike = [(&cbc, &hashes), (&gcm, &Vec::new())].map(|(encryption, integrity)| IkeOffer {
        encryption: encryption.clone(),
        integrity: integrity.clone(),
        prf: prf.clone(),
        groups: AWS_IKE_GROUPS.to_vec(),
        additional: Vec::new(),
    });
    let esp = [(&cbc, &hashes), (&gcm, &Vec::new())].map(|(encryption, integrity)| EspOffer {
        encryption: encryption.clone(),
        integrity: integrity.clone(),
        groups: AWS_CHILD_GROUPS.to_vec(),
        additional: Vec::new(),
    });
    (ike.into(), esp.into())
}

/// How an SA numbers its packets (IANA "Transform Type 5").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u16)]
pub enum Esn {
    /// With the 32 bits that are sent.
    No = 0,
    /// With 64 bits, of which the lower half is sent (RFC 4303 section 2.2.1).
    Yes = 1,
}

impl Esn {
    /// Both.
    pub const ALL: [Self; 2] = [Self::No, Self::Yes];

    /// The transform ID.
    pub const fn id(self) -> u16 {
        self as u16
    }
}

/// What a CHILD_SA is: an AEAD or an HMAC with or without encryption, or an HMAC that covers the outer header too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ChildProtocol {
    /// RFC 4303.
    Esp,
    /// RFC 4302. Offers' ciphers have no meaning then; their integrity algorithms have. Not with IKEv1.
    Ah,
}

impl From<ChildProtocol> for Protocol {
    fn from(protocol: ChildProtocol) -> Self {
        match protocol {
            ChildProtocol::Esp => Self::Esp,
            ChildProtocol::Ah => Self::Ah,
        }
    }
}

/// How a responder picks among what both ends can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Selection {
    /// The first acceptable one in the initiator's order (RFC 7296 section 2.7).
    FirstOfInitiator,
    /// The lowest of its own configured values, ignoring the initiator's order (guide: what AWS does).
    LowestConfigured,
}

/// When before the end of a lifetime an SA is rekeyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RekeyLaw {
    /// At `lifetime - (margin + U(0, margin * fuzz))`: strongSwan's form. AWS does not publish its own, but 270 s with
    /// 100 % reach back to the 540 s that were its default before.
    BeforeMargin,
    /// At `lifetime - margin + U(0, margin * fuzz)`: a literal reading of the guide.
    WithinMargin,
}

/// Rekeying of CHILD_SAs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rekey {
    /// False if this end leaves rekeying to the peer (accelerated VPN, guide).
    pub initiates: bool,
    /// Margin before the end of the lifetime.
    pub margin: Duration,
    /// Random share of the margin, in percent.
    pub fuzz_percent: u64,
    /// How the two are combined.
    pub law: RekeyLaw,
}

impl Rekey {
    /// How long after its birth an SA with this lifetime is rekeyed. Draws once.
    pub fn after(&self, lifetime: Duration, rng: &mut Seldom) -> Duration {
        let fuzz = rng.between(Duration::ZERO, self.margin.scale(self.fuzz_percent, 100));
        let at = match self.law {
            RekeyLaw::BeforeMargin => lifetime.saturating_sub(self.margin + fuzz),
            RekeyLaw::WithinMargin => lifetime.saturating_sub(self.margin.saturating_sub(fuzz)),
        };
        // The largest margin with the largest fuzz reaches back to birth: rekeying would never end (the tenth is assumed).
        at.max(lifetime / 10)
    }
}

/// From when the DPD timeout counts. AWS's documents can be read both ways: "40 s means dead 30 s after the first failed
/// keepalive" (API) and "30 s after the first failure" (guide).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DpdBase {
    /// From the last packet that arrived.
    LastPacket,
    /// From the sending of the first probe that was not answered.
    FirstFailedProbe,
}

/// When a silent peer is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DpdModel {
    /// Probes at a fixed interval; dead when a timeout has passed. AWS.
    Timeout {
        /// Time between probes.
        interval: Duration,
        /// Dead after this.
        timeout: Duration,
        /// From when.
        base: DpdBase,
    },
    /// A probe is retransmitted like any other request; dead when the series ends (strongSwan with IKEv2).
    RetransmissionSeries,
}

/// What follows when the peer is dead (guide: DPD timeout action).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DpdAction {
    /// The IKE session ends and stays down.
    Clear,
    /// No liveness checks are made.
    None,
    /// The IKE session ends and is initiated anew.
    Restart,
}

/// Liveness checks (RFC 7296 section 2.4), on demand: none is sent while packets arrive.
/// AWS checks peers behind a NAT periodically (AWS Knowledge Center).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dpd {
    /// Silence before the first probe.
    pub idle: Duration,
    /// When the peer is dead.
    pub model: DpdModel,
    /// What then.
    pub action: DpdAction,
    /// True if a peer behind a NAT is checked whether ESP arrives from it or not.
    pub periodic_for_nat: bool,
}

/// Who brings the tunnel up (guide: startup action).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Startup {
    /// The peer must initiate.
    Add,
    /// This end initiates and goes on until it succeeds.
    Start,
}

/// When a request is sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retransmission {
    /// Wait for the first answer.
    pub first: Duration,
    /// Each wait is this ratio (numerator, denominator) of the one before.
    pub factor: (u64, u64),
    /// How often it is sent again.
    pub tries: u32,
    /// Each wait is shortened by up to this many percent; 0 for none.
    pub jitter_percent: u64,
}

/// How attempts at an IKE_SA follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    /// Wait before the second attempt; it doubles with each failure.
    pub first: Duration,
    /// The longest wait.
    pub cap: Duration,
}

/// Which of two IKE_SAs is there first when an end authenticates anew (RFC 7296 section 2.8.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReauthenticationOrder {
    /// The old one is deleted, then a new one is made (strongSwan's default before version 6).
    BreakBeforeMake,
    /// A new one is made, then the old one is deleted.
    MakeBeforeBreak,
}

/// An end that proves and checks identities again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reauthentication {
    /// How long after it was authenticated; an IKE_SA that replaces another by a rekey counts from the other's time.
    pub after: Duration,
    /// In which order.
    pub order: ReauthenticationOrder,
}

/// What to do about NATs (RFC 7296 section 2.23).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NatTraversal {
    /// Send no NAT detection and encapsulate nothing.
    Off,
    /// Float to port 4500 if there is a NAT.
    Detect,
    /// Claim to be behind a NAT, so that both ends float (strongSwan's `encap = yes`).
    Force,
}

/// How an end proves who it is by a certificate, and which it believes (RFC 7296 section 2.15).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// This end's certificate, and those between it and the CA that the peer trusts.
    pub chain: Vec<Certificate>,
    /// The key of the first.
    pub key: PrivateKey,
    /// Whom it trusts.
    pub trust: Trust,
    /// Hash functions of the signatures that it takes, as it tells the peer (RFC 7427 section 4). An end of before that RFC has
    /// none, and gets the older methods.
    pub hashes: Vec<SignatureHash>,
    /// True if any certificate of a trusted CA will do, whose identity is in it: how AWS takes a customer gateway's (guide:
    /// tunnel authentication options). Otherwise the peer must also be the configured one.
    pub any_identity: bool,
    /// The world's calendar: when it began, counted from 1970-01-01 00:00:00 UTC.
    pub began: Duration,
}

/// What becomes of a second CHILD_SA: one that the peer makes beside another, and not in its place (RFC 7296 section 1.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecondChild {
    /// Both are kept, as many as eight.
    Kept,
    /// It takes the place of the one that there is, which is deleted.
    Displaces,
    /// The peer is told NO_ADDITIONAL_SAS. IKEv1 has no word for that, and lets it displace.
    Refused,
}

/// What a policy-based device protects by a CHILD_SA of its own: what is between two networks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Behind this end.
    pub local: TrafficSelector,
    /// Behind the peer.
    pub remote: TrafficSelector,
}

impl Policy {
    /// True if a packet that this end sends, between these addresses, is of the policy.
    pub fn covers(&self, src: IpAddr, dst: IpAddr) -> bool {
        self.local.contains(src) && self.remote.contains(dst)
    }
}

/// All that one end of a tunnel is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Versions that this end speaks. It initiates with the highest, and answers in the initiator's if it is one of them.
    pub versions: SmallVec<[IkeVersion; 2]>,
    /// Who this end is.
    pub local_id: Identity,
    /// Who the peer must be.
    pub remote_id: Identity,
    /// The pre-shared key.
    pub psk: Psk,
    /// Certificates in its place, on both ends.
    pub credentials: Option<Credentials>,
    /// Suites for the IKE_SA, preferred first.
    pub ike_offers: Vec<IkeOffer>,
    /// Suites for CHILD_SAs, preferred first.
    pub esp_offers: Vec<EspOffer>,
    /// Sequence numbers of CHILD_SAs, preferred first. AWS has no option for extended ones (guide: tunnel options, by absence).
    pub esn: Vec<Esn>,
    /// What CHILD_SAs are. AWS has ESP alone (guide).
    pub child_protocol: ChildProtocol,
    /// How this end picks as responder.
    pub selection: Selection,
    /// What lies behind this end.
    pub local_ts: Vec<TrafficSelector>,
    /// What lies behind the peer.
    pub remote_ts: Vec<TrafficSelector>,
    /// In their place the policies of a policy-based device, in order, each with a CHILD_SA of its own. None if it is route-based.
    pub policies: Vec<Policy>,
    /// What it does about a second CHILD_SA of the peer's.
    pub second_child: SecondChild,
    /// Lifetime of the IKE_SA.
    pub ike_lifetime: Duration,
    /// Lifetime of a CHILD_SA.
    pub child_lifetime: Duration,
    /// Rekeying.
    pub rekey: Rekey,
    /// Liveness.
    pub dpd: Dpd,
    /// Who initiates.
    pub startup: Startup,
    /// True if traffic without an SA initiates one.
    pub initiate_on_traffic: bool,
    /// Retransmission.
    pub retransmission: Retransmission,
    /// Patience of a responder with an IKE_SA that is not authenticated.
    pub half_open: Duration,
    /// Pauses between attempts.
    pub retry: Retry,
    /// NAT traversal.
    pub nat: NatTraversal,
    /// The longest IP packet with an IKEv2 message before the message is sent in fragments (RFC 7383), in octets; `None`: this
    /// end sends and takes no fragments.
    pub fragment_size: Option<u16>,
    /// Reauthentication by this end; `None`: none.
    pub reauthentication: Option<Reauthentication>,
    /// How long this end, as responder, believes the initiator (RFC 4478), which it tells it; `None`: for ever.
    pub auth_lifetime: Option<Duration>,
    /// True if this end tells in IKEv1 that it does not have an ISAKMP SA (RFC 2408 section 5.2), as OpenBSD's isakmpd does.
    pub invalid_cookie: bool,
    /// Address changes under a living IKE_SA (RFC 4555), which happen if both ends announce it; `None`: this end does not. AWS
    /// documents no such announcement, and its tunnel options have none.
    pub mobike: Option<Mobike>,
}

/// What an end that announces MOBIKE is told (RFC 4555).
///
/// Without NAT traversal ([`NatTraversal::Off`]) it sends NO_NATS_ALLOWED, as section 3.9 demands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mobike {
    /// Its addresses besides the one that it is made with (section 3.4).
    pub additional: Vec<IpAddr>,
    /// True if the peer must show by COOKIE2 that it receives at another address before ESP is sent there, which should be so by
    /// default (section 3.7).
    pub checks_return: bool,
    /// Networks to which the peer may move (section 3.5: "acceptable according to local policy"); none: to any.
    pub acceptable: Vec<IpNet>,
}

impl Default for Mobike {
    fn default() -> Self {
        Self { additional: Vec::new(), checks_return: true, acceptable: Vec::new() }
    }
}

impl Config {
    /// The traffic selectors of a CHILD_SA, of this end and of the peer's. A route-based device has one policy, the first.
    pub(super) fn selectors(&self, policy: u8) -> (&[TrafficSelector], &[TrafficSelector]) {
        match self.policies.get(usize::from(policy)) {
            Some(policy) => (from_ref(&policy.local), from_ref(&policy.remote)),
            None => (&self.local_ts, &self.remote_ts),
        }
    }

    /// When a liveness check is repeated.
    pub(super) fn probes(&self) -> Retransmission {
        match self.dpd.model {
            DpdModel::Timeout { interval, .. } => Retransmission {
                first: interval,
                factor: (1, 1),
                // The DPD timeout ends it.
                tries: u32::MAX,
                jitter_percent: 0,
            },
            DpdModel::RetransmissionSeries => self.retransmission,
        }
    }

    /// From when the silence of a peer counts, and when it means death: `life` is its last sign of life, `asked` when the request that
    /// has no answer was first sent. `None` if that is left to the retransmissions of the request.
    pub(super) fn silence(&self, life: Instant, asked: Instant) -> Option<(Instant, Instant)> {
        match self.dpd.model {
            DpdModel::Timeout { timeout, base, .. } => {
                let from = match base {
                    DpdBase::LastPacket => life,
                    DpdBase::FirstFailedProbe => life.max(asked),
                };
                // A request that was sent after a long silence gets a chance.
                Some((from, (from + timeout).max(asked + self.retransmission.first)))
            }
            DpdModel::RetransmissionSeries => None,
        }
    }

    /// The AWS end of a tunnel with all options at their defaults.
    pub fn aws(local_id: Identity, remote_id: Identity, psk: &[u8]) -> Self {
        let (ike_offers, esp_offers) = aws_default_offers();
        Self {
            versions: smallvec![IkeVersion::V1, IkeVersion::V2],
            local_id,
            remote_id,
            psk: psk.into(),
            credentials: None,
            ike_offers,
            esp_offers,
            esn: vec![Esn::No],
            child_protocol: ChildProtocol::Esp,
            selection: Selection::LowestConfigured,
            local_ts: vec![TrafficSelector::ANY_V4],
            remote_ts: vec![TrafficSelector::ANY_V4],
            policies: Vec::new(),
            second_child: SecondChild::Displaces,
            ike_lifetime: AWS_IKE_LIFETIME,
            child_lifetime: AWS_CHILD_LIFETIME,
            rekey: Rekey {
                initiates: true,
                margin: AWS_REKEY_MARGIN,
                fuzz_percent: AWS_REKEY_FUZZ_PERCENT,
                law: RekeyLaw::BeforeMargin,
            },
            dpd: Dpd {
                idle: AWS_DPD_IDLE,
                model: DpdModel::Timeout {
                    interval: AWS_DPD_INTERVAL,
                    timeout: AWS_DPD_TIMEOUT,
                    base: DpdBase::LastPacket,
                },
                action: DpdAction::Clear,
                periodic_for_nat: true,
            },
            startup: Startup::Add,
            initiate_on_traffic: false,
            retransmission: Retransmission {
                first: RETRANSMIT_FIRST,
                factor: RETRANSMIT_FACTOR,
                tries: RETRANSMIT_TRIES,
                jitter_percent: 0,
            },
            half_open: HALF_OPEN_TIMEOUT,
            retry: Retry { first: RETRY_FIRST, cap: RETRY_CAP },
            nat: NatTraversal::Detect,
            fragment_size: Some(FRAGMENT_SIZE),
            reauthentication: None,
            auth_lifetime: None,
            invalid_cookie: false,
            mobike: None,
        }
    }

    /// A customer gateway that initiates, restarts after a dead peer, and offers AWS's default outcome.
    pub fn customer_gateway(local_id: Identity, remote_id: Identity, psk: &[u8]) -> Self {
        let (ike, esp) = suite_aes128_sha1_group2();
        let mut config = Self::aws(local_id, remote_id, psk);
        config.ike_offers = vec![ike];
        config.esp_offers = vec![esp];
        config.selection = Selection::FirstOfInitiator;
        config.dpd.action = DpdAction::Restart;
        config.dpd.periodic_for_nat = false;
        config.startup = Startup::Start;
        config.second_child = SecondChild::Kept;
        config.initiate_on_traffic = true;
        config
    }
}
