//! What attachments carry at most.

use smallvec::SmallVec;

use super::Attachment;
use crate::id::{Port, RecordId};
use crate::net::policer::{Excess, Limit, TwoWay};
use crate::node::Cx;
use crate::packet::Packet;
use crate::reason::DropReason;

/// The limits of a gateway.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Those that hold at each port.
    at: Vec<SmallVec<[u16; 2]>>,
    all: Vec<TwoWay>,
}

impl Limits {
    /// Those of attachments, given which is behind each port, and of the sites of VPN Concentrators.
    pub fn new(attachments: &[Attachment], attached: &[u16], sites: &[(Vec<u16>, Limit)]) -> Self {
        let mut limits = Self { at: vec![SmallVec::new(); attached.len()], all: Vec::new() };
        for (attachment, number) in attachments.iter().zip(0u16..) {
            let here = (0..attached.len()).filter(|port| attached[*port] == number);
            attachment.limit.into_iter().for_each(|limit| limits.add(limit, here.clone()));
        }
        for (tunnels, limit) in sites {
            limits.add(*limit, tunnels.iter().map(|tunnel| usize::from(*tunnel)));
        }
        limits
    }

    fn add(&mut self, limit: Limit, ports: impl Iterator<Item = usize>) {
        ports.for_each(|port| self.at[port].push(self.all.len() as u16));
        self.all.push(TwoWay::new(limit));
    }

    /// A packet that comes in or goes out by a port, unless it is one too many.
    #[inline]
    pub fn admit(&mut self, cx: &mut Cx, port: Port, out: bool, packet: Packet) -> Option<Packet> {
        for limit in &self.at[port.index()] {
            let reason = match self.all[usize::from(*limit)].admit(cx.now, usize::from(out), packet.len()) {
                Ok(()) => continue,
                Err(Excess::Octets) => DropReason::AttachmentBandwidth,
                Err(Excess::Packets) => DropReason::AttachmentPacketRate,
            };
            cx.drop(&packet, reason, RecordId::GENESIS);
            return None;
        }
        Some(packet)
    }
}
