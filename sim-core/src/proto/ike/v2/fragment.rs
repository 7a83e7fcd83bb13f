//! Message fragmentation (RFC 7383): a protected message that is too long for one IP packet of the path travels in several
//! datagrams of its own, because many paths drop the fragments that IP would make.
//!
//! ```text
//! HDR, SK {IDi, AUTH, ...}   becomes   HDR, SKF(1/2) {IDi, AU}     each piece with its own IV and ICV,
//!                                      HDR, SKF(2/2) {TH, ...}     all with the Message ID of the whole
//! ```
//!
//! Both ends must have said FRAGMENTATION_SUPPORTED in IKE_SA_INIT (section 2.3), which itself cannot be fragmented: there are
//! no keys yet to tell a piece from a forged one. An heir inherits what was agreed on (section 2.3 has no other place for it).
//!
//! A fragment is verified before it is kept, so a forged one displaces nothing. Of a request that was answered, only fragment
//! 1 asks for the answer again (section 2.6.1). One that says a greater total begins anew, because its sender has turned to
//! smaller pieces (section 2.6).
//!
//! Left out: to turn to smaller pieces oneself (section 2.5.2), payloads in clear (section 2.5.3).

use std::collections::BTreeMap;

use super::env::Env;
use super::sa::{Ids, Path, Sa};
use crate::proto::ike::config::Config;
use crate::proto::ike::keys::IkeKeys;
use crate::reason::DropReason;
use crate::wire::ike::{Fragment, HEADER_LEN, Header, Message, Notify, NotifyType, Payload, PayloadType, sk};

/// Octets of a message that is put together, ICVs and all (section 2.6 leaves a limit to the receiver; assumed). Certificates
/// and post-quantum values stay well below.
const MAX_OCTETS: usize = 32_768;

/// FRAGMENTATION_SUPPORTED, if this end can.
pub(super) fn offer(config: &Config) -> Option<Payload<'static>> {
    config.fragment_size.map(|_| Payload::Notify(Notify::new(NotifyType::FragmentationSupported, &[])))
}

/// How long the IP packets of the IKE_SA's fragments may be, if both ends can.
pub(super) fn agreed(config: &Config, payloads: &[Payload<'_>]) -> Option<u16> {
    let offers =
        |payload: &Payload<'_>| matches!(payload, Payload::Notify(n) if n.kind == NotifyType::FragmentationSupported);
    config.fragment_size.filter(|_| payloads.iter().any(offers))
}

/// Octets of the IKE message in an IP packet of this length on that path.
pub(super) fn room(packet: u16, path: &Path) -> usize {
    usize::from(packet).saturating_sub(path.overhead())
}

/// A message of this end as it is sent, and sent again bit by bit: in one datagram, or in fragments.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Outgoing {
    Whole(Vec<u8>),
    Fragments(Vec<Vec<u8>>),
}

impl Outgoing {
    pub fn new(mut datagrams: Vec<Vec<u8>>) -> Self {
        match datagrams.pop() {
            Some(whole) if datagrams.is_empty() => Self::Whole(whole),
            Some(last) => {
                datagrams.push(last);
                Self::Fragments(datagrams)
            }
            None => Self::Fragments(datagrams),
        }
    }

    /// The octets of a message that is never fragmented.
    pub fn into_whole(self) -> Vec<u8> {
        match self {
            Self::Whole(message) => message,
            Self::Fragments(datagrams) => datagrams.concat(),
        }
    }

    /// Gives back what room is left.
    pub fn shrink(&mut self) {
        match self {
            Self::Whole(message) => message.shrink_to_fit(),
            Self::Fragments(datagrams) => datagrams.iter_mut().for_each(Vec::shrink_to_fit),
        }
    }

    pub fn send(&self, env: &mut Env, path: &Path) {
        let datagrams = match self {
            Self::Whole(message) => core::slice::from_ref(message),
            Self::Fragments(datagrams) => datagrams,
        };
        datagrams.iter().for_each(|datagram| env.transmit(path, datagram.clone()));
    }
}

/// A protected message of the peer: as it arrived, or put together from fragments that were opened already.
#[derive(Clone, Debug)]
pub(super) enum Incoming {
    Sealed(Vec<u8>),
    Assembled { first: PayloadType, inner: Vec<u8> },
}

impl Incoming {
    /// Verifies and deciphers it, if that is still to be done. The type of the first inner payload, and their chain.
    pub fn open(&mut self, ids: Ids, keys: &IkeKeys) -> Result<(PayloadType, &[u8]), DropReason> {
        match self {
            Self::Assembled { first, inner } => Ok((*first, inner)),
            Self::Sealed(bytes) => {
                let message = Message::parse(bytes).map_err(|_| DropReason::Malformed)?;
                let at = sk::header_len(bytes.len(), &message.payloads).ok_or(DropReason::Malformed)?;
                let (header_len, first) = at;
                let keys = if ids.initiator { &keys.responder } else { &keys.initiator };
                let inner = keys.open(bytes, header_len).map_err(|_| DropReason::BadIcv)?;
                Ok((first, &bytes[inner]))
            }
        }
    }
}

impl Incoming {
    /// The octets that IntAuth covers of a message that was opened (RFC 9242 section 3.3.2): as if it had come in one piece, and
    /// with lengths that count neither IV, padding nor ICV.
    pub fn covered(&self, header: &Header, first: PayloadType, inner: &[u8]) -> Vec<u8> {
        let whole = match self {
            Self::Sealed(bytes) => {
                let message = Message::parse(bytes).ok();
                let at = message.and_then(|message| sk::header_len(bytes.len(), &message.payloads));
                at.map(|(header_len, _)| bytes[..header_len].to_vec())
            }
            Self::Assembled { .. } => None,
        };
        let mut octets = whole.unwrap_or_else(|| {
            let mut octets = Vec::with_capacity(HEADER_LEN + 4 + inner.len());
            Header { next_payload: PayloadType::Encrypted, ..*header }.emit(&mut octets);
            octets.extend_from_slice(&[first.to_wire(), 0, 0, 0]);
            octets
        });
        let at = octets.len();
        octets.extend_from_slice(inner);
        let length = octets.len() as u32;
        octets[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&length.to_be_bytes());
        octets[at - 2..at].copy_from_slice(&(4 + inner.len() as u16).to_be_bytes());
        octets
    }
}

/// What has arrived of a message of the peer.
#[derive(Clone, Hash, Debug)]
pub(super) struct Assembly {
    message_id: u32,
    total: u16,
    /// Octets of the fragments that arrived.
    octets: usize,
    first: PayloadType,
    pieces: BTreeMap<u16, Vec<u8>>,
}

impl Sa {
    /// Takes a datagram with a protected message that this SA waits for. `None` if it is a fragment and others are missing.
    pub fn gather(&mut self, header: &Header, bytes: Vec<u8>) -> Result<Option<Incoming>, DropReason> {
        let slot = usize::from(header.flags.response);
        if header.next_payload != PayloadType::EncryptedFragment {
            return Ok(Some(Incoming::Sealed(bytes)));
        }
        let mut known = self.assembly[slot].take().filter(|known| known.message_id == header.message_id);
        let taken = self.take(header, bytes, &mut known);
        let complete = known.as_ref().is_some_and(|known| known.pieces.len() == usize::from(known.total));
        if let (Ok(()), true, Some(known)) = (&taken, complete, &mut known) {
            let pieces = core::mem::take(&mut known.pieces);
            let inner = pieces.into_values().flatten().collect();
            return Ok(Some(Incoming::Assembled { first: known.first, inner }));
        }
        self.assembly[slot] = known;
        taken.map(|()| None)
    }

    /// Puts a fragment where it belongs.
    fn take(
        &mut self,
        header: &Header,
        mut bytes: Vec<u8>,
        known: &mut Option<Box<Assembly>>,
    ) -> Result<(), DropReason> {
        let octets = bytes.len();
        let fragment = self.fragment(&bytes)?;
        if let Some(known) = known.as_deref() {
            let repeated = fragment.total == known.total && known.pieces.contains_key(&fragment.number);
            if repeated || fragment.total < known.total {
                return Err(DropReason::FragmentOverlap);
            }
            if fragment.total == known.total && known.octets + octets > MAX_OCTETS {
                return Err(DropReason::ReassemblyFull);
            }
        }
        let keys = self.keys().ok_or(DropReason::UnexpectedMessage)?;
        let piece = self.open_fragment(&fragment, &mut bytes, keys)?;
        let assembly = match known.take() {
            Some(same) if same.total == fragment.total => known.insert(same),
            _ => known.insert(Box::new(Assembly {
                message_id: header.message_id,
                total: fragment.total,
                octets: 0,
                first: PayloadType::None,
                pieces: BTreeMap::new(),
            })),
        };
        if fragment.number == 1 {
            assembly.first = fragment.first;
        }
        assembly.octets += octets;
        assembly.pieces.insert(fragment.number, piece);
        Ok(())
    }

    /// What a fragment says of itself, if fragments were agreed on.
    fn fragment(&self, bytes: &[u8]) -> Result<Fragment, DropReason> {
        if self.fragment_size.is_none() {
            return Err(DropReason::UnexpectedMessage);
        }
        Fragment::parse(bytes).map_err(|_| DropReason::Malformed)
    }

    fn open_fragment(&self, fragment: &Fragment, bytes: &mut [u8], keys: &IkeKeys) -> Result<Vec<u8>, DropReason> {
        let keys = if self.ids.initiator { &keys.responder } else { &keys.initiator };
        let piece = keys.open(bytes, fragment.header_len).map_err(|_| DropReason::BadIcv)?;
        Ok(bytes[piece].to_vec())
    }

    /// Verifies a repetition of a request that was answered. Of one in fragments only the first is one (section 2.6.1).
    pub fn verify_repetition(&self, header: &Header, mut bytes: Vec<u8>) -> Result<(), DropReason> {
        let keys = self.repetition_keys().ok_or(DropReason::UnexpectedMessage)?;
        if header.next_payload != PayloadType::EncryptedFragment {
            return Incoming::Sealed(bytes).open(self.ids, keys).map(|_| ());
        }
        let fragment = self.fragment(&bytes)?;
        if fragment.number != 1 {
            return Err(DropReason::FragmentOverlap);
        }
        self.open_fragment(&fragment, &mut bytes, keys).map(|_| ())
    }
}
