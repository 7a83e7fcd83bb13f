//! The Encrypted payload (RFC 7296 section 3.14; its AEAD form is RFC 5282 section 3): its place in a message.
//!
//! ```text
//!  | IKE header | payloads in clear | SK header, 4 | IV | inner payloads | padding | Pad Length | ICV |
//!  |<-------- what the ICV also covers ---------->|    |<------------ ciphertext ------------>|
//! ```
//!
//! Lengths and Next Payload fields in front of the IV are authenticated, so they are final before anything is sealed.
//! IV, padding and ICV belong to the suite: [`crate::crypto::sk`] writes and reads them.

use super::{Builder, Payload, PayloadType};

/// A message that waits for its SK payload to be sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsealed {
    /// Everything up to and including the SK payload's generic header; IV, ciphertext and ICV are to be appended.
    pub message: Vec<u8>,
    /// The chain of inner payloads, without padding.
    pub inner: Vec<u8>,
}

impl Builder {
    /// Opens an SK payload: what is pushed from here on lies inside it.
    pub fn begin_sk(&mut self) -> &mut Self {
        self.sk_at = Some(self.open(PayloadType::Encrypted));
        self
    }

    /// Ends a message that has an SK payload. `sealed_len` says how many octets, from IV to ICV, so many octets of inner
    /// payloads will become.
    ///
    /// # Panics
    /// If no SK payload was opened, or if it is longer than 65,535 octets.
    pub fn finish_sk(mut self, sealed_len: impl FnOnce(usize) -> usize) -> Unsealed {
        let at = self.sk_at.take().expect("an SK payload is opened before it is closed");
        let inner = self.bytes.split_off(at + 4);
        let sealed = sealed_len(inner.len());
        self.write_payload_length(at, 4 + sealed);
        self.write_message_length(at + 4 + sealed);
        Unsealed { message: self.bytes, inner }
    }
}

/// Octets in front of the IV, if the message of `len` octets ends with an Encrypted payload (not a fragment).
pub fn header_len(len: usize, payloads: &[Payload<'_>]) -> Option<(usize, PayloadType)> {
    match payloads.last() {
        Some(Payload::Sealed { kind: PayloadType::Encrypted, first, body }) => {
            Some((len.checked_sub(body.len())?, *first))
        }
        _ => None,
    }
}
