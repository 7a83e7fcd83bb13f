//! Quick Mode (RFC 2409 section 5.5), both sides, with and without perfect forward secrecy: a pair of ESP SAs.
//!
//! ```text
//! HDR*, HASH(1), SA, Ni [, KE], IDci, IDcr  -->
//!                                           <--  HDR*, HASH(2), SA, Nr [, KE], IDci, IDcr
//! HDR*, HASH(3)                             -->
//! ```
//!
//! After the third message the initiator expects nothing, so it is the responder who repeats the second one until the third
//! comes. A responder that makes a successor receives on it from its second message on, because the initiator sends as soon
//! as it has that; what arrives on it is as good as the third message.
//!
//! Left out: several SA payloads in one Quick Mode (section 5.5), selectors that are lists, and the commit bit (RFC 2408 section
//! 3.1), which is neither set nor looked at.

use core::net::IpAddr;

use super::child::{Agreed, Child, Children, Sends};
use super::informational;
use super::keys::Iv;
use super::proposal::{self, Phase as Which, Phase2};
use super::sa::{Opened, Phase, Sa, Verdict};
use super::selectors::{identification, inside, selector};
use crate::crypto::dh::DhPrivate;
use crate::proto::ike::EspSuite;
use crate::proto::ike::config::{ChildProtocol, Config, SecondChild};
use crate::proto::ike::env::{Env, NONCE_LEN};
use crate::proto::ike::series::Series;
use crate::reason::{DropReason, Reason, Step};
use crate::time::Duration;
use crate::wire::ike::TrafficSelector;
use crate::wire::ike::v1::{
    ExchangeType, Header, Id, Notify, NotifyType, Payload, Proposal, Protocol, emit_attributes, parse_attributes,
};

const EXCHANGE: ExchangeType = ExchangeType::QuickMode;

/// Quick Modes that are over and of which the last message is kept, in case it was lost.
const MAX_DONE: usize = 4;

/// A Quick Mode under way, or one whose last message may have to be repeated.
#[derive(Clone, Debug)]
pub(super) struct Quick {
    pub message_id: u32,
    /// The IV of the next message.
    iv: Iv,
    /// The message that was answered last; empty at first.
    pub received: Vec<u8>,
    pub sent: Vec<u8>,
    /// Runs while an answer is expected.
    pub series: Option<Series>,
    pub step: Progress,
}

#[derive(Clone, Debug)]
pub(super) enum Progress {
    /// Initiator: the second message is expected.
    Begun(Box<Begun>),
    /// Responder: the third message is expected.
    Answered(Box<Answered>),
    Done,
}

#[derive(Clone, Debug)]
pub(super) struct Begun {
    spi_in: u32,
    nonce: [u8; NONCE_LEN],
    dh: Option<DhPrivate>,
    selectors: (TrafficSelector, TrafficSelector),
    policy: u8,
    replaces: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Answered {
    agreed: Agreed,
    nonces: (Vec<u8>, [u8; NONCE_LEN]),
}

/// What the first and the second message carry.
#[derive(Clone, Default)]
struct Parts<'a> {
    proposals: &'a [Proposal],
    nonce: &'a [u8],
    ke: Option<&'a [u8]>,
    ids: Vec<Id<'a>>,
    /// RESPONDER-LIFETIME.
    lifetime: Option<Duration>,
}

impl<'a> Parts<'a> {
    fn of(payloads: &'a [Payload<'a>]) -> Option<Self> {
        let mut parts = Self::default();
        for payload in payloads {
            match payload {
                Payload::Sa(proposals) => parts.proposals = proposals,
                Payload::Nonce(nonce) => parts.nonce = nonce,
                Payload::Ke(public) => parts.ke = Some(public),
                Payload::Id(id) => parts.ids.push(*id),
                Payload::Notify(n) if n.kind == NotifyType::ResponderLifetime => {
                    let attributes = parse_attributes(n.data).unwrap_or_default();
                    parts.lifetime = proposal::read_lifetime(Which::Two, &attributes);
                }
                _ => {}
            }
        }
        (!parts.proposals.is_empty() && !parts.nonce.is_empty()).then_some(parts)
    }

    /// What is behind the initiator and behind the responder; without identifications, the two ends themselves.
    fn selectors(&self, initiator: IpAddr, responder: IpAddr) -> Option<(TrafficSelector, TrafficSelector)> {
        match &self.ids[..] {
            [] => Some((TrafficSelector::prefix(initiator.into()), TrafficSelector::prefix(responder.into()))),
            [initiator, responder] => Some((selector(initiator)?, selector(responder)?)),
            _ => None,
        }
    }
}

/// What a Quick Mode of this end is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// A first CHILD_SA of this policy.
    First(u8),
    /// The successor of this one.
    Successor(&'a Child),
}

/// The selectors of what this end asks for: those of the policy; of a successor those of the one before, where the peer had asked for
/// less than the policy.
fn selectors(config: &Config, purpose: Purpose<'_>) -> Option<(TrafficSelector, TrafficSelector)> {
    let policy = match purpose {
        Purpose::First(policy) => policy,
        Purpose::Successor(child) => child.policy,
    };
    let (locals, remotes) = config.selectors(policy);
    match purpose {
        Purpose::Successor(Child { selectors: (local, remote), .. })
            if inside(local, locals) && inside(remote, remotes) =>
        {
            Some((*local, *remote))
        }
        _ => locals.first().copied().zip(remotes.first().copied()),
    }
}

/// Begins a Quick Mode.
pub(super) fn begin(sa: &mut Sa, env: &mut Env, purpose: Purpose<'_>) {
    let Some((local, remote)) = selectors(&env.config, purpose) else {
        return;
    };
    let (policy, replaces) = match purpose {
        Purpose::First(policy) => (policy, None),
        Purpose::Successor(child) => (child.policy, Some(child.spi_in)),
    };
    let message_id = sa.message_id(env);
    let (spi_in, nonce) = (env.esp_spi(), env.nonce());
    let dh = proposal::pfs_group(&env.config).map(|group| DhPrivate::generate(group, &mut env.secrets));
    let proposals = proposal::offer_esp(&env.config, spi_in, sa.path.has_nat());
    let Some(mut iv) = sa.keys().map(|keys| keys.iv(message_id)) else {
        return;
    };
    let (id_i, id_r) = (identification(&local), identification(&remote));
    let mut payloads = vec![Payload::Sa(proposals), Payload::Nonce(&nonce)];
    payloads.extend(dh.iter().map(|dh| Payload::Ke(dh.public())));
    payloads.extend([Payload::Id(id_i.id()), Payload::Id(id_r.id())]);
    let bytes = sa.protect(EXCHANGE, message_id, &mut iv, &[&message_id.to_be_bytes()], &payloads);
    env.step(Step::QuickModeSent, message_id, false, None);
    env.transmit(&sa.path, bytes.clone());
    sa.used.insert(message_id);
    let begun = Begun { spi_in, nonce, dh, selectors: (local, remote), policy, replaces };
    sa.quick.push(Quick {
        message_id,
        iv,
        received: Vec::new(),
        sent: bytes,
        series: Some(Series::new(env.now, &env.config.retransmission, &mut env.timers)),
        step: Progress::Begun(Box::new(begun)),
    });
}

/// Why a Quick Mode is refused; with the SPI that the peer has offered.
struct Refusal(NotifyType, Option<u32>);

/// Answers a first message.
pub(super) fn answer(
    sa: &mut Sa,
    env: &mut Env,
    children: &mut Children,
    header: &Header,
    received: Vec<u8>,
) -> Verdict {
    let message_id = header.message_id;
    let Some(keys) = sa.keys() else {
        return Verdict::Alive;
    };
    let (mut iv, mut bytes) = (keys.iv(message_id), received.clone());
    let opened = Opened::read(keys, &mut iv, header, &mut bytes)
        .and_then(|opened| opened.verify(keys, &[&message_id.to_be_bytes()]).map(|()| opened));
    let opened = match opened {
        Ok(opened) => opened,
        Err(reason) => {
            env.ignored(reason);
            return Verdict::Alive;
        }
    };
    sa.used.insert(message_id);
    env.step(Step::QuickModeReceived, message_id, false, None);
    match agree(sa, env, children, &opened) {
        Ok((answered, dh, proposal, offered)) => {
            if answered.agreed.replaces.is_some() {
                children.install(env, &answered.agreed, Sends::WhenHeard);
            }
            let own = env.config.child_lifetime;
            let mut data = Vec::new();
            emit_attributes(&proposal::responder_lifetime(Which::Two, own), &mut data);
            let spi = answered.agreed.spi_in.to_be_bytes();
            let notify =
                Notify { protocol: Protocol::Esp, spi: &spi, kind: NotifyType::ResponderLifetime, data: &data };
            let mut payloads = vec![Payload::Sa(vec![proposal]), Payload::Nonce(&answered.nonces.1)];
            payloads.extend(dh.iter().map(|dh| Payload::Ke(dh.public())));
            payloads.extend(opened.payloads.iter().filter(|payload| matches!(payload, Payload::Id(_))).cloned());
            payloads.extend(offered.filter(|offered| *offered > own).map(|_| Payload::Notify(notify)));
            let id = message_id.to_be_bytes();
            let sent = sa.protect(EXCHANGE, message_id, &mut iv, &[&id, &answered.nonces.0], &payloads);
            env.step(Step::QuickModeSent, message_id, true, None);
            env.transmit(&sa.path, sent.clone());
            let series = Some(Series::new(env.now, &env.config.retransmission, &mut env.timers));
            let step = Progress::Answered(Box::new(answered));
            sa.quick.push(Quick { message_id, iv, received, sent, series, step });
        }
        Err(Refusal(kind, spi)) => {
            let spi = spi.map(u32::to_be_bytes);
            let spi = spi.as_ref().map_or(&[][..], |spi| &spi[..]);
            informational::notify(sa, env, &Notify { protocol: Protocol::Esp, spi, kind, data: &[] });
        }
    }
    Verdict::Alive
}

type Answer = (Answered, Option<DhPrivate>, Proposal, Option<Duration>);

/// What the responder makes of the first message.
fn agree(sa: &Sa, env: &mut Env, children: &Children, opened: &Opened<'_>) -> Result<Answer, Refusal> {
    let parts = Parts::of(&opened.payloads).ok_or(Refusal(NotifyType::PayloadMalformed, None))?;
    let theirs = parts.proposals.first().and_then(|proposal| proposal.spi.child());
    let (phase2, proposal) = proposal::choose_esp(&env.config, parts.proposals, sa.path.has_nat())
        .ok_or(Refusal(NotifyType::NoProposalChosen, theirs))?;
    let invalid_id = Refusal(NotifyType::InvalidIdInformation, theirs);
    let asked = parts.selectors(env.remote, env.local);
    let policy = |theirs, ours| policy_of(sa, &env.config, children, (theirs, ours));
    let within = asked.and_then(|(theirs, ours)| Some((theirs, ours, policy(theirs, ours)?)));
    let (remote_ts, local_ts, policy) = within.ok_or(invalid_id)?;
    let invalid_key = || Refusal(NotifyType::InvalidKeyInformation, theirs);
    let exchanged = match (phase2.suite.group, parts.ke) {
        (Some(group), Some(public)) => {
            let dh = DhPrivate::generate(group, &mut env.secrets);
            let shared = dh.agree(public).map_err(|_| invalid_key())?;
            Some((dh, shared))
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(invalid_key()),
    };
    let (spi_in, nonce_r) = (env.esp_spi(), env.nonce());
    let secrets =
        Secrets { nonces: (parts.nonce, &nonce_r), shared: exchanged.as_ref().map(|(_, shared)| &shared[..]) };
    let replaces = children.current_of(policy).map(|child| child.spi_in);
    let told = phase2.lifetime;
    let traffic = Traffic { selectors: (local_ts, remote_ts), policy, replaces };
    let agreed = agreed(sa, &phase2, spi_in, &secrets, traffic, told);
    let answered = Answered { agreed: agreed.ok_or(invalid_key())?, nonces: (parts.nonce.to_vec(), nonce_r) };
    let proposal = Proposal { spi: spi_in.into(), ..proposal };
    Ok((answered, exchanged.map(|(dh, _)| dh), proposal, told))
}

/// The policy of this end that has room for what the peer asks for. A route-based end gives the peer's policies numbers: what is asked
/// for the networks of a CHILD_SA, or of one that is not yet confirmed, has its number.
fn policy_of(
    sa: &Sa,
    config: &Config,
    children: &Children,
    (theirs, ours): (TrafficSelector, TrafficSelector),
) -> Option<u8> {
    let has_room = |policy: u8| {
        let (local, remote) = config.selectors(policy);
        inside(&ours, local) && inside(&theirs, remote)
    };
    if !config.policies.is_empty() {
        return (0..=u8::MAX).take(config.policies.len()).find(|policy| has_room(*policy));
    }
    let answered = sa.quick.iter().filter_map(|quick| match &quick.step {
        Progress::Answered(answered) => Some(&answered.agreed),
        Progress::Begun(_) | Progress::Done => None,
    });
    let answered = answered.map(|agreed| (agreed.policy, (agreed.local_ts, agreed.remote_ts)));
    let known = || children.all.iter().map(|child| (child.policy, child.selectors)).chain(answered.clone());
    let same = known().find(|(_, selectors)| *selectors == (ours, theirs)).map(|(policy, _)| policy);
    let free = || (0..=u8::MAX).find(|number| known().all(|(policy, _)| policy != *number));
    has_room(0).then(|| same.or_else(free)).flatten()
}

/// What a CHILD_SA is for: this end's selector and the peer's, the policy that they are of, and the one before.
struct Traffic {
    selectors: (TrafficSelector, TrafficSelector),
    policy: u8,
    replaces: Option<u32>,
}

/// What KEYMAT is made of, beside SKEYID_d.
struct Secrets<'a> {
    nonces: (&'a [u8], &'a [u8]),
    shared: Option<&'a [u8]>,
}

fn agreed(
    sa: &Sa,
    phase2: &Phase2,
    spi_in: u32,
    secrets: &Secrets<'_>,
    Traffic { selectors: (local_ts, remote_ts), policy, replaces }: Traffic,
    told: Option<Duration>,
) -> Option<Agreed> {
    let keys = sa.keys()?;
    let suite: EspSuite = phase2.suite;
    Some(Agreed {
        spi_in,
        spi_out: phase2.spi,
        suite,
        inbound: keys.child(suite, spi_in, secrets.nonces, secrets.shared),
        outbound: keys.child(suite, phase2.spi, secrets.nonces, secrets.shared),
        encapsulation: sa.path.encapsulation(),
        local_ts,
        remote_ts,
        policy,
        told,
        replaces,
    })
}

/// Reads the second or the third message of the Quick Mode at `i`.
pub(super) fn proceed(
    sa: &mut Sa,
    env: &mut Env,
    children: &mut Children,
    i: usize,
    header: &Header,
    received: Vec<u8>,
) -> Verdict {
    let mut quick = sa.quick.remove(i);
    let outcome = match core::mem::replace(&mut quick.step, Progress::Done) {
        Progress::Begun(begun) => match begun.read(sa, env, children, &mut quick, header, received) {
            Ok(()) => Ok(()),
            Err(reason) => Err((reason, Progress::Begun(begun))),
        },
        Progress::Answered(answered) => match answered.read(sa, env, children, &mut quick, header, received) {
            Ok(()) => Ok(()),
            Err(reason) => Err((reason, Progress::Answered(answered))),
        },
        Progress::Done => Err((DropReason::UnexpectedMessage, Progress::Done)),
    };
    if let Err((reason, step)) = outcome {
        env.ignored(reason);
        quick.step = step;
    }
    sa.quick.insert(i, quick);
    let done = |quick: &Quick| matches!(quick.step, Progress::Done);
    if sa.quick.iter().filter(|quick| done(quick)).count() > MAX_DONE
        && let Some(oldest) = sa.quick.iter().position(done)
    {
        sa.quick.remove(oldest);
    }
    Verdict::Alive
}

impl Begun {
    /// The second message: the CHILD_SA is there, and the responder is told so.
    fn read(
        &self,
        sa: &mut Sa,
        env: &mut Env,
        children: &mut Children,
        quick: &mut Quick,
        header: &Header,
        received: Vec<u8>,
    ) -> Result<(), DropReason> {
        let keys = sa.keys().ok_or(DropReason::UnexpectedMessage)?;
        let (mut iv, mut bytes) = (quick.iv, received.clone());
        let id = quick.message_id.to_be_bytes();
        let opened = Opened::read(keys, &mut iv, header, &mut bytes)?;
        opened.verify(keys, &[&id, &self.nonce])?;
        env.step(Step::QuickModeReceived, quick.message_id, true, None);
        env.heard();
        quick.series = None;
        let answer = match self.agree(sa, env, &opened) {
            Ok(answer) => answer,
            Err(kind) => {
                let spi = self.spi_in.to_be_bytes();
                informational::notify(sa, env, &Notify { protocol: Protocol::Esp, spi: &spi, kind, data: &[] });
                children.refused(env, self.replaces, super::sa::reason_of(kind));
                return Ok(());
            }
        };
        let (agreed, nonce_r) = answer;
        let follows = self.replaces.is_some() && children.current_of(self.policy).is_some();
        let sends = if follows { Sends::WhenSettled } else { Sends::AtOnce };
        children.install(env, &agreed, sends);
        let sent = sa.protect(EXCHANGE, quick.message_id, &mut iv, &[&[0], &id, &self.nonce, &nonce_r], &[]);
        env.step(Step::QuickModeSent, quick.message_id, false, None);
        env.transmit(&sa.path, sent.clone());
        (quick.iv, quick.received, quick.sent) = (iv, received, sent);
        Ok(())
    }

    fn agree(&self, sa: &Sa, env: &Env, opened: &Opened<'_>) -> Result<(Agreed, Vec<u8>), NotifyType> {
        let parts = Parts::of(&opened.payloads).ok_or(NotifyType::PayloadMalformed)?;
        let phase2 = proposal::accept_esp(&env.config, parts.proposals, sa.path.has_nat())
            .ok_or(NotifyType::NoProposalChosen)?;
        // IKEv1 cannot narrow: the responder repeats what it was asked for (RFC 2409 section 5.5).
        let same = parts.ids.is_empty() || parts.selectors(env.local, env.remote) == Some(self.selectors);
        if !same {
            return Err(NotifyType::InvalidIdInformation);
        }
        let shared = match (&self.dh, parts.ke) {
            (Some(dh), Some(public)) => Some(dh.agree(public).map_err(|_| NotifyType::InvalidKeyInformation)?),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(NotifyType::InvalidKeyInformation),
        };
        let secrets = Secrets { nonces: (&self.nonce, parts.nonce), shared: shared.as_ref().map(|shared| &shared[..]) };
        let traffic = Traffic { selectors: self.selectors, policy: self.policy, replaces: self.replaces };
        let agreed = agreed(sa, &phase2, self.spi_in, &secrets, traffic, parts.lifetime);
        Ok((agreed.ok_or(NotifyType::InvalidKeyInformation)?, parts.nonce.to_vec()))
    }
}

impl Answered {
    /// The third message: the initiator is alive and has installed the SAs.
    fn read(
        &self,
        sa: &mut Sa,
        env: &mut Env,
        children: &mut Children,
        quick: &mut Quick,
        header: &Header,
        received: Vec<u8>,
    ) -> Result<(), DropReason> {
        let keys = sa.keys().ok_or(DropReason::UnexpectedMessage)?;
        let (mut iv, mut bytes) = (quick.iv, received.clone());
        let id = quick.message_id.to_be_bytes();
        let opened = Opened::read(keys, &mut iv, header, &mut bytes)?;
        // HASH(3) covers no payload, and none follows it.
        opened.verify(keys, &[&[0], &id, &self.nonces.0, &self.nonces.1])?;
        env.step(Step::QuickModeReceived, quick.message_id, false, None);
        env.heard();
        children.confirm(env, &self.agreed);
        // The peer's second pair, for other traffic: this end keeps one.
        let beside = children.beside(self.agreed.spi_in);
        if env.config.second_child != SecondChild::Kept && !beside.is_empty() {
            informational::delete_children(sa, env, &beside);
            beside.into_iter().for_each(|spi_in| children.down(env, spi_in, Reason::Displaced));
        }
        quick.series = None;
        // Nothing answers the third message, so nothing is repeated.
        (quick.iv, quick.received, quick.sent) = (iv, Vec::new(), Vec::new());
        Ok(())
    }
}

impl Quick {
    /// What this end's Quick Mode would have replaced, if it is this end's and under way.
    pub fn begun(&self) -> Option<Option<u32>> {
        match &self.step {
            Progress::Begun(begun) => Some(begun.replaces),
            Progress::Answered(_) | Progress::Done => None,
        }
    }

    /// True if it is this end's, under way, and offered this SPI.
    pub fn offered(&self, spi: u32) -> bool {
        matches!(&self.step, Progress::Begun(begun) if begun.spi_in == spi)
    }

    /// The outbound SPI of what this end has answered and the peer not confirmed.
    pub fn answered(&self) -> Option<u32> {
        match &self.step {
            Progress::Answered(answered) => Some(answered.agreed.spi_out),
            Progress::Begun(_) | Progress::Done => None,
        }
    }

    /// The inbound SPI of what this end has answered and the peer not confirmed.
    pub fn unconfirmed(&self) -> Option<u32> {
        match &self.step {
            Progress::Answered(answered) => Some(answered.agreed.spi_in),
            Progress::Begun(_) | Progress::Done => None,
        }
    }
}

/// True if the SA has a Quick Mode of this end under way for this policy.
pub(super) fn under_way(sa: &Sa, policy: u8) -> bool {
    let of_it = |quick: &Quick| matches!(&quick.step, Progress::Begun(begun) if begun.policy == policy);
    matches!(sa.phase, Phase::Established(_)) && sa.quick.iter().any(of_it)
}

/// What this end would have to make, by configuration.
pub(super) fn wanted(config: &Config) -> bool {
    !config.esp_offers.is_empty() && config.child_protocol == ChildProtocol::Esp
}

/// Gives up this end's answers, and what was installed for them.
pub(super) fn abandon(sa: &mut Sa, env: &mut Env, children: &mut Children, i: usize) {
    let quick = sa.quick.remove(i);
    if let Some(spi_in) = quick.unconfirmed().filter(|spi_in| children.awaits(*spi_in)) {
        children.down(env, spi_in, Reason::RetransmitExhausted);
    }
}
