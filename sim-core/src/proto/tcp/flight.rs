//! What is in flight: which segments were sent when, how long a round trip takes, when the next retransmission is due.
//!
//! RFC 6298, with Linux's two departures: the variance term, not the sum, has a floor (200 ms, `tcp_rto_min`), and the first expiry
//! of a lone segment is a tail loss probe, after which the timer starts anew without backing off (RFC 8985 section 7).

use std::collections::VecDeque;

use smoltcp::wire::TcpSeqNumber;

use crate::time::{Duration, Instant};

/// RTO before the first round-trip sample (RFC 6298 section 2.1).
const INITIAL_RTO: Duration = Duration::from_secs(1);
/// Upper bound of the RTO (RFC 6298 section 2.5) on Linux (`TCP_RTO_MAX`).
pub(super) const MAX_RTO: Duration = Duration::from_secs(120);
/// Lower bound of the variance term on Linux (`tcp_rto_min`).
const LINUX_RTO_MIN: Duration = Duration::from_millis(200);

struct Sent {
    end: TcpSeqNumber,
    at: Instant,
    again: bool,
}

/// The unacknowledged segments of one connection and the clock that watches them.
#[derive(Default)]
pub(super) struct Flight {
    sent: VecDeque<Sent>,
    srtt: Option<Duration>,
    rttvar: Duration,
    backoff: u32,
    probed: bool,
    expiry: Option<Instant>,
}

impl Flight {
    /// A segment that ends before `end` was sent for the first time.
    pub(super) fn sent(&mut self, now: Instant, end: TcpSeqNumber) {
        self.sent.push_back(Sent { end, at: now, again: false });
        if self.expiry.is_none() {
            self.expiry = Some(now + self.rto());
        }
    }

    /// Octets up to `end` were sent again: their ACKs are no round-trip samples (Karn's rule, RFC 6298 section 3).
    pub(super) fn sent_again(&mut self, end: TcpSeqNumber) {
        for s in &mut self.sent {
            s.again |= s.end <= end;
        }
    }

    /// The timer expired and a segment was sent again. Returns true if that was only a tail loss probe.
    pub(super) fn expired(&mut self, now: Instant) -> bool {
        // A sample exists from the handshake on: a SYN is never a probe.
        let probe = !self.probed && self.backoff == 0 && self.sent.len() == 1 && self.srtt.is_some();
        self.probed = true;
        if !probe {
            self.backoff += 1;
        }
        self.expiry = Some(now + self.rto());
        probe
    }

    /// Everything before `una` is acknowledged.
    pub(super) fn acked(&mut self, now: Instant, una: TcpSeqNumber) {
        let mut oldest = None;
        let mut again = false;
        while let Some(s) = self.sent.pop_front_if(|s| s.end <= una) {
            oldest.get_or_insert(s.at);
            again |= s.again;
        }
        let Some(oldest) = oldest else { return };
        if !again {
            self.sample(now.since(oldest));
        }
        self.backoff = 0;
        self.probed = false;
        self.expiry = (!self.sent.is_empty()).then(|| now + self.rto());
    }

    /// When the retransmission timer expires, if anything is in flight.
    pub(super) fn expiry(&self) -> Option<Instant> {
        self.expiry
    }

    /// Starts the timer anew: nothing could be sent when it expired.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.expiry = (!self.sent.is_empty()).then(|| now + self.rto());
    }

    /// When the oldest unacknowledged segment was first sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.sent.front().map(|s| s.at)
    }

    fn rto(&self) -> Duration {
        let base = match self.srtt {
            None => INITIAL_RTO,
            Some(srtt) => srtt + (self.rttvar * 4).max(LINUX_RTO_MIN),
        };
        (base * (1 << self.backoff.min(16))).min(MAX_RTO)
    }

    /// RFC 6298 sections 2.2 and 2.3.
    fn sample(&mut self, rtt: Duration) {
        let Some(srtt) = self.srtt else {
            self.srtt = Some(rtt);
            self.rttvar = micros(rtt / 2);
            return;
        };
        let error = rtt.saturating_sub(srtt).max(srtt.saturating_sub(rtt));
        self.rttvar = micros((self.rttvar * 3 + error) / 4);
        self.srtt = Some(micros((srtt * 7 + rtt) / 8));
    }
}

/// Rounds down to what smoltcp can tell apart.
fn micros(d: Duration) -> Duration {
    Duration::from_micros(d.as_nanos() / 1_000)
}
