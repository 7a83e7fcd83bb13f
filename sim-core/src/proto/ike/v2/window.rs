//! Message IDs, retransmission and stored responses (RFC 7296 sections 2.1 to 2.3), with a window of 1 both ways.
//!
//! Left out: SET_WINDOW_SIZE. A window of 1 is what everybody starts with and most never leave.

use std::collections::VecDeque;

use super::fragment::Outgoing;
use super::task::{Job, Task};
use crate::proto::ike::config::Retransmission;
pub(super) use crate::proto::ike::series::{Due, Series};
use crate::rng::Seldom;
use crate::time::Instant;
use crate::wire::ike::ExchangeType;

/// Both directions of an IKE_SA's exchanges.
#[derive(Clone, Hash, Debug, Default)]
pub(super) struct Window {
    /// Message ID of this end's next request.
    next_id: u32,
    /// This end's request that waits for its response.
    pub outstanding: Option<Request>,
    /// What this end wants to do next.
    pub queue: VecDeque<Job>,
    /// Message ID of the peer's next request.
    expected_id: u32,
    /// The response to the request before that one.
    stored: Option<Outgoing>,
}

/// A request under way. It is sent again bit by bit.
#[derive(Clone, Hash, Debug)]
pub(super) struct Request {
    pub id: u32,
    pub exchange: ExchangeType,
    pub message: Outgoing,
    pub task: Task,
    pub series: Series,
}

/// Where a Message ID falls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The next one.
    Next,
    /// The one before, whose response is stored.
    Repeated,
    /// Anywhere else.
    Outside,
}

impl Window {
    /// The window of a responder that has answered the IKE_SA_INIT request.
    pub fn after_init(response: Vec<u8>) -> Self {
        Self { expected_id: 1, stored: Some(Outgoing::Whole(response)), ..Self::default() }
    }

    pub fn next_id(&self) -> u32 {
        self.next_id
    }

    /// Message ID of the peer's next request.
    pub fn next_due(&self) -> u32 {
        self.expected_id
    }

    /// The request is on its way.
    pub fn sent(&mut self, request: Request) {
        self.next_id = request.id.wrapping_add(1);
        self.outstanding = Some(request);
    }

    /// Where a request of the peer falls.
    pub fn place(&self, id: u32) -> Place {
        if id == self.expected_id {
            Place::Next
        } else if self.stored.is_some() && id.wrapping_add(1) == self.expected_id {
            Place::Repeated
        } else {
            Place::Outside
        }
    }

    /// True if a response with this ID and exchange type answers the outstanding request.
    pub fn answers(&self, id: u32, exchange: ExchangeType) -> bool {
        let request = self.outstanding.as_ref();
        request.is_some_and(|r| r.id == id && r.exchange == exchange)
    }

    /// Keeps the response to the request `expected_id` in place of the one before.
    pub fn responded(&mut self, mut response: Outgoing) {
        // It may stay for hours.
        response.shrink();
        self.stored = Some(response);
        self.expected_id = self.expected_id.wrapping_add(1);
    }

    pub fn stored(&self) -> Option<&Outgoing> {
        self.stored.as_ref()
    }

    /// The stored response as one message; only that to IKE_SA_INIT is always one.
    pub fn stored_whole(&self) -> Vec<u8> {
        self.stored.clone().map(Outgoing::into_whole).unwrap_or_default()
    }

    /// Forgets all but the stored response.
    pub fn stop(&mut self) {
        self.outstanding = None;
        self.queue.clear();
    }
}

impl Request {
    pub fn new(
        id: u32,
        exchange: ExchangeType,
        message: Outgoing,
        task: Task,
        now: Instant,
        schedule: &Retransmission,
        rng: &mut Seldom,
    ) -> Self {
        Self { id, exchange, message, task, series: Series::new(now, schedule, rng) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_are_next_repeated_or_outside() {
        let mut window = Window::default();
        assert_eq!(window.place(0), Place::Next);
        assert_eq!(window.place(u32::MAX), Place::Outside, "nothing is stored");
        window.responded(Outgoing::Whole(vec![1]));
        assert_eq!(window.place(0), Place::Repeated);
        assert_eq!(window.place(1), Place::Next);
        assert_eq!(window.place(2), Place::Outside);
    }
}
