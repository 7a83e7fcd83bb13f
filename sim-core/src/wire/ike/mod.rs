//! IKEv2 messages on the wire (RFC 7296 section 3): parse and emit, no keys, no behaviour. IKEv1's are in [`v1`].
//!
//! ```text
//!  +------------+-----------+-----------+- - -+------------------------------------+
//!  | header, 28 | payload   | payload   |     | SK { IV | payloads, padding | ICV } |
//!  +------------+-----------+-----------+- - -+------------------------------------+
//!         |         ^    |      ^   |                                (always last)
//!         +---------+    +------+   +-- each names the type of the one behind it
//! ```
//!
//! Parsing borrows from the datagram and bounds every length; nothing here panics on bytes from outside.
//! The fixed header and the generic payload header have the same shape in both versions of the protocol; their payloads differ.
//! The four zero octets that mark IKE on UDP port 4500 (RFC 3948 section 2.2) are not part of a message here.
//!
//! Left out: the insides of EAP and CP payloads (RFC 7296 sections 3.15, 3.16), which are kept as
//! opaque octets.

use core::fmt;

pub mod header;
pub mod mobike;
pub mod notify;
pub mod payload;
pub mod proposal;
pub mod sk;
pub mod skf;
pub mod ts;
pub mod v1;

pub use header::{ExchangeType, Flags, HEADER_LEN, Header};
pub use notify::{Notify, NotifyType};
pub use payload::{AuthMethod, Builder, CertEncoding, Delete, Id, IdType, Payload, PayloadType, parse_chain};
pub use proposal::{Attribute, Proposal, Protocol, Spi, Transform, TransformType};
pub use sk::Unsealed;
pub use skf::Fragment;
pub use ts::{AddressRange, TrafficSelector};

/// Why octets are not an IKE message: which layer and which field. `P` names payloads in the version that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error<P: fmt::Debug = PayloadType> {
    /// Fewer octets than the fixed header.
    #[error("IKE header: {got} octets, need {HEADER_LEN}")]
    HeaderTruncated {
        /// Octets there are.
        got: usize,
    },
    /// The header's Length is not the datagram's.
    #[error("IKE header: Length says {says}, the datagram has {got}")]
    HeaderLength {
        /// The Length field.
        says: u32,
        /// Octets there are.
        got: usize,
    },
    /// Not the version that was to be read.
    #[error("IKE header: major version {0}")]
    HeaderVersion(
        /// The version it claims.
        u8,
    ),
    /// The initiator's SPI is zero (RFC 7296 section 3.1).
    #[error("IKE header: initiator's SPI is zero")]
    HeaderSpi,
    /// The chain ends inside a generic payload header.
    #[error("IKE {payload:?} payload: header cut short")]
    PayloadHeader {
        /// The payload whose header it is.
        payload: P,
    },
    /// A Payload Length below 4 or beyond the message.
    #[error("IKE {payload:?} payload: Payload Length {says} where {left} octets are left")]
    PayloadLength {
        /// The payload whose length it is.
        payload: P,
        /// The Payload Length field.
        says: u16,
        /// Octets left in the message.
        left: usize,
    },
    /// Octets behind the last payload.
    #[error("IKE message: {0} octets behind the last payload")]
    Trailing(
        /// How many.
        usize,
    ),
    /// A payload's body ends before this field does.
    #[error("IKE {payload:?} payload: {field} cut short")]
    Truncated {
        /// The payload.
        payload: P,
        /// The field, as its RFC names it.
        field: &'static str,
    },
    /// A field has a value that its RFC forbids.
    #[error("IKE {payload:?} payload: {field} is {value}")]
    Value {
        /// The payload.
        payload: P,
        /// The field, as its RFC names it.
        field: &'static str,
        /// Its value.
        value: u32,
    },
}

/// A whole message: header and chain of payloads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// The fixed header.
    pub header: Header,
    /// The payloads in order; an encrypted one is last.
    pub payloads: Vec<Payload<'a>>,
}

impl<'a> Message<'a> {
    /// Reads a datagram. The header's Length must be the datagram's.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let header = Header::parse(bytes)?;
        if header.major != 2 {
            return Err(Error::HeaderVersion(header.major));
        }
        if header.length as usize != bytes.len() {
            return Err(Error::HeaderLength { says: header.length, got: bytes.len() });
        }
        let payloads = parse_chain(header.next_payload, &bytes[HEADER_LEN..])?;
        Ok(Self { header, payloads })
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

/// An enumeration of wire values in which unknown ones are kept.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident($int:ty) { $($(#[$vdoc:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name {
            $(#[doc = concat!("Value ", $value, ".")] $(#[$vdoc])* $variant,)*
            /// Any other value.
            Other($int),
        }

        impl $name {
            /// The value's name.
            pub const fn from_wire(value: $int) -> Self {
                match value {
                    $($value => Self::$variant,)*
                    other => Self::Other(other),
                }
            }

            /// The value on the wire.
            pub const fn to_wire(self) -> $int {
                match self {
                    $(Self::$variant => $value,)*
                    Self::Other(other) => other,
                }
            }
        }
    };
}
use wire_enum;

/// The SPIs of ESP or AH SAs that a Delete payload names, in either version: words of four octets.
fn child_spis(spi_size: u8, spis: &[u8]) -> impl Iterator<Item = u32> {
    let words = if spi_size == 4 { spis } else { &[] };
    words.as_chunks().0.iter().map(|octets| u32::from_be_bytes(*octets))
}

/// A cursor over a payload's body; every error names the payload and the field.
struct Reader<'a, P = PayloadType> {
    rest: &'a [u8],
    payload: P,
}

impl<'a, P: Copy + fmt::Debug> Reader<'a, P> {
    fn take(&mut self, n: usize, field: &'static str) -> Result<&'a [u8], Error<P>> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Error::Truncated { payload: self.payload, field })?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Error<P>> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Error::Truncated { payload: self.payload, field })?;
        self.rest = rest;
        Ok(*head)
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, Error<P>> {
        Ok(self.array::<1>(field)?[0])
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, Error<P>> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    fn value<T>(&self, field: &'static str, value: u32) -> Result<T, Error<P>> {
        Err(Error::Value { payload: self.payload, field, value })
    }
}

#[cfg(test)]
mod tests;
