//! What arrives on a connection: octets, messages, and the event that each message is (RFC 4271 section 8.1.5).

use ipnet::{Ipv4Net, Ipv6Net};

use super::config::PeerId;
use super::family::{Afi, Spoken};
use super::faults::Approach;
use super::fsm::{Event, FsmState};
use super::message::{self, HEADER, MessageType, Refresh};
use super::notification::Notification;
use super::open::{Capabilities, Expected, Open};
use super::peer::{ConnId, Session, Slot};
use super::session::Cause;
use super::update::{Said, Update};
use super::{Output, Speaker};
use crate::reason::{Reason, Step};
use crate::time::Instant;

impl Speaker {
    /// Takes octets of a connection and every whole message among them.
    pub(super) fn received(&mut self, now: Instant, conn: ConnId, bytes: &[u8]) {
        let holder = self.conns.get(&conn).copied();
        let Some((id, slot)) = holder.and_then(|id| Some((id, self.peers[id.index()].slot_of(conn)?))) else {
            return;
        };
        let held = self.peers[id.index()].fsm_mut(slot).and_then(|fsm| fsm.conn.as_mut());
        let Some(held) = held else { return };
        let mut framer = core::mem::take(&mut held.framer);
        framer.push(bytes);
        // A message may close the connection or move it to the other slot, so it is looked up for each.
        while let Some(slot) = self.peers[id.index()].slot_of(conn) {
            match framer.next() {
                Some(Ok(frame)) => self.message(now, id, slot, conn, frame.kind, frame.body),
                Some(Err(error)) => {
                    let cause = Cause::notification(error);
                    self.raise(now, id, slot, Event::HeaderError, cause);
                }
                None => {
                    let fsm = self.peers[id.index()].fsm_mut(slot);
                    if let Some(held) = fsm.and_then(|fsm| fsm.conn.as_mut()) {
                        held.framer = framer;
                    }
                    return self.rearm(id);
                }
            }
        }
    }

    fn message(&mut self, now: Instant, id: PeerId, slot: Slot, conn: ConnId, kind: MessageType, body: &[u8]) {
        match kind {
            MessageType::Open => self.open_message(now, id, slot, conn, body),
            MessageType::Update => self.update_message(now, id, slot, conn, body),
            MessageType::Notification => {
                let notification = Notification::parse(body);
                let codes = notification.codes();
                self.step(id, conn, Step::NotificationMessageReceived, Some(codes));
                if let Some(text) = notification.communication().transpose() {
                    self.out.push_back(Output::Communication { peer: id, text });
                }
                let delayed = self.peers[id.index()].fsm(slot).is_some_and(|fsm| fsm.delay_open.is_running());
                let event = match (codes == Notification::BAD_VERSION, delayed) {
                    (true, false) => Event::NotificationVersionError,
                    (true, true) => Event::NotificationVersionErrorDelayOpen,
                    (false, _) => Event::Notification,
                };
                let hard = notification.is_hard_reset();
                self.raise(now, id, slot, event, Cause { hard, ..Cause::default() });
            }
            MessageType::Keepalive => {
                self.step(id, conn, Step::KeepaliveMessageReceived, None);
                let cause = self.unexpected(id, slot, kind);
                self.raise(now, id, slot, Event::Keepalive, cause);
            }
            MessageType::RouteRefresh => self.refresh_message(now, id, slot, conn, body),
        }
    }

    /// RFC 2918 section 4: a family that was not advertised is ignored, and the third octet too. Where both ends speak
    /// RFC 7313 that octet is the kind, of which unknown ones are ignored, and a wrong length has a code of its own.
    fn refresh_message(&mut self, now: Instant, id: PeerId, slot: Slot, conn: ConnId, body: &[u8]) {
        let session = self.peers[id.index()].fsm(slot).and_then(|fsm| fsm.session);
        let enhanced = session.is_some_and(|session| session.enhanced_refresh);
        let &[high, low, octet, safi] = body else {
            let length = (HEADER + body.len()) as u16;
            let whole = || message::emit(MessageType::RouteRefresh, |out| out.extend_from_slice(body));
            let notification = match enhanced && matches!(body.get(2), Some(1 | 2)) {
                true => Notification::new(Notification::REFRESH_LENGTH, whole()),
                false => Notification::new(Notification::BAD_LENGTH, length.to_be_bytes()),
            };
            return self.raise(now, id, slot, Event::HeaderError, Cause::notification(notification));
        };
        let kind = match enhanced {
            true => Refresh::from_octet(octet),
            false => Some(Refresh::Request),
        };
        let step = match kind {
            Some(Refresh::Beginning) => Step::BeginningOfRefreshReceived,
            Some(Refresh::End) => Step::EndOfRefreshReceived,
            Some(Refresh::Request) | None => Step::RouteRefreshReceived,
        };
        self.step(id, conn, step, None);
        let cause = self.unexpected(id, slot, MessageType::RouteRefresh);
        if cause.notification.is_some() {
            return self.raise(now, id, slot, Event::RouteRefresh, cause);
        }
        let spoken = |afi: &Afi| match afi {
            Afi::Ipv4 => session.is_some_and(|session| session.dialect.ipv4_unicast),
            Afi::Ipv6 => session.is_some_and(|session| session.dialect.ipv6_unicast),
        };
        match Afi::of([high, low], safi).filter(spoken).zip(kind) {
            Some((afi, Refresh::Request)) => self.raise(now, id, slot, Event::RouteRefresh, Cause { afi, ..cause }),
            Some((Afi::Ipv4, Refresh::Beginning)) => self.refresh_begins::<Ipv4Net>(now, id),
            Some((Afi::Ipv6, Refresh::Beginning)) => self.refresh_begins::<Ipv6Net>(now, id),
            Some((Afi::Ipv4, Refresh::End)) => self.sweep_stale::<Ipv4Net>(id, Reason::NotRefreshed),
            Some((Afi::Ipv6, Refresh::End)) => self.sweep_stale::<Ipv6Net>(id, Reason::NotRefreshed),
            None => {}
        }
    }

    /// The FSM error with which a state answers a message that it does not expect, its type as data (RFC 6608).
    fn unexpected(&self, id: PeerId, slot: Slot, kind: MessageType) -> Cause {
        let fsm = self.peers[id.index()].fsm(slot);
        let state = fsm.map_or(FsmState::Idle, |fsm| fsm.state);
        let expected = match kind {
            MessageType::Open => false,
            MessageType::Keepalive => state >= FsmState::OpenConfirm,
            MessageType::Update | MessageType::RouteRefresh => state == FsmState::Established,
            MessageType::Notification => true,
        };
        match expected {
            true => Cause::default(),
            false => Cause::notify(state.unexpected_message(), [kind as u8]),
        }
    }

    fn update_message(&mut self, now: Instant, id: PeerId, slot: Slot, conn: ConnId, body: &[u8]) {
        let fsm = self.peers[id.index()].fsm(slot);
        let session = fsm.and_then(|fsm| fsm.session.filter(|_| fsm.state == FsmState::Established));
        let Some(session) = session else {
            self.step(id, conn, Step::UpdateReceived, None);
            let cause = self.unexpected(id, slot, MessageType::Update);
            return self.raise(now, id, slot, Event::Update, cause);
        };
        let (event, cause) = match Update::parse(body, &session.dialect) {
            Ok(mut update) => {
                self.share(&mut update.ipv4);
                if let Some(said) = &mut update.ipv6 {
                    self.share(said);
                }
                match update.ends_a_rib() {
                    true => self.step(id, conn, Step::EndOfRibReceived, None),
                    false => self.update_step(id, conn, Step::UpdateReceived, update.told()),
                }
                for fault in &update.faults {
                    let step = match fault.approach {
                        Approach::AttributeDiscard => Step::AttributeDiscarded,
                        Approach::TreatAsWithdraw | Approach::SessionReset => Step::TreatedAsWithdraw,
                    };
                    self.step(id, conn, step, Some((fault.attribute, fault.notification.subcode)));
                }
                (Event::Update, Cause { update: Some(update), ..Cause::default() })
            }
            Err(error) => {
                self.step(id, conn, Step::UpdateReceived, None);
                (Event::UpdateError, Cause::notification(error))
            }
        };
        self.raise(now, id, slot, event, cause);
    }

    fn share<F: Spoken>(&mut self, said: &mut Said<F>) {
        said.shared = said.attributes.take().map(|attributes| F::of_mut(&mut self.tables).pool.share(attributes));
    }

    fn open_message(&mut self, now: Instant, id: PeerId, slot: Slot, conn: ConnId, body: &[u8]) {
        self.open_step(id, conn, Step::OpenMessageReceived, Open::read(body).ok());
        let Some(fsm) = self.peers[id.index()].fsm(slot) else {
            return;
        };
        let (state, delayed) = (fsm.state, fsm.delay_open.is_running());
        let config = &self.peers[id.index()].config;
        let expected = Expected {
            local_as: self.local_as,
            router_id: self.router_id,
            remote_as: config.remote_as,
            capabilities: Capabilities { ipv6_unicast: config.ipv6.is_some(), ..config.capabilities },
        };
        let open = match Open::parse(body, expected) {
            Ok(open) => open,
            Err(error) => {
                let cause = Cause::notification(error);
                return self.raise(now, id, slot, Event::OpenError, cause);
            }
        };
        if state != FsmState::OpenSent && !delayed {
            let cause = self.unexpected(id, slot, MessageType::Open);
            return self.raise(now, id, slot, Event::Open, cause);
        }
        let session = Session::negotiate(self.local_as, config, &open);
        let loser = self.collision(id, slot, conn, &open);
        let slot = match loser.filter(|&loser| loser != conn).and_then(|_| self.restarted(id, slot.other())) {
            Some(old) => {
                self.raise(now, id, old, Event::TcpFails, Cause::because(Reason::PeerRestarted));
                self.peers[id.index()].slot_of(conn).unwrap_or(slot)
            }
            None => slot,
        };
        let dumped = || Cause::notify(Notification::COLLISION, []);
        if loser == Some(conn) {
            return self.raise(now, id, slot, Event::CollisionDump, dumped());
        }
        if let Some(fsm) = self.peers[id.index()].fsm_mut(slot) {
            fsm.session = Some(session);
        }
        let event = match delayed {
            true => Event::OpenDelayOpen,
            false => Event::Open,
        };
        self.raise(now, id, slot, event, Cause::default());
        if let Some(slot) = loser.and_then(|conn| self.peers[id.index()].slot_of(conn)) {
            self.raise(now, id, slot, Event::CollisionDump, dumped());
        }
    }

    /// Connection collision detection (section 6.8), when an OPEN names the peer of this connection: which of two
    /// connections has to go. The one stays that the speaker with the higher identifier opened (of equal ones, with the
    /// higher AS: RFC 6286 section 2.3), but an established one stays in any case.
    fn collision(&self, id: PeerId, slot: Slot, conn: ConnId, open: &Open) -> Option<ConnId> {
        let other = self.peers[id.index()].fsm(slot.other())?;
        let other_conn = other.conn.as_ref()?.id;
        let ours_wins = (self.router_id, self.local_as) > (open.identifier, open.asn);
        let stays = match other.state {
            // RFC 4724 section 4.2: a peer that may restart and comes anew has restarted.
            FsmState::Established => self.restarted(id, slot.other()).is_some(),
            FsmState::OpenConfirm => ours_wins == conn.is_initiated(),
            FsmState::Idle | FsmState::Active | FsmState::Connect | FsmState::OpenSent => {
                return None;
            }
        };
        Some(if stays { other_conn } else { conn })
    }
}
