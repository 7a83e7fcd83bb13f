//! LANs: switches, and virtual routers.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{Address, Count, Flag, Name, Span};
use crate::place::{At, Named};

/// A switch. What is linked to it speaks Ethernet there, and ARP: hosts, customer gateways, BGP routers and other switches.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// Its ports; a link's end is then "SWITCH.PORT".
    pub ports: Named<SwitchPort>,
    /// For how long it remembers where a station is that it does not hear; 300s if not given (IEEE 802.1Q-2022 table 8-6).
    pub aging: Option<At<Span>>,
}

/// A port of a switch.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct SwitchPort {
    /// The VLAN of frames without a tag: 1 if not given, or none if `tagged` is.
    pub vlan: Option<At<Count>>,
    /// The VLANs of frames with a tag.
    #[serde(default)]
    pub tagged: Vec<At<Count>>,
}

/// A part in a virtual router (VRRP version 3, RFC 5798).
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct VirtualRouter {
    /// Virtual Router Identifier, 1 to 255: the same at all routers that take part.
    pub vrid: At<Count>,
    /// Its address, which hosts have as their gateway. Who has it as the interface's own is its owner.
    pub address: At<Address>,
    /// 1 to 254; 100 if not given, as RFC 5798. An owner's is 255.
    pub priority: Option<At<Count>>,
    /// Whether a router takes over from a master of lower priority; true if not given, as RFC 5798.
    pub preempt: Option<At<Flag>>,
    /// Time between two advertisements, whole centiseconds up to 40.95s; 1s if not given, as RFC 5798.
    pub advertisement_interval: Option<At<Span>>,
    /// Whether a master that is not the owner takes what is sent to the address itself; false if not given, as RFC 5798.
    pub accept: Option<At<Flag>>,
    /// What takes something off its priority while it is down.
    #[serde(default)]
    pub tracks: Vec<TrackedPriority>,
}

/// What a priority depends on.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TrackedPriority {
    /// One of the device's `tracks`. As long as nobody knows, it counts as up.
    pub track: At<Name>,
    /// How much.
    pub decrement: At<Count>,
}

/// An operator stops the virtual routers of an interface; a master says so with priority 0.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct StoppedVrrp {
    /// "NODE.INTERFACE".
    pub interface: At<Name>,
}

/// An operator takes a VLAN out of a switch.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct RemovedVlan {
    /// The switch.
    pub switch: At<Name>,
    /// The VLAN.
    pub vlan: At<Count>,
}
