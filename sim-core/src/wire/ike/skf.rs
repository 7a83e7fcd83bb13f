//! The Encrypted Fragment payload (RFC 7383 section 2.5): a piece of what one Encrypted payload would hold, sealed by itself.
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Next Payload  |C|  RESERVED   |         Payload Length        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |        Fragment Number        |        Total Fragments        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~              IV, piece of the inner payloads, ICV             ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! Only the first fragment's Next Payload says what is inside; that of the others is zero.
//!
//! Left out: payloads in clear in front of it (section 2.5.3), which no exchange has.

use super::payload::NEXT_PAYLOAD_AT;
use super::{Builder, Error, HEADER_LEN, Message, Payload, PayloadType, Unsealed};

/// Octets of Fragment Number and Total Fragments.
const FIELDS_LEN: usize = 4;

/// What is in the clear of a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// Fragment Number, from 1 on.
    pub number: u16,
    /// Total Fragments.
    pub total: u16,
    /// Type of the first inner payload; means something in fragment 1 only.
    pub first: PayloadType,
    /// Octets in front of the IV.
    pub header_len: usize,
}

impl Fragment {
    /// Reads a message that is a fragment.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        const PAYLOAD: PayloadType = PayloadType::EncryptedFragment;
        let message = Message::parse(bytes)?;
        let [Payload::Sealed { kind: PAYLOAD, first, body }] = message.payloads[..] else {
            return Err(Error::Value {
                payload: message.header.next_payload,
                field: "number of payloads",
                value: message.payloads.len() as u32,
            });
        };
        let Some([n0, n1, t0, t1]) = body.first_chunk::<FIELDS_LEN>().copied() else {
            return Err(Error::Truncated { payload: PAYLOAD, field: "Total Fragments" });
        };
        let (number, total) = (u16::from_be_bytes([n0, n1]), u16::from_be_bytes([t0, t1]));
        // Both count from 1, and no number is above the total (RFC 7383 section 2.5).
        if number == 0 || number > total {
            return Err(Error::Value { payload: PAYLOAD, field: "Fragment Number", value: number.into() });
        }
        Ok(Self { number, total, first, header_len: HEADER_LEN + 4 + FIELDS_LEN })
    }
}

impl Builder {
    /// Ends a message that has an SK payload and nothing in front of it: in one piece if it has no more than `limit` octets
    /// then, in fragments of at most that otherwise. `sealed_len` is as for [`Builder::finish_sk`].
    ///
    /// # Panics
    /// If no SK payload was opened, if payloads in clear precede it, or if there would be more than 65,535 fragments.
    pub fn finish_within(self, limit: usize, sealed_len: impl Fn(usize) -> usize) -> Vec<Unsealed> {
        let at = self.sk_at.expect("an SK payload is opened before it is closed");
        let inner_len = self.bytes.len() - at - 4;
        if at + 4 + sealed_len(inner_len) <= limit {
            return vec![self.finish_sk(sealed_len)];
        }
        assert_eq!(at, HEADER_LEN, "no payload in clear is in front of what is fragmented");
        let header_len = at + 4 + FIELDS_LEN;
        // What is sealed grows by whole cipher blocks, so the largest piece is found by trying. A limit that is too low for
        // anything gives pieces of one octet.
        let room = limit.saturating_sub(header_len);
        let piece = (1..=room).rev().find(|len| sealed_len(*len) <= room).unwrap_or(1);
        let inner = &self.bytes[at + 4..];
        let total = u16::try_from(inner.len().div_ceil(piece)).expect("fragments are counted by 16 bits");
        let fragment = |(piece, number): (&[u8], u16)| {
            let mut fragment = Self::new_fragment(&self.bytes[..HEADER_LEN]);
            // The first inner payload's type is where the SK payload had it.
            let first = if number == 1 { self.bytes[at] } else { PayloadType::None.to_wire() };
            fragment.bytes[at] = first;
            fragment.bytes.extend_from_slice(&number.to_be_bytes());
            fragment.bytes.extend_from_slice(&total.to_be_bytes());
            let sealed = sealed_len(piece.len());
            fragment.write_payload_length(at, 4 + FIELDS_LEN + sealed);
            fragment.write_message_length(header_len + sealed);
            Unsealed { message: fragment.bytes, inner: piece.to_vec() }
        };
        inner.chunks(piece).zip(1..=total).map(fragment).collect()
    }

    /// A message with this header and an open Encrypted Fragment payload.
    fn new_fragment(header: &[u8]) -> Self {
        let mut fragment = Self { bytes: header.to_vec(), next_payload_at: NEXT_PAYLOAD_AT, sk_at: None };
        fragment.open(PayloadType::EncryptedFragment);
        fragment
    }
}
