//! What is said without protection: nobody knows who said it, so it is a hint and no more (RFC 7296 section 2.21.4).
//!
//! | from | what | when |
//! |---|---|---|
//! | this end | N(INVALID_IKE_SPI), N(INVALID_MAJOR_VERSION) | in answer to a request that belongs to no IKE_SA |
//! | the peer | N(INVALID_IKE_SPI) | in answer to a request of this end: it may have lost its state |
//! | the peer | N(INVALID_SPI) of an SA of this end | in a message of its own that has no answer (section 1.5) |
//!
//! A hint makes this end ask the peer whether it lives, if it is not asking already. What follows from silence is as without it.
//!
//! Left out: to send N(INVALID_SPI) without an IKE_SA, which section 1.5 leaves open and strongSwan does not do.

use super::env::Env;
use super::sa::{self, Sa};
use super::task::Job;
use super::transition::SaState;
use super::{HINT_INTERVAL, Peer, STRAY_INTERVAL, init};
use crate::proto::ike::Datagram;
use crate::proto::ike::config::DpdAction;
use crate::reason::{DropReason, Reason};
use crate::wire::ike::{ExchangeType, Header, Message, NotifyType, Payload, PayloadType};

/// True if a message outside of IKE_SA_INIT is not protected.
pub(super) fn is_unprotected(header: &Header) -> bool {
    header.exchange != ExchangeType::IkeSaInit
        && !matches!(header.next_payload, PayloadType::Encrypted | PayloadType::EncryptedFragment)
}

impl Peer {
    /// Answers a request outside of any IKE_SA, without protection.
    pub(super) fn stray(&mut self, header: &Header, datagram: &Datagram, kind: NotifyType) {
        let now = self.env.now;
        if self.answered.is_some_and(|at| now.since(at) < STRAY_INTERVAL) {
            return;
        }
        self.answered = Some(now);
        let path = sa::Path::new(datagram.local.1, datagram.remote);
        init::refuse(&mut self.env, &init::stray_header(header), &path, kind, &[]);
    }

    /// Reads an unprotected message that is no part of IKE_SA_INIT. It has no answer.
    pub(super) fn unprotected(&mut self, header: &Header, datagram: &Datagram) {
        let message = Message::parse(&datagram.bytes).ok();
        let notify = message.as_ref().and_then(|message| match message.payloads[..] {
            [Payload::Notify(notify)] => Some((notify.kind, notify.data)),
            _ => None,
        });
        let sa = match notify {
            Some((NotifyType::InvalidIkeSpi, _)) if header.flags.response => self.sas.iter().position(|sa| {
                (sa.ids.spi_i, sa.ids.spi_r) == (header.spi_i, header.spi_r)
                    && sa.window.answers(header.message_id, header.exchange)
            }),
            Some((NotifyType::InvalidSpi, data)) if !header.flags.response => {
                let spi = data.try_into().ok().map(u32::from_be_bytes);
                let sends =
                    |sa: &Sa| sa.established().is_some_and(|e| e.children.iter().any(|c| Some(c.spi_out) == spi));
                self.sas.iter().position(sends)
            }
            Some(_) | None => None,
        };
        let Some(i) = sa else {
            return self.env.ignored(DropReason::UnexpectedMessage);
        };
        self.env.received(header.exchange, header.message_id, header.flags.response, Some(Reason::InvalidSpi));
        self.look_after(i);
    }

    /// Asks the peer whether it lives, unless it is asked already.
    fn look_after(&mut self, i: usize) {
        let now = self.env.now;
        let recently = self.hinted.is_some_and(|at| now.since(at) < HINT_INTERVAL);
        let (env, sa): (&mut Env, &mut Sa) = (&mut self.env, &mut self.sas[i]);
        let idle = sa.window.outstanding.is_none() && sa.window.queue.is_empty();
        if !recently && idle && sa.state() == SaState::Established && env.config.dpd.action != DpdAction::None {
            self.hinted = Some(now);
            sa.window.queue.push_back(Job::Liveness);
            sa.pump(env);
            self.settle();
        }
    }
}
