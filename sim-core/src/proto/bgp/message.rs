//! From a byte stream to BGP messages: the header (RFC 4271 section 4.1) and its errors (section 6.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                     Marker (16 octets, all ones)              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          Length               |      Type     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The header is judged when all its 19 octets are there and not before, so that the verdict does not depend on how
//! TCP cut the stream. Messages longer than 4,096 octets (RFC 8654) are not negotiated, so they are errors.

use super::family::{Afi, UNICAST};
use super::notification::Notification;

/// Octets of the header.
pub const HEADER: usize = 19;
/// The longest message (RFC 4271 section 4).
pub const MAX_MESSAGE: usize = 4096;

/// The message types (RFC 4271 section 4.1, RFC 2918 section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum MessageType {
    /// OPEN, at least 29 octets.
    Open = 1,
    /// UPDATE, at least 23 octets.
    Update = 2,
    /// NOTIFICATION, at least 21 octets.
    Notification = 3,
    /// KEEPALIVE, exactly 19 octets.
    Keepalive = 4,
    /// ROUTE-REFRESH, exactly 23 octets; what a longer one is called depends on the session (RFC 7313 section 5).
    RouteRefresh = 5,
}

impl MessageType {
    const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::Open),
            2 => Some(Self::Update),
            3 => Some(Self::Notification),
            4 => Some(Self::Keepalive),
            5 => Some(Self::RouteRefresh),
            0 | 6..=255 => None,
        }
    }

    /// Lengths that section 6.1 accepts, header included.
    const fn lengths(self) -> core::ops::RangeInclusive<usize> {
        match self {
            Self::Open => 29..=MAX_MESSAGE,
            Self::Update => 23..=MAX_MESSAGE,
            Self::Notification => 21..=MAX_MESSAGE,
            Self::Keepalive => HEADER..=HEADER,
            Self::RouteRefresh => HEADER..=MAX_MESSAGE,
        }
    }
}

/// One message of the stream, without its header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: MessageType,
    /// What follows the header.
    pub body: &'a [u8],
}

/// Cuts the octets of one TCP connection into messages.
#[derive(Clone, Default, Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    read: usize,
}

impl Framer {
    /// Takes octets from the stream, in order.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message; `None` if more octets are needed.
    ///
    /// # Errors
    /// The NOTIFICATION to send if the header is wrong. The stream is then useless.
    #[allow(clippy::should_implement_trait)] // a lending iterator
    pub fn next(&mut self) -> Option<Result<Frame<'_>, Notification>> {
        let rest = &self.buffer[self.read..];
        let (header, _) = rest.split_first_chunk::<HEADER>()?;
        let (kind, length) = match judge(header) {
            Ok(verdict) => verdict,
            Err(notification) => return Some(Err(notification)),
        };
        let message = rest.get(..length)?;
        self.read += length;
        Some(Ok(Frame { kind, body: &message[HEADER..] }))
    }
}

/// Checks marker, length and type in the order of section 6.1.
fn judge(header: &[u8; HEADER]) -> Result<(MessageType, usize), Notification> {
    let [marker @ .., high, low, kind] = header;
    if marker.iter().any(|&octet| octet != 0xff) {
        return Err(Notification::new(Notification::NOT_SYNCHRONIZED, []));
    }
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let bad_length = || Notification::new(Notification::BAD_LENGTH, [*high, *low]);
    if !(HEADER..=MAX_MESSAGE).contains(&length) {
        return Err(bad_length());
    }
    let Some(kind) = MessageType::from_octet(*kind) else {
        return Err(Notification::new(Notification::BAD_TYPE, [*kind]));
    };
    if !kind.lengths().contains(&length) {
        return Err(bad_length());
    }
    Ok((kind, length))
}

/// Puts a header in front of a body that `write` appends.
///
/// # Panics
/// If the body does not fit in a message: the caller's own mistake.
pub(super) fn emit(kind: MessageType, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = vec![0xff; 16];
    message.extend_from_slice(&[0, 0, kind as u8]);
    write(&mut message);
    assert!(message.len() <= MAX_MESSAGE, "a BGP message that is too long");
    let length = message.len() as u16;
    message[16..18].copy_from_slice(&length.to_be_bytes());
    message
}

/// A KEEPALIVE: a header and nothing else (section 4.4).
pub fn keepalive() -> Vec<u8> {
    emit(MessageType::Keepalive, |_| {})
}

/// What a ROUTE-REFRESH is: its third octet, which RFC 2918 reserves (RFC 7313 section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Refresh {
    /// A request for the whole table.
    Request = 0,
    /// The whole table follows (BoRR).
    Beginning = 1,
    /// That was the whole table (EoRR).
    End = 2,
}

impl Refresh {
    pub(super) const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            0 => Some(Self::Request),
            1 => Some(Self::Beginning),
            2 => Some(Self::End),
            3..=255 => None,
        }
    }
}

/// A ROUTE-REFRESH about a family (RFC 2918 section 3).
pub fn route_refresh(afi: Afi, kind: Refresh) -> Vec<u8> {
    let [high, low] = afi.octets();
    emit(MessageType::RouteRefresh, |out| out.extend_from_slice(&[high, low, kind as u8, UNICAST]))
}

/// A NOTIFICATION (section 4.5).
pub fn notification(notification: &Notification) -> Vec<u8> {
    emit(MessageType::Notification, |out| {
        out.extend_from_slice(&[notification.code, notification.subcode]);
        let room = MAX_MESSAGE - out.len();
        out.extend_from_slice(&notification.data[..notification.data.len().min(room)]);
    })
}
