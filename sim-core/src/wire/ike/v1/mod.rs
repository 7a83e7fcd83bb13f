//! IKEv1 messages on the wire (RFC 2408 section 3, RFC 2407 section 4): parse and emit, no keys, no behaviour.
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                          Initiator                            |
//! |                            Cookie                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                          Responder                            |
//! |                            Cookie                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Next Payload | MjVer | MnVer | Exchange Type |     Flags     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                          Message ID                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                            Length                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! With the encryption flag, everything behind the header is one text: the chain of payloads and its padding (RFC 2409 section 5
//! and appendix B). A clear message is read by [`Message::parse`], the text of an encrypted one, once it is
//! decrypted, by [`parse_chain`].
//!
//! Left out: the insides of NAT-OA payloads (RFC 3947 section 5.2), which are kept as opaque octets; domains of interpretation other than IPsec's (RFC 2407 section 4.1), and its situations
//! with secrecy and integrity labels (section 4.2).

mod payload;
mod sa;

pub use super::payload::CertEncoding;
pub use payload::{Builder, Delete, Id, IdType, Notify, NotifyType, Payload, PayloadType, parse_chain};
pub use sa::{Attribute, Proposal, Protocol, Spi, Transform, emit_attributes, parse_attributes};

use super::{HEADER_LEN, wire_enum};

/// Why octets are not an IKEv1 message.
pub type Error = super::Error<PayloadType>;
type Reader<'a> = super::Reader<'a, PayloadType>;

/// The major version of ISAKMP and IKEv1 (RFC 2408 section 3.1).
pub const MAJOR: u8 = 1;

wire_enum! {
    /// What a message is part of (RFC 2408 section 3.1, RFC 2409 appendix A).
    ExchangeType(u8) {
        MainMode = 2,
        AggressiveMode = 4,
        Informational = 5,
        Transaction = 6,
        QuickMode = 32,
        NewGroupMode = 33,
    }
}

/// The three flags of RFC 2408 section 3.1; all other bits are sent as zero and ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// E: everything behind the header is encrypted.
    pub encryption: bool,
    /// C: the sender wants its word that the SA is established before it is used.
    pub commit: bool,
    /// A: authenticated, although not encrypted.
    pub authentication_only: bool,
}

impl Flags {
    const ENCRYPTION: u8 = 0x01;
    const COMMIT: u8 = 0x02;
    const AUTHENTICATION_ONLY: u8 = 0x04;

    fn from_wire(octet: u8) -> Self {
        Self {
            encryption: octet & Self::ENCRYPTION != 0,
            commit: octet & Self::COMMIT != 0,
            authentication_only: octet & Self::AUTHENTICATION_ONLY != 0,
        }
    }

    fn to_wire(self) -> u8 {
        (if self.encryption { Self::ENCRYPTION } else { 0 })
            | (if self.commit { Self::COMMIT } else { 0 })
            | (if self.authentication_only { Self::AUTHENTICATION_ONLY } else { 0 })
    }
}

/// The fixed header. See the module header for its drawing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Chosen by the initiator of phase 1, never zero.
    pub cookie_i: u64,
    /// Chosen by the responder; zero in the first message.
    pub cookie_r: u64,
    /// Type of the first payload.
    pub next_payload: PayloadType,
    /// Exchange type.
    pub exchange: ExchangeType,
    /// Flags.
    pub flags: Flags,
    /// Zero in phase 1, else the same in all messages of one exchange.
    pub message_id: u32,
    /// Octets of header and payloads, padding included.
    pub length: u32,
}

impl Header {
    /// A header; Next Payload and Length are filled when the message is built.
    pub fn new(cookies: (u64, u64), exchange: ExchangeType, flags: Flags, message_id: u32) -> Self {
        Self {
            cookie_i: cookies.0,
            cookie_r: cookies.1,
            next_payload: PayloadType::None,
            exchange,
            flags,
            message_id,
            length: HEADER_LEN as u32,
        }
    }

    /// Reads the first [`HEADER_LEN`] octets of a datagram. The Length must be the datagram's.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let Some((head, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(Error::HeaderTruncated { got: bytes.len() });
        };
        let u64_at = |at: usize| u64::from_be_bytes(core::array::from_fn(|i| head[at + i]));
        let u32_at = |at: usize| u32::from_be_bytes(core::array::from_fn(|i| head[at + i]));
        let major = head[17] >> 4;
        if major != MAJOR {
            return Err(Error::HeaderVersion(major));
        }
        let header = Self {
            cookie_i: u64_at(0),
            cookie_r: u64_at(8),
            next_payload: PayloadType::from_wire(head[16]),
            exchange: ExchangeType::from_wire(head[18]),
            flags: Flags::from_wire(head[19]),
            message_id: u32_at(20),
            length: u32_at(24),
        };
        if header.cookie_i == 0 {
            return Err(Error::HeaderSpi);
        }
        if header.length as usize != bytes.len() {
            return Err(Error::HeaderLength { says: header.length, got: bytes.len() });
        }
        Ok(header)
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.cookie_i.to_be_bytes());
        out.extend_from_slice(&self.cookie_r.to_be_bytes());
        out.extend_from_slice(&[
            self.next_payload.to_wire(),
            MAJOR << 4,
            self.exchange.to_wire(),
            self.flags.to_wire(),
        ]);
        out.extend_from_slice(&self.message_id.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
    }
}

/// A whole clear message: header and chain of payloads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// The fixed header.
    pub header: Header,
    /// The payloads in order.
    pub payloads: Vec<Payload<'a>>,
}

impl<'a> Message<'a> {
    /// Reads a datagram without encryption; nothing may be behind the last payload.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let header = Header::parse(bytes)?;
        let (payloads, end) = parse_chain(header.next_payload, &bytes[HEADER_LEN..])?;
        match bytes.len() - HEADER_LEN - end {
            0 => Ok(Self { header, payloads }),
            left => Err(Error::Trailing(left)),
        }
    }

    /// Writes the message; Next Payload and Length of the header are computed.
    pub fn emit(&self) -> Vec<u8> {
        let mut builder = Builder::new(&self.header);
        for payload in &self.payloads {
            builder.push(payload);
        }
        builder.finish()
    }
}

#[cfg(test)]
mod tests;
