//! The fixed header (RFC 7296 section 3.1; RFC 2408 section 3.1 has the same shape for IKEv1).
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       IKE SA Initiator's SPI                  |
//! |                                                               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       IKE SA Responder's SPI                  |
//! |                                                               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Next Payload | MjVer | MnVer | Exchange Type |     Flags     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                          Message ID                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                            Length                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::{Error, PayloadType, wire_enum};

/// Octets of the fixed header.
pub const HEADER_LEN: usize = 28;

wire_enum! {
    /// What a message is part of (RFC 7296 section 3.1; 43 is of RFC 9242, 44 of RFC 9370).
    ExchangeType(u8) {
        IkeSaInit = 34,
        IkeAuth = 35,
        CreateChildSa = 36,
        Informational = 37,
        IkeIntermediate = 43,
        IkeFollowupKe = 44,
    }
}

/// The three flags of RFC 7296 section 3.1; all other bits are sent as zero and ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// I: the sender is the original initiator of the IKE_SA.
    pub initiator: bool,
    /// V: the sender speaks a higher major version too.
    pub version: bool,
    /// R: a response to the message with the same Message ID.
    pub response: bool,
}

impl Flags {
    const INITIATOR: u8 = 0x08;
    const VERSION: u8 = 0x10;
    const RESPONSE: u8 = 0x20;

    fn from_wire(octet: u8) -> Self {
        Self {
            initiator: octet & Self::INITIATOR != 0,
            version: octet & Self::VERSION != 0,
            response: octet & Self::RESPONSE != 0,
        }
    }

    fn to_wire(self) -> u8 {
        (if self.initiator { Self::INITIATOR } else { 0 })
            | (if self.version { Self::VERSION } else { 0 })
            | (if self.response { Self::RESPONSE } else { 0 })
    }
}

/// The fixed header. See the module header for its drawing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Chosen by the original initiator, never zero.
    pub spi_i: u64,
    /// Chosen by the responder; zero in the first request.
    pub spi_r: u64,
    /// Type of the first payload.
    pub next_payload: PayloadType,
    /// Major version, 2 here.
    pub major: u8,
    /// Minor version, 0 here.
    pub minor: u8,
    /// Exchange type.
    pub exchange: ExchangeType,
    /// Flags.
    pub flags: Flags,
    /// Matches responses with requests, counts per direction.
    pub message_id: u32,
    /// Octets of header and payloads.
    pub length: u32,
}

impl Header {
    /// An IKEv2 header; Next Payload and Length are filled when the message is built.
    pub fn v2(spi_i: u64, spi_r: u64, exchange: ExchangeType, flags: Flags, message_id: u32) -> Self {
        Self {
            spi_i,
            spi_r,
            next_payload: PayloadType::None,
            major: 2,
            minor: 0,
            exchange,
            flags,
            message_id,
            length: HEADER_LEN as u32,
        }
    }

    /// Reads the first [`HEADER_LEN`] octets of any version.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let Some((head, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(Error::HeaderTruncated { got: bytes.len() });
        };
        let u64_at = |at: usize| u64::from_be_bytes(core::array::from_fn(|i| head[at + i]));
        let u32_at = |at: usize| u32::from_be_bytes(core::array::from_fn(|i| head[at + i]));
        let header = Self {
            spi_i: u64_at(0),
            spi_r: u64_at(8),
            next_payload: PayloadType::from_wire(head[16]),
            major: head[17] >> 4,
            minor: head[17] & 0x0f,
            exchange: ExchangeType::from_wire(head[18]),
            flags: Flags::from_wire(head[19]),
            message_id: u32_at(20),
            length: u32_at(24),
        };
        // RFC 7296 section 1.5 excepts a notification that belongs to no IKE_SA.
        if header.spi_i == 0 && header.exchange != ExchangeType::Informational {
            return Err(Error::HeaderSpi);
        }
        Ok(header)
    }

    /// Appends the 28 octets to `out`.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.spi_i.to_be_bytes());
        out.extend_from_slice(&self.spi_r.to_be_bytes());
        out.push(self.next_payload.to_wire());
        out.push(self.major << 4 | self.minor & 0x0f);
        out.push(self.exchange.to_wire());
        out.push(self.flags.to_wire());
        out.extend_from_slice(&self.message_id.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
    }
}
