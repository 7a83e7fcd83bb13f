//! GRE, Generic Routing Encapsulation (RFC 2784), with key and sequence number (RFC 2890).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |C| |K|S|     Reserved0       | Ver |         Protocol Type         |
//! |      Checksum (if C)          |       Reserved1 (if C)        |
//! |                         Key (if K)                            |
//! |                  Sequence Number (if S)                       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! Left out: the routing of RFC 1701, whose packets RFC 2784 section 2.3 has discarded by who does not know it; neither checksum nor sequence
//! number is ever sent.

use super::{WireError, checksum};

/// Protocol Type of IPv4 (RFC 2784 section 2.4.1: an Ethertype).
pub const IPV4: u16 = 0x0800;
/// Octets of a header without options.
pub const FIXED_LEN: usize = 4;

const CHECKSUM: u8 = 0x80;
const KEY: u8 = 0x20;
const SEQUENCE: u8 = 0x10;
/// Bits 1, 4 and 5, which the routing of RFC 1701 used (RFC 2784 section 2.3).
const ROUTING: u8 = 0x4c;
const VERSION: u8 = 0x07;
const WORD: usize = 4;

/// A header, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GreHeader {
    /// What follows.
    pub protocol: u16,
    /// Which of the flows between two ends it is (RFC 2890 section 2.1).
    pub key: Option<u32>,
    /// Sequence number (RFC 2890 section 2.2).
    pub sequence: Option<u32>,
    /// Octets of the header.
    pub len: usize,
}

impl GreHeader {
    /// Reads the header in front of `bytes`, and verifies the checksum over all of them if there is one.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let err = |field, problem| WireError { layer: "GRE", field, problem };
        let Some(&[flags, version, high, low]) = bytes.first_chunk() else {
            return Err(err("header", "shorter than 4 octets"));
        };
        if version & VERSION != 0 {
            return Err(err("Ver", "not 0"));
        }
        if flags & ROUTING != 0 {
            return Err(err("Reserved0", "bits that RFC 2784 has discarded"));
        }
        let mut len = FIXED_LEN;
        let mut word = |present: bool| {
            if !present {
                return Ok(None);
            }
            let found = bytes.get(len..len + WORD).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
            len += WORD;
            found.map(Some).ok_or(err("header", "cut short"))
        };
        let sum = word(flags & CHECKSUM != 0)?;
        let key = word(flags & KEY != 0)?;
        let sequence = word(flags & SEQUENCE != 0)?;
        // Over header and payload it comes out as all ones (RFC 1071 section 1).
        if sum.is_some() && checksum::sum(bytes) != u16::MAX {
            return Err(err("Checksum", "does not verify"));
        }
        Ok(Self { protocol: u16::from_be_bytes([high, low]), key, sequence, len })
    }
}

/// Octets of the header that [`emit`] writes.
pub const fn header_len(key: Option<u32>) -> usize {
    if key.is_some() { FIXED_LEN + WORD } else { FIXED_LEN }
}

/// Writes a header in front of IPv4, without checksum and sequence number.
///
/// # Panics
/// If there is no room for [`header_len`] octets.
pub fn emit(buffer: &mut [u8], key: Option<u32>) {
    buffer[..2].copy_from_slice(&[if key.is_some() { KEY } else { 0 }, 0]);
    buffer[2..4].copy_from_slice(&IPV4.to_be_bytes());
    if let Some(key) = key {
        buffer[4..8].copy_from_slice(&key.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 2784 section 2: no bit is set, version 0, Protocol Type 0x800. RFC 2890 section 2: bit 2 announces a key.
    #[test]
    fn headers_are_those_of_the_figures() {
        let mut bytes = [0xaa; 8];
        emit(&mut bytes, None);
        assert_eq!(bytes, [0, 0, 0x08, 0, 0xaa, 0xaa, 0xaa, 0xaa]);
        emit(&mut bytes, Some(0x0102_0304));
        assert_eq!(bytes, [0x20, 0, 0x08, 0, 1, 2, 3, 4]);
        assert_eq!((header_len(None), header_len(Some(7))), (4, 8));
    }

    /// RFC 2890 section 2: checksum, key and sequence number stand in this order; RFC 2784 section 2.5: the checksum covers header and payload.
    #[test]
    fn optional_fields_are_read_in_order() {
        let mut bytes = vec![0xb0, 0, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 9, 0x45, 0x01];
        let sum = !checksum::sum(&bytes);
        bytes[4..6].copy_from_slice(&sum.to_be_bytes());
        let read = GreHeader { protocol: IPV4, key: Some(5), sequence: Some(9), len: 16 };
        assert_eq!(GreHeader::parse(&bytes), Ok(read));
        bytes[17] ^= 1;
        assert_eq!(GreHeader::parse(&bytes).unwrap_err().field, "Checksum");
    }

    /// RFC 2784 section 2.3: a receiver discards a packet in which any of the bits 1 to 5 is set, of which RFC 2890 has given two a
    /// meaning; section 2.3.1 has version 0.
    #[test]
    fn what_is_not_known_is_refused() {
        for bit in [0x40, 0x08, 0x04] {
            assert_eq!(GreHeader::parse(&[bit, 0, 8, 0]).unwrap_err().field, "Reserved0");
        }
        assert_eq!(GreHeader::parse(&[0, 1, 8, 0]).unwrap_err().field, "Ver");
        assert_eq!(GreHeader::parse(&[0, 0, 8]).unwrap_err().field, "header");
        assert_eq!(GreHeader::parse(&[0x20, 0, 8, 0, 1, 2, 3]).unwrap_err().field, "header");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = GreHeader::parse(&bytes);
        }

        #[test]
        fn what_is_written_is_read(key in any::<Option<u32>>(), payload in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = vec![0; header_len(key)];
            emit(&mut bytes, key);
            bytes.extend(payload);
            prop_assert_eq!(GreHeader::parse(&bytes), Ok(GreHeader { protocol: IPV4, key, sequence: None, len: header_len(key) }));
        }
    }
}
