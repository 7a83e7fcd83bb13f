//! Control messages counted as they enter their first link.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sim_core::id::{LinkId, PacketId, SessionId};
use sim_core::packet::Packet;
use sim_core::time::Instant;
use sim_core::trace::{Sink, Way};

/// Packets and their octets.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Sent {
    pub packets: u64,
    pub octets: u64,
}

/// What each session's end has sent. A clone counts into the same.
#[derive(Clone, Default)]
pub(crate) struct Traffic(Rc<RefCell<Counted>>);

#[derive(Default)]
struct Counted {
    seen: BTreeSet<PacketId>,
    by_session: BTreeMap<SessionId, Sent>,
}

impl Traffic {
    /// What the session ends of which this is true have sent together.
    pub fn of(&self, which: impl Fn(SessionId) -> bool) -> Sent {
        let counted = self.0.borrow();
        let sent = counted.by_session.iter().filter(|(session, _)| which(**session)).map(|(_, sent)| sent);
        sent.fold(Sent::default(), |sum, sent| Sent {
            packets: sum.packets + sent.packets,
            octets: sum.octets + sent.octets,
        })
    }
}

impl Sink for Traffic {
    fn wire(&mut self, _at: Instant, _link: LinkId, _way: Way, packet: &Packet) {
        let Some(session) = packet.meta.session else { return };
        let mut counted = self.0.borrow_mut();
        if counted.seen.insert(packet.meta.id) {
            let sent = counted.by_session.entry(session).or_default();
            sent.packets += 1;
            sent.octets += packet.len() as u64;
        }
    }
}
