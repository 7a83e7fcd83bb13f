//! Bytes on the wire: parse and emit, no behaviour. BGP's codec is `netgauze-bgp-pkt`, reached through [`crate::proto::bgp`].

pub mod ah;
pub mod arp;
pub mod bfd;
pub mod checksum;
pub mod dns;
mod error;
pub mod esp;
pub mod ethernet;
pub mod gre;
pub mod icmp;
pub mod icmpv6;
pub mod ike;
pub mod ipv4;
pub mod ipv6;
pub mod lacp;
pub mod udp;
pub mod vrrp;

pub use error::WireError;
