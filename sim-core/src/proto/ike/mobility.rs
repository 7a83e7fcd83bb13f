//! What an end that announces MOBIKE (RFC 4555) knows of both ends' addresses. [`super::v2`] does what follows from it.

use core::net::IpAddr;

/// Between which addresses and ports a datagram went, as this end sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Ends {
    pub local: (IpAddr, u16),
    pub remote: (IpAddr, u16),
}

/// The addresses of a tunnel that may change.
#[derive(Clone, Hash, Debug)]
pub(super) struct Mobility {
    /// All addresses of this end, preferred first.
    pub local: Vec<IpAddr>,
    /// Addresses of the peer besides the one in use, as it told last (RFC 4555 sections 3.4 and 3.6).
    pub remote: Vec<IpAddr>,
    /// Where the request came from that is being answered, and where it went: there its response goes.
    pub reply: Option<Ends>,
    /// From which address the next datagrams go, if not from the one in use.
    pub from: Option<IpAddr>,
    /// How the peer saw this end last: the hash in its NAT_DETECTION_DESTINATION_IP (section 3.8).
    pub seen: Option<[u8; 20]>,
    /// True while ESP still goes to another address of the peer than IKE, which must return a COOKIE2 first (section 3.7).
    pub unchecked: bool,
    /// How many other pairs of addresses were tried since one worked.
    pub tried: usize,
    /// Updates in a row that the peer refused.
    pub refused: u8,
}

impl Mobility {
    /// An end at `local` with these further addresses.
    pub fn new(local: IpAddr, additional: &[IpAddr]) -> Self {
        let local = core::iter::once(local).chain(additional.iter().copied()).collect();
        Self::of(local)
    }

    fn of(local: Vec<IpAddr>) -> Self {
        let (reply, from, seen) = (None, None, None);
        Self { local, remote: Vec::new(), reply, from, seen, unchecked: false, tried: 0, refused: 0 }
    }

    /// Forgets all but the addresses of this end.
    pub fn forget(&mut self) {
        *self = Self::of(core::mem::take(&mut self.local));
    }

    /// The addresses of this end besides that one.
    pub fn additional(&self, in_use: IpAddr) -> impl Iterator<Item = IpAddr> {
        self.local.iter().copied().filter(move |address| *address != in_use)
    }

    /// The next pair of addresses, of this end and of the peer, that is not the one in use.
    pub fn next_pair(&mut self, in_use: (IpAddr, IpAddr)) -> Option<(IpAddr, IpAddr)> {
        let remotes = || core::iter::once(in_use.1).chain(self.remote.iter().copied().filter(|r| *r != in_use.1));
        let pairs = self.local.iter().flat_map(|local| remotes().map(|remote| (*local, remote)));
        let others: Vec<_> = pairs.filter(|(l, r)| (*l, *r) != in_use && l.is_ipv4() == r.is_ipv4()).collect();
        let pair = others.get(self.tried % others.len().max(1)).copied();
        self.tried = self.tried.wrapping_add(1);
        pair
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two addresses at each end make four pairs, of which one is in use; IPv4 does not reach IPv6.
    #[test]
    fn every_other_pair_has_its_turn() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let [a, b, c, d] = ["192.0.2.1", "192.0.2.2", "198.51.100.1", "198.51.100.2"].map(at);
        let mut mobility = Mobility::new(a, &[b]);
        mobility.remote = vec![d, at("2001:db8::1")];
        let turns: Vec<_> = (0..4).filter_map(|_| mobility.next_pair((a, c))).collect();
        assert_eq!(turns, [(a, d), (b, c), (b, d), (a, d)]);
        assert_eq!(mobility.additional(a).collect::<Vec<_>>(), [b]);
        assert_eq!(Mobility::new(a, &[]).next_pair((a, c)), None);
    }
}
