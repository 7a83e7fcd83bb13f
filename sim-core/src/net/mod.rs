//! The parts of the network that know no protocol above layer 4: what a link does to packets, how a router chooses a way,
//! fragments, and speaks of its troubles, what a filter lets pass, how a NAT translates, which flows have begun ([`conntrack`]) and
//! what a firewall makes of that, which ways flows took ([`census`]) and
//! what a flow log would say of them ([`flow_meter`]), and how AWS's routers choose ([`aws`]).

pub mod acl;
pub mod aws;
pub mod census;
pub mod conntrack;
pub mod fib;
pub mod filter;
pub mod firewall;
pub mod flow_meter;
pub mod fragment;
pub mod fragment_v6;
pub mod icmp;
pub mod icmpv6;
mod impairments;
pub mod link;
pub mod mss;
pub mod multipath;
pub mod nat;
pub mod policer;
pub mod reset;
