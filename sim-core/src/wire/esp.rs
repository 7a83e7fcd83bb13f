//! ESP (RFC 4303 section 2) and its encapsulation in UDP (RFC 3948): header, trailer, and what a datagram on port
//! 4500 is.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |               Security Parameters Index (SPI)                 |
//! |                      Sequence Number                          |
//! |                      IV, then text (variable)                 |
//! ~               +-----------------------------------------------+
//! |               |     Padding (0-255 octets)                    |
//! +-+-+-+-+-+-+-+-+               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                               |  Pad Length   | Next Header   |
//! |                 Integrity Check Value (variable)              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! IV, text and ICV depend on the algorithms of the SA, so they have no fields here.

use super::WireError;

/// Octets of SPI and Sequence Number.
pub const HEADER_LEN: usize = 8;
/// Octets of Pad Length and Next Header.
pub const TRAILER_LEN: usize = 2;
/// The text is padded to a multiple of this, or of the cipher's block if that is more (RFC 4303 section 2.4).
pub const ALIGNMENT: usize = 4;
/// The UDP port of IKE and ESP behind a NAT (RFC 3948 section 2).
pub const NAT_T_PORT: u16 = 4500;
/// Next Header: an IPv4 packet, that is, tunnel mode (RFC 4303 section 2.6).
pub const NEXT_HEADER_IPV4: u8 = 4;
/// Next Header: a dummy packet, which its receiver throws away (RFC 4303 section 2.6).
pub const NEXT_HEADER_NONE: u8 = 59;
/// Next Header of tunnel mode with an IPv6 packet inside (RFC 4303 section 2.6).
pub const NEXT_HEADER_IPV6: u8 = 41;

mod field {
    use core::ops::Range;
    pub const SPI: Range<usize> = 0..4;
    pub const SEQUENCE_NUMBER: Range<usize> = 4..8;
}

/// A view of an ESP packet over any buffer.
#[derive(Clone, Copy, Debug)]
pub struct EspPacket<T>(T);

impl<T: AsRef<[u8]>> EspPacket<T> {
    /// A view over bytes that are known to hold the header; panics later if they do not.
    pub fn new_unchecked(buffer: T) -> Self {
        Self(buffer)
    }

    /// A view over bytes that hold at least the header.
    ///
    /// # Errors
    /// Fewer octets than that.
    pub fn new_checked(buffer: T) -> Result<Self, WireError> {
        if buffer.as_ref().len() < HEADER_LEN {
            return Err(err("header", "shorter than 8 octets"));
        }
        Ok(Self(buffer))
    }

    /// Security Parameters Index: names the SA at its receiver.
    pub fn spi(&self) -> u32 {
        self.u32_at(field::SPI)
    }

    /// Sequence Number, from 1.
    pub fn sequence_number(&self) -> u32 {
        self.u32_at(field::SEQUENCE_NUMBER)
    }

    fn u32_at(&self, at: core::ops::Range<usize>) -> u32 {
        u32::from_be_bytes(self.0.as_ref()[at].try_into().expect("a field of 4 octets"))
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> EspPacket<T> {
    /// Sets the Security Parameters Index.
    pub fn set_spi(&mut self, spi: u32) {
        self.0.as_mut()[field::SPI].copy_from_slice(&spi.to_be_bytes());
    }

    /// Sets the Sequence Number.
    pub fn set_sequence_number(&mut self, number: u32) {
        self.0.as_mut()[field::SEQUENCE_NUMBER].copy_from_slice(&number.to_be_bytes());
    }
}

/// The end of a text, in clear: how much of it is payload, and of which protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trailer {
    /// Octets of payload data in front of the padding.
    pub payload_len: usize,
    /// Octets of padding.
    pub pad_len: u8,
    /// The protocol of the payload data, see [`NEXT_HEADER_IPV4`].
    pub next_header: u8,
}

impl Trailer {
    /// The trailer of `payload_len` octets with the least padding that makes the text a multiple of `align` octets,
    /// at most 256.
    pub fn new(payload_len: usize, align: usize, next_header: u8) -> Self {
        let text_len = (payload_len + TRAILER_LEN).next_multiple_of(align);
        Self { payload_len, pad_len: (text_len - TRAILER_LEN - payload_len) as u8, next_header }
    }

    /// Octets of payload, padding and trailer.
    pub fn text_len(&self) -> usize {
        self.payload_len + usize::from(self.pad_len) + TRAILER_LEN
    }

    /// Writes padding 1, 2, 3, ... (RFC 4303 section 2.4), Pad Length and Next Header behind the payload.
    pub fn emit(&self, text: &mut [u8]) {
        let tail = &mut text[self.payload_len..self.text_len()];
        for (octet, n) in tail.iter_mut().zip(1..=self.pad_len) {
            *octet = n;
        }
        let end = tail.len();
        tail[end - 2] = self.pad_len;
        tail[end - 1] = self.next_header;
    }

    /// Reads the trailer of a decrypted text and inspects its padding, as a receiver should (RFC 4303 section 2.4).
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn parse(text: &[u8]) -> Result<Self, WireError> {
        let [data @ .., pad_len, next_header] = text else {
            return Err(err("trailer", "shorter than 2 octets"));
        };
        let payload_len =
            data.len().checked_sub(usize::from(*pad_len)).ok_or(err("Pad Length", "more than the text"))?;
        if !data[payload_len..].iter().copied().eq(1..=*pad_len) {
            return Err(err("Padding", "not 1, 2, 3, ..."));
        }
        Ok(Self { payload_len, pad_len: *pad_len, next_header: *next_header })
    }
}

/// What the payload of a UDP datagram on port 4500 is (RFC 3948 section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UdpEncapsulated<'a> {
    /// An IKE message, behind a Non-ESP Marker of four zero octets that is not part of it.
    Ike(&'a [u8]),
    /// One octet 0xFF that keeps a NAT binding alive; to be ignored.
    Keepalive,
    /// An ESP packet.
    Esp(&'a [u8]),
}

impl<'a> UdpEncapsulated<'a> {
    /// Tells IKE, ESP and keepalives apart. An SPI of zero is reserved, so the marker is none (RFC 4303 section 2.1).
    ///
    /// # Errors
    /// Too short to be any of them.
    pub fn parse(payload: &'a [u8]) -> Result<Self, WireError> {
        match payload {
            [0xff] => Ok(Self::Keepalive),
            [0, 0, 0, 0, ike @ ..] => Ok(Self::Ike(ike)),
            _ => EspPacket::new_checked(payload).map(|EspPacket(esp)| Self::Esp(esp)),
        }
    }
}

const fn err(field: &'static str, problem: &'static str) -> WireError {
    WireError { layer: "ESP", field, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 4303 section 2: SPI and Sequence Number are the first eight octets, in network order.
    #[test]
    fn header_fields() {
        let mut bytes = [0u8; 9];
        let mut esp = EspPacket::new_unchecked(&mut bytes);
        esp.set_spi(0xc0ff_ee01);
        esp.set_sequence_number(0x0000_0102);
        assert_eq!(bytes, [0xc0, 0xff, 0xee, 0x01, 0, 0, 1, 2, 0]);
        let esp = EspPacket::new_checked(&bytes).unwrap();
        assert_eq!((esp.spi(), esp.sequence_number()), (0xc0ff_ee01, 0x0102));
        assert!(EspPacket::new_checked(&bytes[..7]).is_err());
    }

    /// RFC 4303 section 2.4: 17 octets to a block of 16 take 13 of padding, because two more follow it.
    #[test]
    fn padding_counts_up_from_one() {
        let trailer = Trailer::new(17, 16, NEXT_HEADER_IPV4);
        assert_eq!((trailer.pad_len, trailer.text_len()), (13, 32));
        let mut text = [0xee; 32];
        trailer.emit(&mut text);
        assert_eq!(text[16..], [0xee, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 13, 4]);
    }

    #[test]
    fn bad_trailers_name_their_field() {
        let field = |text: &[u8]| Trailer::parse(text).unwrap_err().field;
        assert_eq!(field(&[]), "trailer");
        assert_eq!(field(&[4]), "trailer");
        assert_eq!(field(&[1, 2, 3, 4, 4]), "Pad Length");
        assert_eq!(field(&[9, 1, 1, 2, 4]), "Padding");
        assert_eq!(field(&[9, 0, 0, 2, 4]), "Padding");
        assert_eq!(Trailer::parse(&[9, 1, 2, 2, 4]).unwrap().payload_len, 1);
    }

    /// RFC 3948 sections 2.1 to 2.3.
    #[test]
    fn port_4500_is_shared() {
        let parse = UdpEncapsulated::parse;
        assert_eq!(parse(&[0xff]), Ok(UdpEncapsulated::Keepalive));
        assert_eq!(parse(&[0, 0, 0, 0, 7]), Ok(UdpEncapsulated::Ike(&[7])));
        let esp = [0, 0, 0, 1, 0, 0, 0, 1];
        assert_eq!(parse(&esp), Ok(UdpEncapsulated::Esp(&esp)));
        for short in [&[][..], &[0], &[0, 0, 0], &[0xff, 0xff], &esp[..7]] {
            assert!(parse(short).is_err());
        }
    }

    proptest! {
        #[test]
        fn trailer_parse_after_emit_is_identity(
            payload in prop::collection::vec(any::<u8>(), 0..64),
            align in 1usize..=256,
            next_header: u8,
        ) {
            let trailer = Trailer::new(payload.len(), align, next_header);
            prop_assert!(trailer.text_len().is_multiple_of(align));
            let mut text = payload.clone();
            text.resize(trailer.text_len(), 0xaa);
            trailer.emit(&mut text);
            prop_assert_eq!(Trailer::parse(&text), Ok(trailer));
            prop_assert_eq!(&text[..payload.len()], &payload[..]);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Trailer::parse(&bytes);
            let _ = UdpEncapsulated::parse(&bytes);
        }
    }
}
