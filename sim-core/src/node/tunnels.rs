//! The tunnels of a gateway, found by interface, by outside addresses, by SPI and by what is due, so that ten thousand of them
//! cost a packet no more than two do.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::{Index, IndexMut};

use litemap::LiteMap;

use super::tunnel::Tunnel;
use crate::fetch::{fetch, fetch_first};
use crate::id::Port;
use crate::proto::esp::SaProtocol;
use crate::reason::TimerKind;
use crate::time::Instant;

/// The tunnels of a gateway, numbered from 0.
#[derive(Default)]
pub struct Tunnels {
    all: Vec<Tunnel>,
    /// By interface.
    at_port: Vec<Option<u16>>,
    /// By outside addresses: this end, other end.
    between: LiteMap<(IpAddr, IpAddr), u16>,
    /// Inbound SPIs and whose they are. Ends choose SPIs by themselves, so two tunnels may have the same.
    spis: LiteMap<(u32, u16), ()>,
    /// When something is due, at the latest.
    due: BTreeSet<(Instant, u16)>,
    /// What `due` says of each.
    armed: Vec<Option<Instant>>,
}

impl Tunnels {
    /// With these. Of those that share an interface or a pair of outside addresses the first is found.
    pub fn new(all: Vec<Tunnel>) -> Self {
        let mut tunnels = Self { armed: vec![None; all.len()], ..Self::default() };
        for (number, tunnel) in all.iter().enumerate() {
            let port = tunnel.port().index();
            if tunnels.at_port.len() <= port {
                tunnels.at_port.resize(port + 1, None);
            }
            tunnels.at_port[port].get_or_insert(number as u16);
            tunnels.between.entry(tunnel.outside()).or_insert(number as u16);
        }
        tunnels.all = all;
        tunnels
    }

    /// Fetches what a packet or a timer will touch, so many steps behind the device.
    pub(super) fn foresee(&self, depth: usize) {
        if depth == 0 {
            fetch(&self.all);
            fetch(&self.at_port);
            fetch(&self.spis);
            fetch(&self.due);
            return fetch(&self.armed);
        }
        if depth == 1 {
            fetch_first(&self.at_port);
            fetch_first(&self.armed);
            fetch_first(self.spis.as_slice());
            self.due.first().into_iter().for_each(fetch);
        }
        self.all.iter().take(2).for_each(|tunnel| tunnel.foresee(depth));
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tunnel> {
        self.all.iter()
    }

    /// Whose interface it is.
    pub fn at_port(&self, port: Port) -> Option<usize> {
        self.at_port.get(port.index()).copied().flatten().map(usize::from)
    }

    /// The tunnel between these outside addresses: this end, other end.
    pub fn between(&self, ends: (IpAddr, IpAddr)) -> Option<usize> {
        self.between.get(&ends).copied().map(usize::from)
    }

    /// The tunnel with this protocol and inbound SPI; if several have it, `expected` is preferred.
    pub fn with_spi(&self, protocol: SaProtocol, spi: u32, expected: Option<usize>) -> Option<usize> {
        let knows = |tunnel: &usize| self.all[*tunnel].knows(protocol, spi);
        let (Ok(first) | Err(first)) = self.spis.find_index(&(spi, 0));
        let of_spi = self.spis.as_slice()[first..].iter().take_while(|((of, _), ())| *of == spi);
        let mut all = of_spi.map(|((_, tunnel), ())| usize::from(*tunnel));
        expected.filter(knows).or_else(|| all.find(knows))
    }

    /// An inbound SA is there.
    pub(super) fn installed(&mut self, tunnel: usize, spi: u32) {
        self.spis.insert((spi, tunnel as u16), ());
    }

    /// An inbound SA is gone.
    pub(super) fn removed(&mut self, tunnel: usize, spi: u32) {
        self.spis.remove(&(spi, tunnel as u16));
    }

    /// A tunnel has another outside address; both ends' were these.
    pub(super) fn readdressed(&mut self, tunnel: usize, before: (IpAddr, IpAddr)) {
        if self.between(before) == Some(tunnel) {
            self.between.remove(&before);
        }
        self.between.entry(self.all[tunnel].outside()).or_insert(tunnel as u16);
    }

    /// All forget everything.
    pub(super) fn reset(&mut self) {
        self.all.iter_mut().for_each(Tunnel::reset);
        self.spis.clear();
        self.due.clear();
        self.armed.fill(None);
    }

    /// The one whose timer is due first. It may turn out that nothing is due.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let (at, tunnel) = self.due.first()?;
        let kind = self.all[usize::from(*tunnel)].wake().map(|(_, kind)| kind)?;
        Some((*at, kind))
    }

    /// All that want to be told the time, in order.
    pub(super) fn due(&self, now: Instant) -> Vec<usize> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        let mut due: Vec<usize> = due.map(|(_, tunnel)| usize::from(*tunnel)).collect();
        due.sort_unstable();
        due
    }

    /// Notes when a tunnel wants to be told the time, after anything was done to it.
    pub(super) fn rearm(&mut self, tunnel: usize) {
        let due = self.all[tunnel].wake().map(|(at, _)| at);
        if due != self.armed[tunnel] {
            self.arm(tunnel, due);
        }
    }

    /// The same after a packet passed, for which putting a timer off can wait until it is due.
    pub(super) fn hasten(&mut self, tunnel: usize) {
        let due = self.all[tunnel].wake().map(|(at, _)| at);
        if due.is_some_and(|due| self.armed[tunnel].is_none_or(|armed| due < armed)) {
            self.arm(tunnel, due);
        }
    }

    fn arm(&mut self, tunnel: usize, due: Option<Instant>) {
        let number = tunnel as u16;
        if let Some(before) = std::mem::replace(&mut self.armed[tunnel], due) {
            self.due.remove(&(before, number));
        }
        if let Some(due) = due {
            self.due.insert((due, number));
        }
    }
}

impl Index<usize> for Tunnels {
    type Output = Tunnel;

    fn index(&self, tunnel: usize) -> &Tunnel {
        &self.all[tunnel]
    }
}

impl IndexMut<usize> for Tunnels {
    fn index_mut(&mut self, tunnel: usize) -> &mut Tunnel {
        &mut self.all[tunnel]
    }
}
