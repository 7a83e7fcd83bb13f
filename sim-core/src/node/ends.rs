//! What a gateway of AWS knows of the endpoints of its tunnels: whether they are healthy, and what they have learned.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use smallvec::SmallVec;

use crate::id::RecordId;
use crate::net::aws::BgpPath;
use crate::reason::{Reason, TimerKind};
use crate::time::{Duration, Instant};

/// One endpoint, as the gateway sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    /// Whether the gateway may use it.
    pub healthy: bool,
    /// What it says of itself.
    sound: bool,
    /// Out of use, whatever it says of itself.
    drained: bool,
    /// When it will be held unhealthy, and what began that.
    doubt: Option<(Instant, RecordId)>,
    /// What it has learned.
    pub routes: BTreeMap<Ipv4Net, BgpPath>,
    /// The same of IPv6.
    pub ipv6_routes: BTreeMap<Ipv6Net, BgpPath>,
}

impl End {
    /// What it has learned of a prefix.
    pub fn path(&self, prefix: IpNet) -> Option<&BgpPath> {
        match prefix {
            IpNet::V4(prefix) => self.routes.get(&prefix),
            IpNet::V6(prefix) => self.ipv6_routes.get(&prefix),
        }
    }

    /// The prefixes of which it has learned.
    pub fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        let ipv4 = self.routes.keys().map(|prefix| IpNet::V4(*prefix));
        ipv4.chain(self.ipv6_routes.keys().map(|prefix| IpNet::V6(*prefix)))
    }

    fn settle(&mut self) -> bool {
        let healthy = self.sound && !self.drained;
        core::mem::replace(&mut self.healthy, healthy) != healthy
    }
}

/// The endpoints of all tunnels, by the tunnel's number.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    all: Vec<End>,
    /// Which of them have learned of a prefix, in their order: with thousands nobody asks each of them about each prefix.
    by_prefix: BTreeMap<IpNet, SmallVec<[u16; 4]>>,
    /// When those will be held unhealthy that are in doubt.
    doubts: BTreeSet<(Instant, u16)>,
    /// From the death of an endpoint's hardware to the gateway holding it unhealthy.
    pub health_delay: Duration,
}

impl Ends {
    /// So many, of which nothing is known.
    pub fn new(number: usize, health_delay: Duration) -> Self {
        let (by_prefix, doubts) = Default::default();
        Self { all: vec![End::default(); number], by_prefix, doubts, health_delay }
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &End> {
        self.all.iter()
    }

    pub fn of(&self, tunnel: u16) -> &End {
        &self.all[usize::from(tunnel)]
    }

    /// Nothing is known any more.
    pub fn reset(&mut self) {
        self.all.fill(End::default());
        self.by_prefix.clear();
        self.doubts.clear();
    }

    /// An endpoint has another route to a prefix, or none.
    pub fn learn(&mut self, tunnel: u16, prefix: impl Into<IpNet>, path: Option<BgpPath>) -> Reason {
        fn enter<P: Ord>(routes: &mut BTreeMap<P, BgpPath>, prefix: P, path: Option<BgpPath>) -> Reason {
            match path {
                Some(path) => {
                    routes.insert(prefix, path);
                    Reason::Learned
                }
                None => {
                    routes.remove(&prefix);
                    Reason::Withdrawn
                }
            }
        }
        let prefix = prefix.into();
        self.index(tunnel, prefix, path.is_some());
        let end = &mut self.all[usize::from(tunnel)];
        match prefix {
            IpNet::V4(prefix) => enter(&mut end.routes, prefix, path),
            IpNet::V6(prefix) => enter(&mut end.ipv6_routes, prefix, path),
        }
    }

    /// The endpoints that have learned of a prefix, in their order.
    pub fn that_know(&self, prefix: IpNet) -> &[u16] {
        self.by_prefix.get(&prefix).map_or(&[], |ends| ends)
    }

    fn index(&mut self, tunnel: u16, prefix: IpNet, knows: bool) {
        let ends = self.by_prefix.entry(prefix).or_default();
        match (ends.binary_search(&tunnel), knows) {
            (Err(place), true) => ends.insert(place, tunnel),
            (Ok(place), false) => drop(ends.remove(place)),
            (Ok(_), true) | (Err(_), false) => {}
        }
        if ends.is_empty() {
            self.by_prefix.remove(&prefix);
        }
    }

    /// An endpoint is healthy, or not; whether that is news.
    pub fn judge(&mut self, tunnel: u16, healthy: bool) -> bool {
        let end = &mut self.all[usize::from(tunnel)];
        if let Some((due, _)) = end.doubt.take() {
            self.doubts.remove(&(due, tunnel));
        }
        end.sound = healthy;
        end.settle()
    }

    /// An endpoint is taken out of use, or may be used again; whether that changes anything.
    pub fn drain(&mut self, tunnel: u16, drained: bool) -> bool {
        let end = &mut self.all[usize::from(tunnel)];
        end.drained = drained;
        end.settle()
    }

    /// An endpoint's hardware is gone because of that record, which takes time to be noticed.
    pub fn doubt(&mut self, tunnel: u16, now: Instant, cause: RecordId) {
        let due = now + self.health_delay;
        if let Some((before, _)) = self.all[usize::from(tunnel)].doubt.replace((due, cause)) {
            self.doubts.remove(&(before, tunnel));
        }
        self.doubts.insert((due, tunnel));
    }

    /// An endpoint that comes back knows nothing.
    pub fn forget(&mut self, tunnel: u16) {
        let known: Vec<IpNet> = self.of(tunnel).prefixes().collect();
        known.into_iter().for_each(|prefix| self.index(tunnel, prefix, false));
        self.all[usize::from(tunnel)].routes.clear();
        self.all[usize::from(tunnel)].ipv6_routes.clear();
    }

    /// The first endpoint that is to be held unhealthy by now, and what began that.
    pub fn overdue(&self, now: Instant) -> Option<(u16, RecordId)> {
        let (_, tunnel) = *self.doubts.first().filter(|(due, _)| *due <= now)?;
        Some((tunnel, self.of(tunnel).doubt?.1))
    }

    /// When the next one is.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.doubts.first().map(|(due, _)| (*due, TimerKind::EndpointHealth))
    }
}
