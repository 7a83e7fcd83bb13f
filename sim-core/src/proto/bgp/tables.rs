//! What a speaker knows of each address family: its tables, and what each peer said and was told.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{Ipv4Net, Ipv6Net};

use super::adj_in::Heard;
use super::adj_out::{AdjRibOut, Pending};
use super::config::{InteriorCosts, Originated};
use super::family::Family;
use super::pool::Pool;
use super::rib::{Best, Rib};

/// The tables of both families. A speaker without IPv6 has none of it.
#[derive(Clone)]
pub(super) struct Both {
    pub ipv4: Tables<Ipv4Net>,
    pub ipv6: Option<Box<Tables<Ipv6Net>>>,
}

impl Both {
    /// A restarted speaker has not decided yet, in one family at least.
    pub fn any_deferring(&self) -> bool {
        self.ipv4.deferring || self.ipv6.as_ref().is_some_and(|tables| tables.deferring)
    }

    /// The same in every family.
    pub fn all_deferring(&self) -> bool {
        self.ipv4.deferring && self.ipv6.as_ref().is_none_or(|tables| tables.deferring)
    }
}

/// What a speaker forwarded by when it restarted: the best routes of then, which nobody has told to go.
pub(super) type Preserved<F> = BTreeMap<F, Best<F>>;

/// One family.
#[derive(Clone)]
pub(super) struct Tables<F: Family> {
    pub rib: Rib<F>,
    pub pool: Pool<F>,
    /// What changed in Loc-RIB and no peer was told yet.
    pub changed: Pending<F>,
    /// By [`super::PeerId`].
    pub peers: Vec<PeerTables<F>>,
    pub interior: InteriorCosts<F>,
    /// What we originate from the first start on.
    pub networks: Vec<(F, Originated)>,
    /// Changes of our own routes that MinASOriginationIntervalTimer holds back.
    pub withheld: Vec<(F, Option<Originated>)>,
    /// The speaker has restarted, and has not decided yet.
    pub deferring: bool,
    pub preserved: Option<Preserved<F>>,
}

impl<F: Family> Tables<F> {
    /// Empty ones for so many peers.
    pub fn new(peers: usize) -> Self {
        Self {
            rib: Rib::default(),
            pool: Pool::default(),
            changed: Pending::default(),
            peers: vec![PeerTables::default(); peers],
            interior: InteriorCosts::default(),
            networks: Vec::new(),
            withheld: Vec::new(),
            deferring: false,
            preserved: None,
        }
    }

    /// The best routes.
    pub fn best(&self) -> Preserved<F> {
        self.rib.loc().iter().map(|(prefix, entry)| (prefix, entry.best())).collect()
    }

    /// True if the speaker has forwarded without a break: it has not restarted, or has kept its forwarding table.
    pub fn has_forwarded(&self) -> bool {
        !self.deferring || self.preserved.is_some()
    }
}

/// What one peer said and was told.
#[derive(Clone)]
pub(super) struct PeerTables<F: Family> {
    pub heard: Heard<F>,
    pub adj_out: AdjRibOut<F>,
    /// What of its routes the peer has not said again since its session ended (RFC 4724) or since it began to send its table
    /// again (RFC 7313).
    pub stale: BTreeSet<F>,
    /// The peer has sent the whole of its table in this session.
    pub has_sent_all: bool,
    /// The operator was warned about the number of prefixes in this session.
    pub warned: bool,
}

impl<F: Family> Default for PeerTables<F> {
    fn default() -> Self {
        Self {
            heard: Heard::default(),
            adj_out: AdjRibOut::default(),
            stale: BTreeSet::new(),
            has_sent_all: false,
            warned: false,
        }
    }
}
