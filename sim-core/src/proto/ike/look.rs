//! What an operator sees of a tunnel's SAs, as `show crypto ikev2 sa` and its like tell it: to look at, never to act on. No keys.

use super::Peer;
use super::config::IkeVersion;
use crate::reason::TimerKind;
use crate::time::Instant;

/// An IKE_SA, or an ISAKMP SA of IKEv1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IkeSaSeen {
    /// Whose machine it belongs to.
    pub version: IkeVersion,
    /// Initiator's SPI (IKEv1: cookie).
    pub spi_i: u64,
    /// Responder's SPI; 0 until it has chosen one.
    pub spi_r: u64,
    /// True if this end began it.
    pub initiator: bool,
    /// What it waits for, in words.
    pub state: &'static str,
    /// When it was established; `None` before.
    pub since: Option<Instant>,
    /// When this end replaces it, if it does.
    pub rekey: Option<Instant>,
    /// When its lifetime ends; `None` before it is established.
    pub expires: Option<Instant>,
    /// Its timer that is due first, those of its CHILD_SAs included.
    pub timer: Option<(TimerKind, Instant)>,
}

/// A CHILD_SA, or what a Quick Mode of IKEv1 has made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChildSaSeen {
    /// The SPI of what arrives here.
    pub spi_in: u32,
    /// The SPI of what is sent.
    pub spi_out: u32,
    /// How it stands, in words.
    pub state: &'static str,
    /// When it was made.
    pub since: Instant,
    /// When this end replaces it, if it does.
    pub rekey: Option<Instant>,
    /// When its lifetime ends.
    pub expires: Instant,
}

impl Peer {
    /// The IKE_SAs of all versions, the oldest of each first.
    pub fn ike_sas(&self) -> Vec<IkeSaSeen> {
        let (v1, v2) = self.machines();
        v2.ike_sas().chain(v1.into_iter().flat_map(|v1| v1.ike_sas())).collect()
    }

    /// The CHILD_SAs of all versions, the oldest of each first.
    pub fn child_sas(&self) -> Vec<ChildSaSeen> {
        let (v1, v2) = self.machines();
        v2.child_sas().chain(v1.into_iter().flat_map(|v1| v1.child_sas())).collect()
    }
}
