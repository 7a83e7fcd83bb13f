//! What is said without protection once there are SAs: nobody knows who said it, so it is a hint and no more.
//!
//! | from | what | when |
//! |---|---|---|
//! | this end | N(INVALID-COOKIE), in clear | if it is configured to, in answer to a message of an ISAKMP SA that it does not have |
//! | the peer | N(INVALID-COOKIE) of an ISAKMP SA of this end | it may have lost its state |
//!
//! RFC 2408 section 5.2 leaves it open whether INVALID-COOKIE is sent: OpenBSD's isakmpd sends it. strongSwan believes nothing that
//! comes in clear. Here a hint makes this end ask the peer at once whether it lives (RFC 3706),
//! as it does after a time of silence; what follows from silence is as without it.
//!
//! A clear Informational is never answered, so that two ends do not complain of each other's complaints.

use super::sa::Cookies;
use super::transition::SaState;
use super::{COMPLAINT_INTERVAL, HINT_INTERVAL, Peer, informational};
use crate::proto::ike::Datagram;
use crate::proto::ike::config::DpdAction;
use crate::proto::ike::path::Path;
use crate::reason::{DropReason, Reason, Step};
use crate::wire::ike::v1::{ExchangeType, Header, Message, NotifyType, Payload};

impl Peer {
    /// A message that belongs to no ISAKMP SA and begins none.
    pub(super) fn stray(&mut self, header: &Header, datagram: &Datagram) {
        self.env.ignored(DropReason::UnknownSpi);
        let complaint = header.exchange == ExchangeType::Informational && !header.flags.encryption;
        if complaint || !self.env.config.invalid_cookie || self.env.now < self.quiet_until {
            return;
        }
        self.quiet_until = self.env.now + COMPLAINT_INTERVAL;
        let cookies = Cookies { initiator: false, i: header.cookie_i, r: header.cookie_r };
        let path = Path::new(datagram.local.1, datagram.remote);
        informational::refuse(&mut self.env, cookies, &path, NotifyType::InvalidCookie);
    }

    /// The place of the established ISAKMP SA that a clear INVALID-COOKIE is about: the notification names it by both cookies.
    pub(super) fn hinted(&self, header: &Header, bytes: &[u8]) -> Option<usize> {
        if header.exchange != ExchangeType::Informational || header.flags.encryption {
            return None;
        }
        let message = Message::parse(bytes).ok()?;
        let [Payload::Notify(notify)] = message.payloads[..] else {
            return None;
        };
        let about = |cookies: Cookies| notify.kind == NotifyType::InvalidCookie && notify.spi == cookies.octets();
        self.sas.iter().position(|sa| sa.established().is_some() && about(sa.cookies))
    }

    /// Asks the peer whether it lives, unless it is asked already.
    pub(super) fn look_after(&mut self, i: usize, header: &Header) {
        let (now, env, sa) = (self.env.now, &mut self.env, &self.sas[i]);
        env.step(Step::IsakmpInformationalReceived, header.message_id, false, Some(Reason::InvalidSpi));
        let asked =
            sa.established().is_none_or(|e| e.probe.is_some_and(|probe| env.last_inbound <= probe.series.first_sent));
        let may_ask = env.config.dpd.action != DpdAction::None && sa.peer.dpd && sa.state() == SaState::Established;
        if may_ask && !asked && now >= self.deaf_until {
            self.deaf_until = now + HINT_INTERVAL;
            self.probe(i);
        }
    }
}
