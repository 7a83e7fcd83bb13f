//! The stateful parts of the network that know no protocol above layer 4: what a link does to packets, how a router
//! chooses a way, fragments, and speaks of its troubles, and how a NAT translates.

pub mod fib;
pub mod fragment;
pub mod icmp;
mod impairments;
pub mod link;
pub mod mss;
pub mod multipath;
pub mod nat;
