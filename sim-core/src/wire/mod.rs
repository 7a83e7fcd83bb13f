//! Bytes on the wire: parse and emit, no behaviour. BGP's codec is `netgauze-bgp-pkt`, reached through [`crate::proto::bgp`].

pub mod ah;
pub mod bfd;
pub mod checksum;
mod error;
pub mod esp;
pub mod gre;
pub mod icmp;
pub mod ike;
pub mod ipv4;
pub mod lacp;
pub mod udp;

pub use error::WireError;
