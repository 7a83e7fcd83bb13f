//! What has passed a place so far, for those who read it now and then: a packet costs two additions.

/// Packets, and their octets at the place that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// How many.
    pub packets: u64,
    /// The octets of their IP packets.
    pub octets: u64,
}

impl Count {
    #[inline]
    pub(super) fn add(&mut self, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
    }
}

/// What went through an end of a tunnel, dummy packets left out. It outlives a loss of power: who reads it reads differences.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Received, counted after decryption.
    pub received: Count,
    /// Sent, counted before encryption.
    pub sent: Count,
}

/// What went through an attachment of a transit gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AttachmentTraffic {
    /// From the attachment into the gateway.
    pub received: Count,
    /// From the gateway into the attachment.
    pub sent: Count,
    /// Received and dropped, because the route is a blackhole.
    pub blackhole: Count,
    /// Received and dropped, because there is no route.
    pub no_route: Count,
}
