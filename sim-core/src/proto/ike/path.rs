//! Between which addresses and ports an IKE_SA speaks.

use core::net::IpAddr;

use super::{Encapsulation, NAT_PORT};

/// Where an IKE_SA's messages go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Path {
    pub local_port: u16,
    pub remote: (IpAddr, u16),
    /// This end is behind a NAT (or says so).
    pub local_nat: bool,
    /// The peer is behind a NAT (or says so).
    pub remote_nat: bool,
}

impl Path {
    /// The path of a new SA, before anything is known of NATs.
    pub fn new(local_port: u16, remote: (IpAddr, u16)) -> Self {
        Self { local_port, remote, local_nat: false, remote_nat: false }
    }

    /// True if there is a NAT, or one end says so.
    pub fn has_nat(&self) -> bool {
        self.local_nat || self.remote_nat
    }

    /// Once a NAT is known, port 4500 is used: from IKE_AUTH (RFC 7296 section 2.23), or from the fifth message of Main Mode on
    /// (RFC 3947 section 4).
    pub fn float(&mut self) {
        self.local_port = NAT_PORT;
        self.remote.1 = NAT_PORT;
    }

    /// Something authentic came from there: a peer behind a NAT is followed, unless this end is behind one, too
    /// (RFC 7296 section 2.23). Answers whether it had moved.
    pub fn follow(&mut self, remote: (IpAddr, u16)) -> bool {
        let moved = self.remote_nat && !self.local_nat && self.remote != remote;
        if moved {
            self.remote = remote;
        }
        moved
    }

    /// Octets of IP header, UDP header and non-ESP marker (RFC 3948 section 2.2) in front of an IKE message.
    pub fn overhead(&self) -> usize {
        let ip = if self.remote.0.is_ipv4() { 20 } else { 40 };
        let marker = if self.local_port == NAT_PORT { 4 } else { 0 };
        ip + 8 + marker
    }

    /// How ESP of this SA travels.
    pub fn encapsulation(&self) -> Option<Encapsulation> {
        self.has_nat().then_some(Encapsulation {
            local_port: self.local_port,
            remote: self.remote,
            behind_nat: self.local_nat,
        })
    }
}
