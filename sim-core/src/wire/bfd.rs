//! BFD control packets (RFC 5880 section 4.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//! |                       My Discriminator                        |
//! |                      Your Discriminator                       |
//! |                    Desired Min TX Interval                    |
//! |                   Required Min RX Interval                    |
//! |                 Required Min Echo RX Interval                 |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! Left out: the authentication section (section 4.2 and what follows it). A packet that has one is told apart from one that
//! has none, and not read further.

use super::WireError;

/// Octets of a packet without an authentication section.
pub const LEN: usize = 24;
/// UDP destination port over one hop (RFC 5881 section 4).
pub const PORT: u16 = 3784;
/// UDP destination port over several hops (RFC 5883 section 5).
pub const MULTIHOP_PORT: u16 = 4784;
/// The lowest UDP source port of a session, which keeps its own (RFC 5881 section 4).
pub const FIRST_SOURCE_PORT: u16 = 49_152;
/// TTL of what is sent over one hop, and of what is taken (RFC 5881 section 5).
pub const TTL: u8 = 255;

const VERSION: u8 = 1;
/// Octets of the least authentication section: type and length.
const AUTHENTICATION_LEN: usize = 2;

mod flag {
    pub const POLL: u8 = 0x20;
    pub const FINAL: u8 = 0x10;
    pub const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
    pub const AUTHENTICATION: u8 = 0x04;
    pub const DEMAND: u8 = 0x02;
    pub const MULTIPOINT: u8 = 0x01;
}

/// The state of a session as its end sees it (Sta).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum State {
    /// An operator holds it down.
    AdminDown = 0,
    /// Nothing is heard of the other end, or it has just gone down.
    Down = 1,
    /// The other end is heard, and does not yet hear this one.
    Init = 2,
    /// Both ends hear each other.
    Up = 3,
}

impl State {
    /// All states.
    pub const ALL: [Self; 4] = [Self::AdminDown, Self::Down, Self::Init, Self::Up];
}

/// Why an end's session changed its state last (Diag).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Diagnostic {
    /// 0: No Diagnostic.
    None,
    /// 1: Control Detection Time Expired.
    DetectionTimeExpired,
    /// 3: Neighbor Signaled Session Down.
    NeighborSignaledDown,
    /// 7: Administratively Down.
    AdminDown,
    /// Another number of 5 bits: echo, forwarding plane and paths behind the other end, which this end never reports.
    Other(u8),
}

impl Diagnostic {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::DetectionTimeExpired => 1,
            Self::NeighborSignaledDown => 3,
            Self::AdminDown => 7,
            Self::Other(code) => code & 0x1f,
        }
    }

    /// What a number of 5 bits means.
    pub const fn from_code(code: u8) -> Self {
        match code & 0x1f {
            0 => Self::None,
            1 => Self::DetectionTimeExpired,
            3 => Self::NeighborSignaledDown,
            7 => Self::AdminDown,
            other => Self::Other(other),
        }
    }
}

/// A control packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ControlPacket {
    /// Why the sender's session changed its state last.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// P: the sender wants an answer at once.
    pub poll: bool,
    /// F: this is the answer.
    pub is_final: bool,
    /// C: the sender's BFD does not share the fate of its control plane.
    pub control_plane_independent: bool,
    /// A: there is an authentication section.
    pub authentication: bool,
    /// D: the sender wants no periodic packets while the session is up.
    pub demand: bool,
    /// How many packets in a row the receiver may miss; never 0.
    pub detect_multiplier: u8,
    /// The sender's name for the session; never 0.
    pub my_discriminator: u32,
    /// The receiver's name for it, as far as the sender knows it; 0 if it does not.
    pub your_discriminator: u32,
    /// The shortest interval at which the sender would like to send, in microseconds.
    pub desired_min_tx_us: u32,
    /// The shortest interval at which the sender can receive, in microseconds; 0: it wants no periodic packets.
    pub required_min_rx_us: u32,
    /// The same for echo packets; 0: it takes none.
    pub required_min_echo_rx_us: u32,
}

impl ControlPacket {
    /// Reads the payload of a UDP datagram.
    ///
    /// # Errors
    /// What makes a receiver discard a packet whichever session it is for (RFC 5880 section 6.8.6).
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let header: &[u8; LEN] = payload.first_chunk().ok_or(err("Length", "fewer than 24 octets"))?;
        let [first, flags, detect_multiplier, length] = *header.first_chunk().expect("24 octets begin with 4");
        let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("a field of 4 octets"));
        if first >> 5 != VERSION {
            return Err(err("Vers", "not 1"));
        }
        let authentication = flags & flag::AUTHENTICATION != 0;
        let least = if authentication { LEN + AUTHENTICATION_LEN } else { LEN };
        if usize::from(length) < least {
            return Err(err("Length", "too short for what the packet holds"));
        }
        if usize::from(length) > payload.len() {
            return Err(err("Length", "beyond the datagram"));
        }
        if detect_multiplier == 0 {
            return Err(err("Detect Mult", "zero"));
        }
        if flags & flag::MULTIPOINT != 0 {
            return Err(err("M", "set"));
        }
        let state = match flags >> 6 {
            0 => State::AdminDown,
            1 => State::Down,
            2 => State::Init,
            _ => State::Up,
        };
        let (my_discriminator, your_discriminator) = (word(4), word(8));
        if my_discriminator == 0 {
            return Err(err("My Discriminator", "zero"));
        }
        if your_discriminator == 0 && matches!(state, State::Init | State::Up) {
            return Err(err("Your Discriminator", "zero, in a state that needs the receiver's"));
        }
        Ok(Self {
            diagnostic: Diagnostic::from_code(first),
            state,
            poll: flags & flag::POLL != 0,
            is_final: flags & flag::FINAL != 0,
            control_plane_independent: flags & flag::CONTROL_PLANE_INDEPENDENT != 0,
            authentication,
            demand: flags & flag::DEMAND != 0,
            detect_multiplier,
            my_discriminator,
            your_discriminator,
            desired_min_tx_us: word(12),
            required_min_rx_us: word(16),
            required_min_echo_rx_us: word(20),
        })
    }

    /// The octets of the packet, without an authentication section.
    pub fn emit(&self) -> [u8; LEN] {
        let flags = [
            (self.poll, flag::POLL),
            (self.is_final, flag::FINAL),
            (self.control_plane_independent, flag::CONTROL_PLANE_INDEPENDENT),
            (self.demand, flag::DEMAND),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag);
        let mut octets = [0; LEN];
        octets[..4].copy_from_slice(&[
            VERSION << 5 | self.diagnostic.code(),
            (self.state as u8) << 6 | flags,
            self.detect_multiplier,
            LEN as u8,
        ]);
        let words = [
            self.my_discriminator,
            self.your_discriminator,
            self.desired_min_tx_us,
            self.required_min_rx_us,
            self.required_min_echo_rx_us,
        ];
        for (place, word) in octets[4..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        octets
    }
}

fn err(field: &'static str, problem: &'static str) -> WireError {
    WireError { layer: "BFD", field, problem }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::testing::hex;

    /// Put together by hand from the drawing: version 1, diagnostic 3, state Down with P, multiplier 3, discriminators 1 and 0,
    /// 1 s, 300 ms, no echo.
    const DOWN_WITH_POLL: &str = "236003180000000100000000000f4240000493e000000000";

    fn packet() -> ControlPacket {
        ControlPacket {
            diagnostic: Diagnostic::NeighborSignaledDown,
            state: State::Down,
            poll: true,
            is_final: false,
            control_plane_independent: false,
            authentication: false,
            demand: false,
            detect_multiplier: 3,
            my_discriminator: 1,
            your_discriminator: 0,
            desired_min_tx_us: 1_000_000,
            required_min_rx_us: 300_000,
            required_min_echo_rx_us: 0,
        }
    }

    #[test]
    fn the_drawing_and_the_octets_agree() {
        assert_eq!(packet().emit()[..], hex(DOWN_WITH_POLL));
        assert_eq!(ControlPacket::parse(&hex(DOWN_WITH_POLL)), Ok(packet()));
    }

    /// RFC 5880 section 6.8.6, one rule after the other.
    #[test]
    fn what_no_session_takes() {
        let broken = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut octets = packet().emit().to_vec();
            change(&mut octets);
            ControlPacket::parse(&octets).map_err(|e| e.field)
        };
        assert_eq!(broken(&|o| o[0] = 0x43), Err("Vers"));
        assert_eq!(broken(&|o| o[3] = 23), Err("Length"));
        assert_eq!(broken(&|o| o[3] = 25), Err("Length"), "beyond the datagram");
        assert_eq!(broken(&|o| o[1] |= 0x04), Err("Length"), "no room for authentication");
        assert_eq!(broken(&|o| o.truncate(23)), Err("Length"));
        assert_eq!(broken(&|o| o[2] = 0), Err("Detect Mult"));
        assert_eq!(broken(&|o| o[1] |= 0x01), Err("M"));
        assert_eq!(broken(&|o| o[7] = 0), Err("My Discriminator"));
        for state in [0x80, 0xc0] {
            assert_eq!(broken(&|o| o[1] = state), Err("Your Discriminator"));
        }
        assert!(broken(&|o| o[1] = 0).is_ok(), "an end that is held down need not know the other");
        assert!(broken(&|o| o.push(0)).is_ok(), "what follows the packet is not part of it");
    }

    fn packets() -> impl Strategy<Value = ControlPacket> {
        let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        let words = (1_u32.., any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
        (0_u8..32, 0_usize..4, flags, 1_u8.., words).prop_map(|(diagnostic, state, flags, mult, words)| ControlPacket {
            diagnostic: Diagnostic::from_code(diagnostic),
            state: State::ALL[state],
            poll: flags.0,
            is_final: flags.1,
            control_plane_independent: flags.2,
            authentication: false,
            demand: flags.3,
            detect_multiplier: mult,
            my_discriminator: words.0,
            your_discriminator: if state >= 2 { words.1.max(1) } else { words.1 },
            desired_min_tx_us: words.2,
            required_min_rx_us: words.3,
            required_min_echo_rx_us: words.4,
        })
    }

    proptest! {
        #[test]
        fn parsing_undoes_emitting(packet in packets()) {
            prop_assert_eq!(ControlPacket::parse(&packet.emit()), Ok(packet));
        }

        #[test]
        fn nothing_panics(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = ControlPacket::parse(&octets);
        }
    }
}
