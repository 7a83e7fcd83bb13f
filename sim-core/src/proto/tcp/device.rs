//! The network device that smoltcp sees: one packet in, any number out.

use std::collections::VecDeque;

use smoltcp::phy::{self, Checksum, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use crate::packet::{Meta, Packet};

/// A device without a wire. `rx` holds at most one packet; `tx` is drained after every poll.
pub(super) struct Device {
    pub(super) mtu: u16,
    rx: Vec<u8>,
    pub(super) tx: VecDeque<Packet>,
}

impl Device {
    pub(super) fn new(mtu: u16) -> Self {
        Self { mtu, rx: Vec::new(), tx: VecDeque::new() }
    }

    /// Lays a packet out for smoltcp to receive, and returns it to be changed before that.
    pub(super) fn deliver(&mut self, packet: &[u8]) -> &mut [u8] {
        self.rx.clear();
        self.rx.extend_from_slice(packet);
        &mut self.rx
    }
}

impl phy::Device for Device {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        (!self.rx.is_empty()).then_some((Rx(&mut self.rx), Tx(&mut self.tx)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.tx))
    }

    /// Incoming checksums were verified before smoltcp sees a packet, and the IPv4 header gets its own when it is complete.
    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ip;
        caps.max_transmission_unit = usize::from(self.mtu);
        caps.checksum.ipv4 = Checksum::None;
        caps.checksum.tcp = Checksum::Tx;
        caps
    }
}

pub(super) struct Rx<'a>(&'a mut Vec<u8>);

impl phy::RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(self.0);
        self.0.clear();
        result
    }
}

pub(super) struct Tx<'a>(&'a mut VecDeque<Packet>);

impl phy::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = Packet::zeroed(len, Meta::default());
        let result = f(packet.bytes_mut());
        self.0.push_back(packet);
        result
    }
}
