//! The NOTIFICATION message (RFC 4271 section 4.5), and the codes that this speaker sends.
//!
//! It is kept as plain octets rather than in the codec library's enumeration, so that codes which nobody has assigned
//! yet survive a trip through us. Two subcodes of Cease carry more: a text for the operator at the other end (RFC 9003)
//! and, in a Hard Reset, another NOTIFICATION (RFC 8538).
//!
//! ```text
//!  Administrative Shutdown, Administrative Reset      Hard Reset
//! +----------+----------------------------------+    +------------+---------------+---------
//! | Length   | Shutdown Communication (UTF-8)   |    | Error code | Error subcode | Data ...
//! +----------+----------------------------------+    +------------+---------------+---------
//! ```

use core::fmt;

/// Why a session is being closed: what a NOTIFICATION carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// Error code: 1 header, 2 OPEN, 3 UPDATE, 4 hold timer, 5 state machine, 6 Cease.
    pub code: u8,
    /// Error subcode; its meaning depends on the code, 0 is unspecific.
    pub subcode: u8,
    /// The data field, whose contents section 6 prescribes per subcode.
    pub data: Vec<u8>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = ($code:literal, $subcode:literal);)*) => {
        impl Notification {
            $($(#[$doc])* pub const $name: (u8, u8) = ($code, $subcode);)*
        }
    };
}

codes! {
    /// Connection Not Synchronized: the marker is not all ones.
    NOT_SYNCHRONIZED = (1, 1);
    /// Bad Message Length; data: the Length field.
    BAD_LENGTH = (1, 2);
    /// Bad Message Type; data: the Type field.
    BAD_TYPE = (1, 3);
    /// An optional parameter or capability that we know is malformed.
    OPEN_UNSPECIFIC = (2, 0);
    /// Unsupported Version Number; data: the version we support, two octets.
    BAD_VERSION = (2, 1);
    /// Bad Peer AS.
    BAD_PEER_AS = (2, 2);
    /// Bad BGP Identifier.
    BAD_IDENTIFIER = (2, 3);
    /// Unsupported Optional Parameter.
    BAD_PARAMETER = (2, 4);
    /// Unacceptable Hold Time.
    BAD_HOLD_TIME = (2, 6);
    /// Unsupported Capability (RFC 5492 section 5); data: the capability we miss.
    MISSING_CAPABILITY = (2, 7);
    /// Malformed Attribute List.
    MALFORMED_ATTRIBUTES = (3, 1);
    /// Unrecognized Well-known Attribute; data: the attribute.
    UNKNOWN_WELL_KNOWN = (3, 2);
    /// Missing Well-known Attribute; data: its type code.
    MISSING_ATTRIBUTE = (3, 3);
    /// Attribute Flags Error; data: the attribute.
    ATTRIBUTE_FLAGS = (3, 4);
    /// Attribute Length Error; data: the attribute.
    ATTRIBUTE_LENGTH = (3, 5);
    /// Invalid ORIGIN Attribute; data: the attribute.
    BAD_ORIGIN = (3, 6);
    /// Invalid NEXT_HOP Attribute; data: the attribute.
    BAD_NEXT_HOP = (3, 8);
    /// Optional Attribute Error; data: the attribute.
    OPTIONAL_ATTRIBUTE = (3, 9);
    /// Invalid Network Field.
    BAD_NETWORK = (3, 10);
    /// Malformed AS_PATH.
    MALFORMED_AS_PATH = (3, 11);
    /// Hold Timer Expired.
    HOLD_TIMER_EXPIRED = (4, 0);
    /// Finite State Machine Error, without the message that RFC 6608 would name.
    FSM = (5, 0);
    /// Receive Unexpected Message in OpenSent State (RFC 6608); data: the message type.
    FSM_OPEN_SENT = (5, 1);
    /// Receive Unexpected Message in OpenConfirm State (RFC 6608); data: the message type.
    FSM_OPEN_CONFIRM = (5, 2);
    /// Receive Unexpected Message in Established State (RFC 6608); data: the message type.
    FSM_ESTABLISHED = (5, 3);
    /// Cease without a subcode.
    CEASE = (6, 0);
    /// BFD Down (RFC 9384).
    BFD_DOWN = (6, 10);
    /// Maximum Number of Prefixes Reached (RFC 4486); data: AFI, SAFI and the bound.
    MAX_PREFIXES = (6, 1);
    /// Administrative Shutdown (RFC 4486); data: a text, if the operator gave one (RFC 9003).
    ADMIN_SHUTDOWN = (6, 2);
    /// Peer De-configured (RFC 4486).
    PEER_DECONFIGURED = (6, 3);
    /// Administrative Reset (RFC 4486); data as of Administrative Shutdown.
    ADMIN_RESET = (6, 4);
    /// Connection Rejected (RFC 4486).
    CONNECTION_REJECTED = (6, 5);
    /// Other Configuration Change (RFC 4486).
    CONFIGURATION_CHANGE = (6, 6);
    /// Connection Collision Resolution (RFC 4486).
    COLLISION = (6, 7);
    /// Out of Resources (RFC 4486).
    OUT_OF_RESOURCES = (6, 8);
    /// Hard Reset (RFC 8538); data: the NOTIFICATION that is meant.
    HARD_RESET = (6, 9);
    /// Invalid Message Length of a ROUTE-REFRESH (RFC 7313 section 5); data: the whole message.
    REFRESH_LENGTH = (7, 1);
}

/// The longest text of a shutdown communication in octets: what its length field can say (RFC 9003 section 2).
pub const MAX_COMMUNICATION: usize = 255;

/// The text of a shutdown communication cannot be shown (RFC 9003 section 4: the session ends all the same).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommunicationError {
    /// The length field and the data disagree.
    #[error("a shutdown communication whose length field does not fit its data")]
    Length,
    /// The octets are no UTF-8.
    #[error("a shutdown communication that is no UTF-8")]
    NotUtf8,
}

impl Notification {
    /// A NOTIFICATION with one of the codes above and its data field.
    pub fn new((code, subcode): (u8, u8), data: impl Into<Vec<u8>>) -> Self {
        Self { code, subcode, data: data.into() }
    }

    /// Code and subcode.
    pub fn codes(&self) -> (u8, u8) {
        (self.code, self.subcode)
    }

    /// A Cease with a text for the peer's operator, if the subcode allows one and there is one. What is longer than
    /// [`MAX_COMMUNICATION`] is cut before the character that does not fit.
    pub fn cease(subcode: u8, communication: &str) -> Self {
        let codes = (Self::CEASE.0, subcode);
        if communication.is_empty() || !has_communication(codes) {
            return Self::new(codes, []);
        }
        let text = &communication.as_bytes()[..communication.floor_char_boundary(MAX_COMMUNICATION)];
        Self::new(codes, [&[text.len() as u8], text].concat())
    }

    /// The text for the operator, if there is one: of a Hard Reset the one that is inside.
    ///
    /// # Errors
    /// Why it cannot be shown.
    pub fn communication(&self) -> Result<Option<String>, CommunicationError> {
        let meant = self.meant();
        if !has_communication(meant.codes()) {
            return Ok(None);
        }
        match meant.data.split_first() {
            None | Some((0, [])) => Ok(None),
            Some((&length, text)) if usize::from(length) == text.len() => {
                let text = core::str::from_utf8(text).map_err(|_| CommunicationError::NotUtf8)?;
                Ok(Some(text.to_owned()))
            }
            Some(_) => Err(CommunicationError::Length),
        }
    }

    /// This NOTIFICATION inside of a Hard Reset (RFC 8538 section 3.1).
    pub fn hard_reset(&self) -> Self {
        Self::new(Self::HARD_RESET, [&[self.code, self.subcode], &self.data[..]].concat())
    }

    /// True if it ends a session that graceful restart would otherwise survive.
    pub fn is_hard_reset(&self) -> bool {
        self.codes() == Self::HARD_RESET
    }

    /// What a Hard Reset carries, or else the NOTIFICATION itself.
    pub fn meant(&self) -> Self {
        match (self.is_hard_reset(), &self.data[..]) {
            (true, [code, subcode, data @ ..]) => Self::new((*code, *subcode), data),
            (true, _) | (false, _) => self.clone(),
        }
    }

    /// Reads the body of a NOTIFICATION, whose two first octets the framing has promised.
    pub(super) fn parse(body: &[u8]) -> Self {
        let [code, subcode, data @ ..] = body else {
            return Self::new(Self::CEASE, []);
        };
        Self::new((*code, *subcode), data)
    }
}

fn has_communication(codes: (u8, u8)) -> bool {
    matches!(codes, Notification::ADMIN_SHUTDOWN | Notification::ADMIN_RESET)
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NOTIFICATION {}/{}", self.code, self.subcode)
    }
}
