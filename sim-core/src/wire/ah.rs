//! AH, the Authentication Header (RFC 4302 section 2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Next Header   |  Payload Len  |          RESERVED             |
//! |                 Security Parameters Index (SPI)               |
//! |                    Sequence Number Field                      |
//! |                Integrity Check Value (variable)               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use core::ops::Range;

use super::WireError;

/// Octets in front of the ICV.
pub const FIXED_LEN: usize = 12;

mod field {
    use core::ops::Range;
    pub const NEXT_HEADER: usize = 0;
    pub const PAYLOAD_LEN: usize = 1;
    pub const SPI: Range<usize> = 4..8;
    pub const SEQUENCE_NUMBER: Range<usize> = 8..12;
}

/// A view of an AH header and what follows it, over any buffer.
#[derive(Clone, Copy, Debug)]
pub struct AhPacket<T>(T);

impl<T: AsRef<[u8]>> AhPacket<T> {
    /// A view over bytes that are known to hold the header; panics later if they do not.
    pub fn new_unchecked(buffer: T) -> Self {
        Self(buffer)
    }

    /// A view over bytes that hold the whole header, ICV included.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn new_checked(buffer: T) -> Result<Self, WireError> {
        let err = |field, problem| WireError { layer: "AH", field, problem };
        let len = buffer.as_ref().len();
        if len < FIXED_LEN {
            return Err(err("header", "shorter than 12 octets"));
        }
        let header_len = AhPacket(buffer.as_ref()).header_len();
        if header_len < FIXED_LEN {
            return Err(err("Payload Len", "less than the fixed part"));
        }
        if header_len > len {
            return Err(err("Payload Len", "more octets than arrived"));
        }
        Ok(Self(buffer))
    }

    /// The protocol of what follows.
    pub fn next_header(&self) -> u8 {
        self.0.as_ref()[field::NEXT_HEADER]
    }

    /// Octets of the header, ICV included: Payload Len counts words of four octets, less two.
    pub fn header_len(&self) -> usize {
        (usize::from(self.0.as_ref()[field::PAYLOAD_LEN]) + 2) * 4
    }

    /// Where the ICV is, with any padding behind it.
    pub fn icv(&self) -> Range<usize> {
        FIXED_LEN..self.header_len()
    }

    /// Security Parameters Index: names the SA at its receiver.
    pub fn spi(&self) -> u32 {
        self.u32_at(field::SPI)
    }

    /// Sequence Number, from 1.
    pub fn sequence_number(&self) -> u32 {
        self.u32_at(field::SEQUENCE_NUMBER)
    }

    fn u32_at(&self, at: Range<usize>) -> u32 {
        u32::from_be_bytes(self.0.as_ref()[at].try_into().expect("a field of 4 octets"))
    }
}

/// Writes the header in front of whatever follows, with an ICV of zeros; `icv_len` is a multiple of four octets, as all ICVs
/// of HMACs are (RFC 4302 section 2.6).
///
/// # Panics
/// If there is no room.
pub fn emit(buffer: &mut [u8], next_header: u8, icv_len: usize, spi: u32, sequence_number: u32) {
    let header = &mut buffer[..FIXED_LEN + icv_len];
    header.fill(0);
    header[field::NEXT_HEADER] = next_header;
    header[field::PAYLOAD_LEN] = (header.len() / 4 - 2) as u8;
    header[field::SPI].copy_from_slice(&spi.to_be_bytes());
    header[field::SEQUENCE_NUMBER].copy_from_slice(&sequence_number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 4302 section 2.2: with the usual 96-bit ICV and the three words in front of it, Payload Len is 4.
    #[test]
    fn the_length_counts_words_less_two() {
        let mut bytes = [0xaa; 30];
        emit(&mut bytes, 4, 12, 0x0102_0304, 0x0506_0708);
        assert_eq!(bytes[..12], [4, 4, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(bytes[12..24], [0; 12]);
        assert_eq!(bytes[24..], [0xaa; 6]);
        let view = AhPacket::new_checked(&bytes).unwrap();
        assert_eq!((view.next_header(), view.header_len(), view.icv()), (4, 24, 12..24));
        assert_eq!((view.spi(), view.sequence_number()), (0x0102_0304, 0x0506_0708));
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let mut bytes = [0; 24];
        emit(&mut bytes, 4, 12, 1, 1);
        for len in 0..24 {
            assert!(AhPacket::new_checked(&bytes[..len]).is_err(), "{len}");
        }
        bytes[1] = 0;
        assert!(AhPacket::new_checked(&bytes).is_err(), "no room for the sequence number");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(view) = AhPacket::new_checked(&bytes) {
                prop_assert!(view.icv().end <= bytes.len());
                let _ = (view.next_header(), view.spi(), view.sequence_number());
            }
        }
    }
}
