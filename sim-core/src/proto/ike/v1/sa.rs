//! One ISAKMP SA: its cookies, its path, the phase it is in, and its Quick Modes.

use std::collections::BTreeSet;

use super::keys::{Iv, Keys};
use super::main_mode::{ExpectMessage2, ExpectMessage3, ExpectMessage4};
use super::proof::Proof;
use super::quick_mode::Quick;
use super::transition::SaState;
use crate::crypto::cbc::BLOCK;
use crate::proto::ike::env::Env;
use crate::proto::ike::path::Path;
use crate::proto::ike::series::Series;
use crate::reason::{DropReason, Reason};
use crate::time::{Duration, Instant};
use crate::wire::ike::HEADER_LEN;
use crate::wire::ike::v1::{Builder, ExchangeType, Flags, Header, Notify, NotifyType, Payload, parse_chain};

#[derive(Clone, Debug)]
pub(super) struct Sa {
    pub cookies: Cookies,
    pub path: Path,
    pub phase: Phase,
    /// Initiator: Main Mode's last message, which waits for an answer.
    pub outstanding: Option<Outstanding>,
    /// Responder: Main Mode's last message and the answer to it.
    pub answered: Option<Answered>,
    pub quick: Vec<Quick>,
    /// Message IDs of Quick Modes that were used; none is used twice (RFC 2409 section 5.5).
    pub used: BTreeSet<u32>,
    /// What the peer can do.
    pub peer: Abilities,
    /// Why this end began it, if it did.
    pub purpose: Reason,
    /// When it began.
    pub begun: Instant,
    /// True once both ends are authenticated; it stays true.
    pub up: bool,
}

/// Who an ISAKMP SA is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cookies {
    /// True if this end began Main Mode.
    pub initiator: bool,
    pub i: u64,
    /// Zero until the responder has chosen it.
    pub r: u64,
}

/// What a peer's Vendor IDs say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Abilities {
    /// NAT traversal (RFC 3947 section 3.1).
    pub nat_traversal: bool,
    /// Dead peer detection (RFC 3706 section 5.1).
    pub dpd: bool,
}

/// What an ISAKMP SA waits for, with exactly the data that is legal there.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    ExpectMessage2(Box<ExpectMessage2>),
    ExpectMessage3(Box<ExpectMessage3>),
    ExpectMessage4(Box<ExpectMessage4>),
    ExpectMessage5(Box<Proof>),
    ExpectMessage6(Box<Proof>),
    Established(Box<Established>),
    Replaced(Box<Established>),
    /// Nothing is left to wait for; the SA is removed before anybody looks.
    Over,
}

/// An authenticated ISAKMP SA.
#[derive(Clone, Debug)]
pub(super) struct Established {
    pub keys: Keys,
    pub since: Instant,
    pub expires: Instant,
    /// When this end replaces it, if it does.
    pub rekey: Option<Instant>,
    /// The liveness check that waits for its answer.
    pub probe: Option<Probe>,
    /// Sequence number of the next liveness check.
    pub sequence: u32,
}

/// R-U-THERE is on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    /// Sequence number of the first one since the peer was last heard.
    pub first: u32,
    pub series: Series,
}

#[derive(Clone, Debug)]
pub(super) struct Outstanding {
    pub bytes: Vec<u8>,
    pub series: Series,
}

#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub received: Vec<u8>,
    pub sent: Vec<u8>,
}

/// What a step means for the SA as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It goes on.
    Alive,
    /// It has just been established; true if the peer has said INITIAL-CONTACT.
    Up(bool),
    /// It is over.
    Over(Reason),
}

impl Sa {
    pub fn new(cookies: Cookies, path: Path, phase: Phase, purpose: Reason, begun: Instant) -> Self {
        Self {
            cookies,
            path,
            phase,
            outstanding: None,
            answered: None,
            quick: Vec::new(),
            used: BTreeSet::new(),
            peer: Abilities::default(),
            purpose,
            begun,
            up: false,
        }
    }

    pub fn state(&self) -> SaState {
        match &self.phase {
            Phase::ExpectMessage2(_) => SaState::ExpectMessage2,
            Phase::ExpectMessage3(_) => SaState::ExpectMessage3,
            Phase::ExpectMessage4(_) => SaState::ExpectMessage4,
            Phase::ExpectMessage5(_) => SaState::ExpectMessage5,
            Phase::ExpectMessage6(_) => SaState::ExpectMessage6,
            Phase::Established(_) => SaState::Established,
            Phase::Replaced(_) | Phase::Over => SaState::Replaced,
        }
    }

    pub fn keys(&self) -> Option<&Keys> {
        match &self.phase {
            Phase::ExpectMessage2(_) | Phase::ExpectMessage3(_) | Phase::ExpectMessage4(_) | Phase::Over => None,
            Phase::ExpectMessage5(proof) | Phase::ExpectMessage6(proof) => Some(&proof.keys),
            Phase::Established(e) | Phase::Replaced(e) => Some(&e.keys),
        }
    }

    /// The SA's established part; also after it was replaced.
    pub fn established(&self) -> Option<&Established> {
        match &self.phase {
            Phase::Established(e) | Phase::Replaced(e) => Some(e),
            Phase::ExpectMessage2(_)
            | Phase::ExpectMessage3(_)
            | Phase::ExpectMessage4(_)
            | Phase::ExpectMessage5(_)
            | Phase::ExpectMessage6(_)
            | Phase::Over => None,
        }
    }

    pub fn established_mut(&mut self) -> Option<&mut Established> {
        match &mut self.phase {
            Phase::Established(e) | Phase::Replaced(e) => Some(e),
            Phase::ExpectMessage2(_)
            | Phase::ExpectMessage3(_)
            | Phase::ExpectMessage4(_)
            | Phase::ExpectMessage5(_)
            | Phase::ExpectMessage6(_)
            | Phase::Over => None,
        }
    }

    /// A younger SA takes over.
    pub fn replace(&mut self) {
        self.phase = match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Established(e) => Phase::Replaced(e),
            other => other,
        };
    }

    /// A Message ID that this SA has not used; never zero, which is phase 1's (RFC 2408 section 3.1).
    pub fn message_id(&self, env: &mut Env) -> u32 {
        loop {
            let id = env.secrets.u32();
            if id != 0 && !self.used.contains(&id) {
                return id;
            }
        }
    }

    /// Builds an encrypted message that begins with HASH, over `prefix` and all payloads behind it.
    pub fn protect(
        &self,
        exchange: ExchangeType,
        message_id: u32,
        iv: &mut Iv,
        prefix: &[&[u8]],
        payloads: &[Payload<'_>],
    ) -> Vec<u8> {
        let Some(keys) = self.keys() else {
            return Vec::new();
        };
        let flags = Flags { encryption: true, ..Flags::default() };
        let header = Header::new(self.cookies.pair(), exchange, flags, message_id);
        let build = |hash: &[u8], block: usize| {
            let mut builder = Builder::new(&header);
            builder.push(&Payload::Hash(hash));
            for payload in payloads {
                builder.push(payload);
            }
            builder.pad(block);
            builder.finish()
        };
        let blank = build(&vec![0; keys.suite.prf.output_len()], 1);
        let behind = &blank[HEADER_LEN + GENERIC_HEADER_LEN + keys.suite.prf.output_len()..];
        let hash = keys.hash(&[prefix, &[behind]].concat());
        let mut bytes = build(&hash, BLOCK);
        keys.encrypt(iv, &mut bytes);
        bytes
    }
}

impl Cookies {
    pub fn pair(self) -> (u64, u64) {
        (self.i, self.r)
    }

    /// Both, as notifications and DELETE name an ISAKMP SA (RFC 2407 section 4.6.3.2).
    pub fn octets(self) -> [u8; 16] {
        (u128::from(self.i) << 64 | u128::from(self.r)).to_be_bytes()
    }
}

/// Octets of a generic payload header.
const GENERIC_HEADER_LEN: usize = 4;

/// A message that was decrypted and whose HASH payload is still to be verified.
pub(super) struct Opened<'a> {
    pub payloads: Vec<Payload<'a>>,
    hash: &'a [u8],
    behind: &'a [u8],
}

impl<'a> Opened<'a> {
    /// Decrypts a message in place that begins with HASH; `iv` becomes that of the next.
    pub fn read(keys: &Keys, iv: &mut Iv, header: &Header, bytes: &'a mut [u8]) -> Result<Self, DropReason> {
        if !keys.decrypt(iv, bytes) {
            return Err(DropReason::Malformed);
        }
        let text = &bytes[HEADER_LEN..];
        let (mut payloads, end) = parse_chain(header.next_payload, text).map_err(|_| DropReason::Malformed)?;
        let Some(Payload::Hash(hash)) = payloads.first() else {
            return Err(DropReason::Malformed);
        };
        let hash = *hash;
        payloads.remove(0);
        Ok(Self { payloads, hash, behind: &text[GENERIC_HEADER_LEN + hash.len()..end] })
    }

    /// Verifies HASH over `prefix` and all payloads behind it.
    pub fn verify(&self, keys: &Keys, prefix: &[&[u8]]) -> Result<(), DropReason> {
        let expected = keys.hash(&[prefix, &[self.behind]].concat());
        if *expected == *self.hash { Ok(()) } else { Err(DropReason::BadIcv) }
    }
}

/// The first error notification, and what it means.
pub(super) fn error_in<'a>(payloads: &[Payload<'a>]) -> Option<(Notify<'a>, Reason)> {
    payloads.iter().find_map(|payload| match payload {
        Payload::Notify(n) if n.kind.is_error() => Some((*n, reason_of(n.kind))),
        _ => None,
    })
}

pub(super) fn reason_of(kind: NotifyType) -> Reason {
    match kind {
        NotifyType::AuthenticationFailed => Reason::AuthenticationFailed,
        NotifyType::NoProposalChosen | NotifyType::AttributesNotSupported | NotifyType::BadProposalSyntax => {
            Reason::NoProposalChosen
        }
        NotifyType::InvalidKeyInformation => Reason::InvalidKe,
        NotifyType::PayloadMalformed => Reason::PayloadMalformed,
        NotifyType::InvalidIdInformation => Reason::InvalidIdInformation,
        NotifyType::InvalidHashInformation => Reason::InvalidHashInformation,
        NotifyType::InvalidSpi | NotifyType::InvalidCookie => Reason::InvalidSpi,
        NotifyType::InvalidMajorVersion => Reason::InvalidMajorVersion,
        _ => Reason::PeerRefused,
    }
}

/// The shorter of this end's lifetime and what the peer has told (RFC 2407 section 4.5.4: neither end may use an SA longer).
pub(super) fn shorter(own: Duration, told: Option<Duration>) -> Duration {
    told.map_or(own, |told| own.min(told))
}
