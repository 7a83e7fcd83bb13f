//! NATs and filters.

use core::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sim_core::net::filter::Rule;
use sim_core::net::nat::{Mode, NatConfig};

/// A NAT, or with nothing to translate a filter.
#[derive(Clone, Debug)]
pub struct Nat {
    /// Its inside address and the length of its subnet's prefix.
    pub inside: Ipv4Net,
    /// Its outside address: what its ICMP errors come from.
    pub outside: Ipv4Addr,
    /// Addresses that it will have later.
    pub later: Vec<Ipv4Addr>,
    /// How it translates.
    pub config: NatConfig,
    /// What it does not let pass: the first rule that fits decides.
    pub filter: Vec<Rule>,
}

/// What a NAT translates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NatMode {
    /// Addresses and ports.
    Napt,
    /// Addresses.
    OneToOne,
    /// Nothing.
    Routed,
}

impl Nat {
    /// Number of the inside end of a link, as [`super::End::interface`] has it.
    pub const INSIDE: usize = 0;
    /// Number of the outside end of a link.
    pub const OUTSIDE: usize = 1;

    /// All addresses that the outside sees or will see: its own first.
    pub fn outside_addresses(&self) -> Vec<Ipv4Addr> {
        let mut all = vec![self.outside];
        match &self.config.mode {
            Mode::Napt => all.extend(&self.config.pool),
            Mode::OneToOne(pairs) => all.extend(pairs.iter().map(|(_, outside)| outside)),
            Mode::Routed => {}
        }
        all.extend(&self.later);
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|address| seen.insert(*address));
        all
    }

    /// How the outside sees an inside address; `None` if it does not.
    pub fn shows(&self, inside: Ipv4Addr) -> Option<Ipv4Addr> {
        match &self.config.mode {
            Mode::Napt => Some(self.outside),
            Mode::OneToOne(pairs) => pairs.iter().find(|pair| pair.0 == inside).map(|pair| pair.1),
            Mode::Routed => Some(inside),
        }
    }
}
