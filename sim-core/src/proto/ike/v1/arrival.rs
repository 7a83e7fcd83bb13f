//! What the peer sends: to which ISAKMP SA a datagram belongs, and what is done with it.

use core::net::IpAddr;

use super::sa::{Phase, Sa, Verdict};
use super::transition::{Action, Event, SaState, transition};
use super::{MAX_HALF_OPEN, Peer, informational, main_mode, quick_mode};
use crate::proto::ike::env::Env;
use crate::proto::ike::{Datagram, Output};
use crate::reason::{DropReason, Reason, Step};
use crate::wire::ike::v1::{ExchangeType, Header};

impl Peer {
    pub(super) fn datagram(&mut self, datagram: Datagram) {
        let Ok(header) = Header::parse(&datagram.bytes) else {
            return self.env.ignored(DropReason::Malformed);
        };
        if let Some(i) = self.hinted(&header, &datagram.bytes) {
            return self.look_after(i, &header);
        }
        let first = header.exchange == ExchangeType::MainMode && header.cookie_r == 0;
        let found = self.sas.iter().position(|sa| {
            sa.cookies.i == header.cookie_i
                && (sa.cookies.r == header.cookie_r || sa.cookies.r == 0 || (first && !sa.cookies.initiator))
        });
        match found {
            Some(i) => self.deliver(i, &header, datagram),
            None if first && header.message_id == 0 && !header.flags.encryption => self.admit(&header, datagram),
            None => self.stray(&header, &datagram),
        }
    }

    /// The first message of a Main Mode.
    fn admit(&mut self, header: &Header, datagram: Datagram) {
        if let Some(sa) = main_mode::respond(&mut self.env, header, datagram) {
            self.env.because = Reason::PeerInitiated;
            let half_open = |sa: &Sa| matches!(sa.state(), SaState::ExpectMessage3 | SaState::ExpectMessage5);
            if self.sas.iter().filter(|sa| half_open(sa)).count() == MAX_HALF_OPEN
                && let Some(oldest) = self.sas.iter().position(half_open)
            {
                self.sas.remove(oldest);
            }
            self.sas.push(sa);
        }
        self.settle();
    }

    /// ESP of a CHILD_SA came from there. A CHILD_SA belongs to the pair of ends and not to one ISAKMP SA, so all of these follow.
    pub(super) fn traffic_from(&mut self, spi_in: u32, remote: (IpAddr, u16)) {
        if !self.children.all.iter().any(|child| child.spi_in == spi_in) {
            return;
        }
        let up = self.sas.iter_mut().filter(|sa| sa.established().is_some());
        if up.map(|sa| sa.path.follow(remote)).fold(false, |one, other| one | other) {
            self.env.out.push_back(Output::PeerMoved { remote });
        }
    }

    fn deliver(&mut self, i: usize, header: &Header, datagram: Datagram) {
        self.env.alone = self.alone();
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let action = transition(sa.state(), event(sa, header, &datagram.bytes));
        let verdict = match action {
            Action::ReadMessage2
            | Action::ReadMessage3
            | Action::ReadMessage4
            | Action::ReadMessage5
            | Action::ReadMessage6 => main_mode(sa, env, header, datagram),
            Action::RepeatMainMode => {
                if let Some(answered) = &sa.answered {
                    env.step(Step::MainModeReceived, 0, false, None);
                    env.step(Step::Retransmitted, 0, true, None);
                    env.transmit(&sa.path, answered.sent.clone());
                }
                Verdict::Alive
            }
            Action::ReadRefusal => main_mode::read_refusal(sa, env, header, datagram),
            Action::AnswerQuickMode => {
                let remote = datagram.remote;
                let before = env.out.len();
                let verdict = quick_mode::answer(sa, env, &mut self.children, header, datagram.bytes);
                follow(env, sa, remote, before);
                verdict
            }
            Action::ContinueQuickMode => match quick_of(sa, header) {
                Some(at) => quick_mode::proceed(sa, env, &mut self.children, at, header, datagram.bytes),
                None => Verdict::Alive,
            },
            Action::RepeatQuickMode => {
                if let Some(at) = quick_of(sa, header) {
                    env.step(Step::QuickModeReceived, header.message_id, false, None);
                    env.step(Step::Retransmitted, header.message_id, true, None);
                    env.transmit(&sa.path, sa.quick[at].sent.clone());
                }
                Verdict::Alive
            }
            Action::ReadInformational => return self.read_informational(i, header, datagram),
            Action::Ignore
            | Action::SendAgain
            | Action::Fail
            | Action::Abandon
            | Action::PeerDead
            | Action::Remove
            | Action::Rekey
            | Action::Delete => {
                env.ignored(DropReason::UnexpectedMessage);
                Verdict::Alive
            }
        };
        self.judge(i, verdict);
    }

    fn judge(&mut self, i: usize, verdict: Verdict) {
        match verdict {
            Verdict::Alive => self.settle(),
            Verdict::Up(initial_contact) => {
                let i = if initial_contact { self.forget_older(i) } else { i };
                self.established(i);
            }
            Verdict::Over(reason) => self.bury(i, reason),
        }
    }

    fn read_informational(&mut self, i: usize, header: &Header, datagram: Datagram) {
        let wants_child = self.wants_child();
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let Datagram { remote, mut bytes, .. } = datagram;
        let requests = match informational::read(sa, env, &mut self.children, header, &mut bytes) {
            Ok(requests) => requests,
            Err(reason) => return env.ignored(reason),
        };
        moved(env, sa, remote);
        if requests.lost_child && wants_child {
            let policy = env.demanded;
            informational::want_child(sa, env, &self.children, policy);
        }
        if requests.initial_contact {
            self.forget_older(i);
        }
        for cookies in requests.gone {
            if let Some(i) = self.sas.iter().position(|sa| sa.up && sa.cookies.octets() == cookies) {
                self.bury(i, Reason::PeerDeleted);
            }
        }
        self.settle();
    }

    /// The peer has none of the SAs that were there before it began this one (RFC 2407 section 4.6.3.3). Returns where this one is
    /// afterwards.
    fn forget_older(&mut self, i: usize) -> usize {
        let (begun, cookies) = (self.sas[i].begun, self.sas[i].cookies);
        let older = |sa: &Sa| sa.cookies != cookies && sa.up && sa.established().is_some_and(|e| e.since <= begun);
        if self.sas.iter().any(older) {
            self.sas.retain(|sa| !older(sa));
            let old: Vec<u32> = self.children.all.iter().filter(|c| c.born <= begun).map(|c| c.spi_in).collect();
            for spi_in in old {
                self.children.down(&mut self.env, spi_in, Reason::InitialContact);
            }
            self.env.because = Reason::InitialContact;
            self.settle();
        }
        self.sas.iter().position(|sa| sa.cookies == cookies).unwrap_or(0)
    }
}

/// Hands a message of Main Mode to what waits for it.
fn main_mode(sa: &mut Sa, env: &mut Env, header: &Header, datagram: Datagram) -> Verdict {
    match core::mem::replace(&mut sa.phase, Phase::Over) {
        Phase::ExpectMessage2(expect) => expect.read(sa, env, header, &datagram),
        Phase::ExpectMessage3(expect) => expect.read(sa, env, datagram),
        Phase::ExpectMessage4(expect) => expect.read(sa, env, &datagram),
        Phase::ExpectMessage5(proof) => proof.read_message_5(sa, env, header, datagram),
        Phase::ExpectMessage6(proof) => proof.read_message_6(sa, env, header, &datagram),
        other @ (Phase::Established(_) | Phase::Replaced(_) | Phase::Over) => {
            sa.phase = other;
            Verdict::Alive
        }
    }
}

fn quick_of(sa: &Sa, header: &Header) -> Option<usize> {
    sa.quick.iter().position(|quick| quick.message_id == header.message_id)
}

/// Follows the peer if the message since `before` was authentic, that is, if it was not ignored.
fn follow(env: &mut Env, sa: &mut Sa, remote: (IpAddr, u16), before: usize) {
    let ignored = env.out.iter().skip(before).any(|output| matches!(output, Output::Ignored { .. }));
    if !ignored {
        env.heard();
        moved(env, sa, remote);
    }
}

fn moved(env: &mut Env, sa: &mut Sa, remote: (IpAddr, u16)) {
    if sa.path.follow(remote) {
        env.out.push_back(Output::PeerMoved { remote });
    }
}

/// What a message is to an SA.
fn event(sa: &Sa, header: &Header, bytes: &[u8]) -> Event {
    let encrypted = header.flags.encryption;
    match header.exchange {
        ExchangeType::MainMode => {
            if sa.answered.as_ref().is_some_and(|answered| answered.received == bytes) {
                return Event::RepeatedMainMode;
            }
            // The last two messages are encrypted, the others are not.
            let secret = match sa.state() {
                SaState::ExpectMessage5 | SaState::ExpectMessage6 => true,
                SaState::ExpectMessage2
                | SaState::ExpectMessage3
                | SaState::ExpectMessage4
                | SaState::Established
                | SaState::Replaced => false,
            };
            if header.message_id == 0 && encrypted == secret { Event::MainMode } else { Event::Stray }
        }
        ExchangeType::QuickMode if encrypted && header.message_id != 0 => match quick_of(sa, header) {
            Some(at) if sa.quick[at].received == bytes => Event::RepeatedQuickMode,
            Some(_) => Event::QuickModeNext,
            None if sa.used.contains(&header.message_id) => Event::Stray,
            None => Event::QuickModeFirst,
        },
        // Once there is an SA, what is not protected by it tells nothing (RFC 2409 section 5.7).
        ExchangeType::Informational if encrypted || sa.established().is_none() => Event::Informational,
        ExchangeType::QuickMode | ExchangeType::Informational => Event::Stray,
        ExchangeType::AggressiveMode
        | ExchangeType::Transaction
        | ExchangeType::NewGroupMode
        | ExchangeType::Other(_) => Event::UnknownExchange,
    }
}
