//! What the peer sends: to which IKE_SA a datagram belongs, and what is done with it.

use core::net::IpAddr;

use super::child::Child;
use super::env::Env;
use super::fragment::Incoming;
use super::sa::{self, Phase, Sa, Verdict, unknown_critical};
use super::transition::{Action, Event, SaState, transition};
use super::window::Place;
use super::{COOKIE_THRESHOLD, MAX_HALF_OPEN, Peer, cookie, create, followup, hint, informational, init, mobike};
use crate::proto::ike::mobility::Ends;
use crate::proto::ike::{Datagram, Output};
use crate::reason::{DropReason, Reason, Step};
use crate::wire::ike::{ExchangeType, Header, Message, NotifyType, Payload, parse_chain};

impl Peer {
    pub(super) fn datagram(&mut self, datagram: Datagram) {
        let Ok(header) = Header::parse(&datagram.bytes) else {
            return self.env.ignored(DropReason::Malformed);
        };
        if header.major != 2 {
            return self.wrong_version(&header, &datagram);
        }
        if header.length as usize != datagram.bytes.len() {
            return self.env.ignored(DropReason::Malformed);
        }
        if hint::is_unprotected(&header) {
            return self.unprotected(&header, &datagram);
        }
        let init = header.exchange == ExchangeType::IkeSaInit;
        let found = self.sas.iter().position(|sa| {
            sa.ids.spi_i == header.spi_i
                && sa.ids.initiator != header.flags.initiator
                && (sa.ids.spi_r == header.spi_r || init)
        });
        match found {
            Some(i) => self.deliver(i, &header, datagram),
            None if header.flags.response => self.env.ignored(DropReason::UnknownSpi),
            None if init && header.spi_r == 0 && header.flags.initiator && header.message_id == 0 => {
                self.admit(&header, datagram);
            }
            None => {
                // Power may have been lost here; the peer learns it by its own liveness check (RFC 7296 section 2.21.4).
                self.stray(&header, &datagram, NotifyType::InvalidIkeSpi);
                self.env.ignored(DropReason::UnknownSpi);
            }
        }
    }

    /// RFC 7296 section 2.5: a higher major version is answered with the one spoken here.
    fn wrong_version(&mut self, header: &Header, datagram: &Datagram) {
        if header.major > 2 && !header.flags.response {
            self.stray(header, datagram, NotifyType::InvalidMajorVersion);
        }
        self.env.ignored(DropReason::Malformed);
    }

    /// A new IKE_SA_INIT request.
    fn admit(&mut self, header: &Header, datagram: Datagram) {
        if self.half_open() >= COOKIE_THRESHOLD {
            let shown = match Message::parse(&datagram.bytes) {
                Ok(message) if cookie::is_good(&self.env, &message, datagram.remote.0) => true,
                Ok(message) => {
                    if !init::ask_for_cookie(&mut self.env, header, &message, &datagram) {
                        self.env.ignored(DropReason::Malformed);
                    }
                    false
                }
                Err(_) => {
                    self.env.ignored(DropReason::Malformed);
                    false
                }
            };
            if !shown {
                return;
            }
        }
        if let Some(sa) = init::respond(&mut self.env, header, datagram) {
            self.env.because = Reason::PeerInitiated;
            if self.half_open() == MAX_HALF_OPEN
                && let Some(oldest) = self.sas.iter().position(Sa::is_half_open)
            {
                self.sas.remove(oldest);
            }
            self.sas.reserve_exact(1);
            self.sas.push(sa);
        }
        self.settle();
    }

    fn half_open(&self) -> usize {
        self.sas.iter().filter(|sa| sa.is_half_open()).count()
    }

    fn deliver(&mut self, i: usize, header: &Header, datagram: Datagram) {
        self.env.alone = self.alone();
        let sa = &mut self.sas[i];
        let verdict = match transition(sa.state(), event(sa, header)) {
            Action::ReadInitResponse => match core::mem::replace(&mut sa.phase, Phase::Over) {
                Phase::ExpectInitResponse(expect) => expect.read(sa, &mut self.env, header, datagram),
                other => Self::keep(sa, other),
            },
            Action::ReadIntermediateResponse | Action::ReadAuthResponse => self.read_set_up(i, header, datagram),
            Action::ReadIntermediateRequest => self.read_intermediate_request(i, header, datagram),
            Action::ReadAuthRequest => return self.authenticate(i, header, datagram),
            Action::ReadRequest => self.read_request(i, header, datagram),
            Action::ReadResponse => self.read_response(i, header, datagram),
            Action::RepeatInit => self.repeat_init(i, &datagram),
            Action::Repeat => self.repeat(i, header, datagram),
            Action::Ignore | Action::SendAgain | Action::Fail | Action::PeerDead | Action::Remove | Action::Delete => {
                self.env.ignored(DropReason::UnexpectedMessage);
                Verdict::Alive
            }
        };
        self.judge(i, verdict);
    }

    fn keep(sa: &mut Sa, phase: Phase) -> Verdict {
        sa.phase = phase;
        Verdict::Alive
    }

    /// The message of a datagram. `None` if it is a fragment and others are missing, or if it has no effect.
    fn gather(&mut self, i: usize, header: &Header, bytes: Vec<u8>) -> Option<Incoming> {
        match self.sas[i].gather(header, bytes) {
            Ok(message) => message,
            Err(reason) => {
                self.env.ignored(reason);
                None
            }
        }
    }

    /// A protected response before the IKE_SA is established.
    fn read_set_up(&mut self, i: usize, header: &Header, datagram: Datagram) -> Verdict {
        let Some(mut message) = self.gather(i, header, datagram.bytes) else {
            return Verdict::Alive;
        };
        let sa = &mut self.sas[i];
        match core::mem::replace(&mut sa.phase, Phase::Over) {
            Phase::ExpectIntermediateResponse(expect) => expect.read(sa, &mut self.env, header, &mut message),
            Phase::ExpectAuthResponse(expect) => expect.read(sa, &mut self.env, header.message_id, &mut message),
            other => Self::keep(sa, other),
        }
    }

    fn read_intermediate_request(&mut self, i: usize, header: &Header, datagram: Datagram) -> Verdict {
        let Datagram { local, remote, bytes } = datagram;
        let Some(mut message) = self.gather(i, header, bytes) else {
            return Verdict::Alive;
        };
        let sa = &mut self.sas[i];
        match core::mem::replace(&mut sa.phase, Phase::Over) {
            Phase::ExpectIntermediateRequest(expect) => {
                // The initiator may have floated (RFC 7296 section 2.23). If the message is not its own, the path stays.
                let (before, due) = (sa.path, sa.window.next_due());
                (sa.path.local_port, sa.path.remote) = (local.1, remote);
                let verdict = expect.read(sa, &mut self.env, header, &mut message);
                if sa.window.next_due() == due {
                    sa.path = before;
                }
                verdict
            }
            other => Self::keep(sa, other),
        }
    }

    fn judge(&mut self, i: usize, verdict: Verdict) {
        match verdict {
            Verdict::Alive => {
                self.sas[i].pump(&mut self.env);
                self.settle();
            }
            Verdict::Up => self.established(i),
            Verdict::Succeeded(heir, how) => self.succeed(i, *heir, how),
            Verdict::Yielded => self.yield_to_heir(i),
            Verdict::Over(reason) => self.bury(i, reason, false),
            Verdict::Linger(reason) => self.bury(i, reason, true),
        }
    }

    /// IKE_AUTH as responder, in two steps: what INITIAL_CONTACT says is done before the new SAs are made.
    fn authenticate(&mut self, i: usize, header: &Header, datagram: Datagram) {
        let Datagram { local, remote, bytes } = datagram;
        let Some(mut message) = self.gather(i, header, bytes) else { return };
        let sa = &mut self.sas[i];
        let Phase::ExpectAuthRequest(expect) = core::mem::replace(&mut sa.phase, Phase::Over) else {
            return;
        };
        // The initiator may have floated (RFC 7296 section 2.23). If the message is not its own, the path stays.
        let before = sa.path;
        sa.path.local_port = local.1;
        sa.path.remote = remote;
        let authenticated = match expect.read(sa, &mut self.env, header.message_id, &mut message) {
            Ok(authenticated) => authenticated,
            Err(verdict) => {
                if sa.state() == SaState::ExpectAuthRequest {
                    sa.path = before;
                }
                return self.judge(i, verdict);
            }
        };
        let spi_i = sa.ids.spi_i;
        if authenticated.initial_contact {
            self.forget_older(i);
        }
        let Some(i) = self.sas.iter().position(|sa| sa.ids.spi_i == spi_i) else {
            return;
        };
        // The initiator can read nothing before it has the response; what sends in another IKE_SA goes on until it has.
        let others = self.sas.iter().filter(|sa| !sa.is_deleting()).filter_map(Sa::established);
        let only = !others.flat_map(|e| &e.children).any(Child::carries);
        let verdict = authenticated.finish(&mut self.sas[i], &mut self.env, only);
        self.judge(i, verdict);
    }

    /// The peer has none of the SAs that were there before it began this one (RFC 7296 section 2.4).
    fn forget_older(&mut self, i: usize) {
        let begun = self.sas[i].begun;
        for j in (0..self.sas.len()).rev() {
            let older = |sa: &Sa| sa.up && sa.established().is_some_and(|e| e.authenticated <= begun);
            if j != i && older(&self.sas[j]) {
                self.children_down(j, Reason::InitialContact);
                self.sas[j].phase = Phase::Over;
            }
        }
        self.env.because = Reason::InitialContact;
        self.sas.retain(|sa| !(sa.up && matches!(sa.phase, Phase::Over)));
        self.settle();
    }

    fn read_request(&mut self, i: usize, header: &Header, datagram: Datagram) -> Verdict {
        let (id, exchange) = (header.message_id, header.exchange);
        let Datagram { local, remote, bytes } = datagram;
        let ends = Ends { local, remote };
        let Some(mut message) = self.gather(i, header, bytes) else {
            return Verdict::Alive;
        };
        let contested = self.contested(i);
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let (first, inner) = match sa.open(&mut message) {
            Ok(opened) => opened,
            Err(reason) => {
                env.ignored(reason);
                return Verdict::Alive;
            }
        };
        alive(env, sa, remote);
        mobike::note_request(sa, env, &ends);
        for child in sa.established_mut().into_iter().flat_map(|e| &mut e.children) {
            child.taken_up = true;
        }
        let Ok(payloads) = parse_chain(first, inner) else {
            env.received(exchange, id, false, Some(Reason::InvalidSyntax));
            sa.refuse(env, exchange, id, NotifyType::InvalidSyntax, &[]);
            return Verdict::Linger(Reason::InvalidSyntax);
        };
        let notice = sa::error_in(&payloads).map(|(_, reason)| reason);
        env.received(exchange, id, false, notice);
        if let Some(kind) = unknown_critical(&payloads) {
            let notify = NotifyType::UnsupportedCriticalPayload;
            sa.refuse(env, exchange, id, notify, &[kind]);
            return Verdict::Alive;
        }
        let about_children = matches!(exchange, ExchangeType::CreateChildSa | ExchangeType::IkeFollowupKe)
            || payloads
                .iter()
                .any(|p| matches!(p, Payload::Delete(d) if d.protocol == env.config.child_protocol.into()));
        if let Some(old) = contested.filter(|_| about_children) {
            // The peer sees its CHILD_SAs here already, so it knows of no other heir.
            self.yield_to_heir(old);
        }
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        match exchange {
            ExchangeType::CreateChildSa => create::answer(sa, env, id, &payloads),
            ExchangeType::Informational => informational::answer(sa, env, id, &ends, &payloads),
            ExchangeType::IkeFollowupKe => followup::answer(sa, env, id, &payloads),
            ExchangeType::IkeSaInit
            | ExchangeType::IkeAuth
            | ExchangeType::IkeIntermediate
            | ExchangeType::Other(_) => {
                sa.refuse(env, exchange, id, NotifyType::InvalidSyntax, &[]);
                Verdict::Linger(Reason::InvalidSyntax)
            }
        }
    }

    fn read_response(&mut self, i: usize, header: &Header, datagram: Datagram) -> Verdict {
        let (id, exchange) = (header.message_id, header.exchange);
        let Datagram { local, remote, bytes } = datagram;
        let Some(mut message) = self.gather(i, header, bytes) else {
            return Verdict::Alive;
        };
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let (first, inner) = match sa.open(&mut message) {
            Ok(opened) => opened,
            Err(reason) => {
                env.ignored(reason);
                return Verdict::Alive;
            }
        };
        alive(env, sa, remote);
        let Some(request) = sa.window.outstanding.take() else {
            return Verdict::Alive;
        };
        mobike::came_by(sa, env, &Ends { local, remote });
        let Ok(payloads) = parse_chain(first, inner) else {
            // RFC 7296 section 2.21.3: an authentic message that makes no sense ends the IKE_SA.
            env.received(exchange, id, true, Some(Reason::InvalidSyntax));
            return Verdict::Over(Reason::InvalidSyntax);
        };
        let notice = sa::error_in(&payloads).map(|(_, reason)| reason);
        env.received(exchange, id, true, notice);
        if notice == Some(Reason::InvalidSyntax) {
            // The peer has ended it without a DELETE (RFC 7296 section 2.21.3).
            return Verdict::Over(Reason::InvalidSyntax);
        }
        informational::read(sa, env, request.task, &payloads)
    }

    /// ESP of one of the SAs came from there.
    pub(super) fn traffic_from(&mut self, spi_in: u32, remote: (IpAddr, u16)) {
        let owner = |sa: &&mut Sa| sa.established().is_some_and(|e| e.children.iter().any(|c| c.spi_in == spi_in));
        if let Some(sa) = self.sas.iter_mut().find(owner) {
            // Of ESP alone, MOBIKE or not (RFC 4555 section 3.8).
            let mut path = sa.path;
            if sa.mobike.is_some() && path.follow(remote) {
                self.env.out.push_back(Output::PeerMoved { remote });
            }
            follow(&mut self.env, sa, remote);
        }
    }

    /// A response goes to where its request came from (RFC 7296 section 2.11), also when the NAT in between has made another
    /// mapping since. That the peer has moved is not believed of a message that could be a replay.
    fn repeat_init(&mut self, i: usize, datagram: &Datagram) -> Verdict {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let same = match &sa.phase {
            Phase::ExpectIntermediateRequest(expect) => expect.auth.is_repeated(&datagram.bytes),
            Phase::ExpectAuthRequest(expect) => expect.is_repeated(&datagram.bytes),
            Phase::ExpectInitResponse(_)
            | Phase::ExpectIntermediateResponse(_)
            | Phase::ExpectAuthResponse(_)
            | Phase::Established(_)
            | Phase::Replaced(_)
            | Phase::Deleting(_)
            | Phase::Lingering(_)
            | Phase::Over => false,
        };
        match sa.window.stored().filter(|_| same).cloned() {
            Some(response) => {
                env.received(ExchangeType::IkeSaInit, 0, false, None);
                env.step(Step::Retransmitted, 0, true, None);
                response.send(env, &sa::Path { remote: datagram.remote, ..sa.path });
            }
            None => env.ignored(DropReason::UnexpectedMessage),
        }
        Verdict::Alive
    }

    fn repeat(&mut self, i: usize, header: &Header, datagram: Datagram) -> Verdict {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let Datagram { local, remote, bytes } = datagram;
        mobike::note_request(sa, env, &Ends { local, remote });
        match (sa.verify_repetition(header, bytes), sa.window.stored()) {
            (Ok(()), Some(response)) => {
                env.last_inbound = env.now;
                env.received(header.exchange, header.message_id, false, None);
                env.step(Step::Retransmitted, header.message_id, true, None);
                mobike::send_response(env, response, &sa::Path { remote, ..sa.path });
            }
            (Ok(()), None) => env.ignored(DropReason::UnexpectedMessage),
            (Err(reason), _) => env.ignored(reason),
        }
        mobike::answered(env);
        Verdict::Alive
    }
}

/// An authentic message came from there.
fn alive(env: &mut Env, sa: &mut Sa, remote: (IpAddr, u16)) {
    env.heard();
    follow(env, sa, remote);
}

/// Something authentic came from there. A peer behind a NAT is followed (RFC 7296 section 2.23), unless this end is behind one, too.
/// With MOBIKE the initiator says so itself (RFC 4555 section 3.8).
fn follow(env: &mut Env, sa: &mut Sa, remote: (IpAddr, u16)) {
    if sa.mobike.is_none() && sa.path.follow(remote) {
        env.out.push_back(Output::PeerMoved { remote });
    }
}

/// What a message is to an SA.
fn event(sa: &Sa, header: &Header) -> Event {
    let (id, exchange) = (header.message_id, header.exchange);
    if header.flags.response {
        return match (sa.window.answers(id, exchange), exchange) {
            (false, _) | (true, ExchangeType::Other(_)) => Event::Stray,
            (true, ExchangeType::IkeSaInit) => Event::InitResponse,
            (true, ExchangeType::IkeAuth) => Event::AuthResponse,
            (true, ExchangeType::CreateChildSa) => Event::ChildResponse,
            (true, ExchangeType::Informational) => Event::InfoResponse,
            (true, ExchangeType::IkeIntermediate) => Event::IntermediateResponse,
            (true, ExchangeType::IkeFollowupKe) => Event::FollowupResponse,
        };
    }
    if exchange == ExchangeType::IkeSaInit {
        return Event::InitRequest;
    }
    match (sa.window.place(id), exchange) {
        (Place::Repeated, _) => Event::RepeatedRequest,
        (Place::Outside, _) => Event::Stray,
        (Place::Next, ExchangeType::IkeAuth) => Event::AuthRequest,
        (Place::Next, ExchangeType::CreateChildSa) => Event::ChildRequest,
        (Place::Next, ExchangeType::Informational) => Event::InfoRequest,
        (Place::Next, ExchangeType::IkeIntermediate) => Event::IntermediateRequest,
        (Place::Next, ExchangeType::IkeFollowupKe) => Event::FollowupRequest,
        (Place::Next, ExchangeType::IkeSaInit | ExchangeType::Other(_)) => Event::UnknownRequest,
    }
}
