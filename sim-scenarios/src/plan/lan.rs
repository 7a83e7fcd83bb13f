//! LANs: switches, and virtual routers.

use core::net::Ipv4Addr;

use sim_core::time::Duration;

/// A switch.
#[derive(Clone, Debug)]
pub struct Switch {
    /// Its ports.
    pub ports: Vec<SwitchPort>,
    /// For how long it remembers a station that it does not hear.
    pub aging: Duration,
}

/// A port of a switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SwitchPort {
    /// Its name, unique on the switch.
    pub name: String,
    /// The VLAN of frames without a tag.
    pub untagged: Option<u16>,
    /// The VLANs of frames with a tag.
    pub tagged: Vec<u16>,
}

/// A part in a virtual router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualRouter {
    /// Its name, unique at the interface.
    pub name: String,
    /// Virtual Router Identifier.
    pub vrid: u8,
    /// Its address.
    pub address: Ipv4Addr,
    /// 255 for the owner of the address.
    pub priority: u8,
    /// Preempt_Mode.
    pub preempt: bool,
    /// Advertisement_Interval in centiseconds.
    pub interval: u16,
    /// Accept_Mode.
    pub accept: bool,
    /// What takes how much off its priority while it is down (index into [`super::Forwarding::tracks`]).
    pub tracks: Vec<(usize, u8)>,
}
