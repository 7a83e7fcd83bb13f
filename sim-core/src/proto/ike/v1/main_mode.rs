//! Main Mode with a pre-shared key or signatures (RFC 2409 sections 5.4 and 5.1), both sides, with the detection of NATs (RFC 3947 section 3).
//!
//! ```text
//! 1  HDR, SA, VID              -->
//! 2                            <--  HDR, SA, VID
//! 3  HDR, KE, Ni, NAT-D x 2    -->
//! 4                            <--  HDR, KE, Nr, [CR,] NAT-D x 2
//! 5  HDR*, IDii, HASH_I        -->                             from here on UDP 4500, if there is a NAT
//! 6                            <--  HDR*, IDir, HASH_R
//!
//! 5  HDR*, IDii, CERT+, SIG_I, CR  -->                         with signatures
//! 6                                <--  HDR*, IDir, CERT+, SIG_R
//! ```
//!
//! The key that encrypts the fifth message comes from the pre-shared key, so with a wrong one the responder cannot read who
//! speaks: it answers PAYLOAD-MALFORMED, in clear and for what it is worth. strongSwan answers it under a key that the initiator
//! does not have; that much is noticed, and not believed.

use super::informational;
use super::keys::{Ingredients, Keys};
use super::nat;
use super::proof::{self, Failure, Proof};
use super::proposal::{self, Phase as Which};
use super::sa::{Abilities, Answered, Cookies, Established, Outstanding, Phase, Sa, Verdict, error_in, shorter};
use crate::crypto::dh::DhPrivate;
use crate::proto::ike::config::NatTraversal;
use crate::proto::ike::env::{Env, NONCE_LEN};
use crate::proto::ike::path::Path;
use crate::proto::ike::series::Series;
use crate::proto::ike::{Datagram, IkeSuite, IsakmpKeyLog, Output, PORT};
use crate::reason::{DropReason, Reason, Step};
use crate::time::Duration;
use crate::wire::ike::HEADER_LEN;
use crate::wire::ike::v1::{
    Builder, ExchangeType, Flags, Header, Message, Notify, NotifyType, Payload, Protocol, emit_attributes,
};

/// The MD5 hash of "RFC 3947" (RFC 3947 section 3.1).
const VENDOR_NAT_TRAVERSAL: [u8; 16] =
    [0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28, 0xf2, 0x0e, 0x95, 0x45, 0x2f];
/// Dead peer detection 1.0 (RFC 3706 section 5.1).
const VENDOR_DPD: [u8; 16] =
    [0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9, 0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57, 0x01, 0x00];
/// Before the minor version, DPD's two last octets, comes what names it.
const VENDOR_DPD_NAME: usize = 14;

/// Initiator: the offer is sent.
#[derive(Clone, Debug)]
pub(super) struct ExpectMessage2 {
    sa_body: Vec<u8>,
}

/// Responder: a suite is chosen.
#[derive(Clone, Debug)]
pub(super) struct ExpectMessage3 {
    sa_body: Vec<u8>,
    agreed: proposal::Phase1,
}

/// Initiator: key exchange and nonce are sent.
#[derive(Clone, Debug)]
pub(super) struct ExpectMessage4 {
    sa_body: Vec<u8>,
    suite: IkeSuite,
    dh: DhPrivate,
    nonce: [u8; NONCE_LEN],
}

/// Begins an ISAKMP SA. `None` if the configuration has no suite that IKEv1 can name.
pub(super) fn initiate(env: &mut Env, purpose: Reason) -> Option<Sa> {
    let proposals = proposal::offer_ike(&env.config)?;
    let cookies = Cookies { initiator: true, i: env.ike_spi(), r: 0 };
    env.connecting(purpose);
    let bytes = first_pair(env, cookies, Payload::Sa(proposals));
    let expect = ExpectMessage2 { sa_body: first_body(&bytes).to_vec() };
    let path = Path::new(PORT, (env.remote, PORT));
    let mut sa = Sa::new(cookies, path, Phase::ExpectMessage2(Box::new(expect)), purpose, env.now);
    send(&mut sa, env, bytes);
    Some(sa)
}

/// Answers the first message. `None` if there is nothing to remember.
pub(super) fn respond(env: &mut Env, header: &Header, datagram: Datagram) -> Option<Sa> {
    let path = Path::new(datagram.local.1, datagram.remote);
    let Ok(message) = Message::parse(&datagram.bytes) else {
        env.ignored(DropReason::Malformed);
        return None;
    };
    let Some(Payload::Sa(proposals)) = message.payloads.first() else {
        env.ignored(DropReason::Malformed);
        return None;
    };
    let cookies = Cookies { initiator: false, i: header.cookie_i, r: env.ike_spi() };
    env.step(Step::MainModeReceived, 0, false, None);
    let Some((agreed, answer)) = proposal::choose_ike(&env.config, proposals) else {
        informational::refuse(env, cookies, &path, NotifyType::NoProposalChosen);
        return None;
    };
    env.connecting(Reason::PeerInitiated);
    let expect = ExpectMessage3 { sa_body: first_body(&datagram.bytes).to_vec(), agreed };
    let phase = Phase::ExpectMessage3(Box::new(expect));
    let mut sa = Sa::new(cookies, path, phase, Reason::PeerInitiated, env.now);
    sa.peer = abilities(&message.payloads);
    let bytes = first_pair(env, cookies, Payload::Sa(vec![answer]));
    answer_with(&mut sa, env, datagram.bytes, bytes);
    Some(sa)
}

/// The first or the second message.
fn first_pair(env: &Env, cookies: Cookies, sa: Payload<'_>) -> Vec<u8> {
    let mut builder = Builder::new(&clear_header(cookies));
    builder.push(&sa).push(&Payload::VendorId(&VENDOR_DPD));
    if env.config.nat != NatTraversal::Off {
        builder.push(&Payload::VendorId(&VENDOR_NAT_TRAVERSAL));
    }
    builder.finish()
}

pub(super) fn clear_header(cookies: Cookies) -> Header {
    Header::new(cookies.pair(), ExchangeType::MainMode, Flags::default(), 0)
}

fn abilities(payloads: &[Payload<'_>]) -> Abilities {
    let mut abilities = Abilities::default();
    for payload in payloads {
        if let Payload::VendorId(vendor) = payload {
            abilities.nat_traversal |= *vendor == VENDOR_NAT_TRAVERSAL;
            abilities.dpd |= vendor.starts_with(&VENDOR_DPD[..VENDOR_DPD_NAME]);
        }
    }
    abilities
}

/// The body of a message's first payload. The initiator's SA payload is part of what both ends authenticate, as it was sent.
fn first_body(bytes: &[u8]) -> &[u8] {
    let length = usize::from(u16::from_be_bytes([bytes[HEADER_LEN + 2], bytes[HEADER_LEN + 3]]));
    &bytes[HEADER_LEN + 4..HEADER_LEN + length]
}

/// The initiator sends, and repeats until it is answered.
fn send(sa: &mut Sa, env: &mut Env, bytes: Vec<u8>) {
    env.step(Step::MainModeSent, 0, false, None);
    env.transmit(&sa.path, bytes.clone());
    let series = Series::new(env.now, &env.config.retransmission, &mut env.timers);
    sa.outstanding = Some(Outstanding { bytes, series });
}

/// The responder answers, and answers a repetition alike.
fn answer_with(sa: &mut Sa, env: &mut Env, received: Vec<u8>, sent: Vec<u8>) {
    env.step(Step::MainModeSent, 0, true, None);
    env.transmit(&sa.path, sent.clone());
    sa.answered = Some(Answered { received, sent });
}

/// Key exchange and nonce of the third or fourth message.
fn exchanged<'a>(payloads: &[Payload<'a>]) -> Option<(&'a [u8], &'a [u8])> {
    let (mut ke, mut nonce) = (None, None);
    for payload in payloads {
        match payload {
            Payload::Ke(public) => ke = Some(*public),
            Payload::Nonce(data) => nonce = Some(*data),
            _ => {}
        }
    }
    ke.zip(nonce)
}

/// The third or the fourth message.
fn second_pair(env: &mut Env, sa: &Sa, suite: IkeSuite, public: &[u8], nonce: &[u8]) -> Vec<u8> {
    let hashes = sa.peer.nat_traversal.then(|| nat::hashes(env, suite.prf, sa.cookies, &sa.path));
    let mut builder = Builder::new(&clear_header(sa.cookies));
    builder.push(&Payload::Ke(public)).push(&Payload::Nonce(nonce));
    // An initiator asks in its fifth message.
    for name in proof::authorities(&env.config).iter().filter(|_| !sa.cookies.initiator) {
        builder.push(&proof::request(name));
    }
    for hash in hashes.iter().filter(|_| env.config.nat != NatTraversal::Off).flatten() {
        builder.push(&Payload::NatD(hash));
    }
    builder.finish()
}

impl ExpectMessage2 {
    /// Reads the chosen suite. What does not fit is ignored, because anybody can forge it.
    pub fn read(self, sa: &mut Sa, env: &mut Env, header: &Header, datagram: &Datagram) -> Verdict {
        let message = Message::parse(&datagram.bytes).ok().filter(|_| header.cookie_r != 0);
        let Some(Payload::Sa(answer)) = message.as_ref().and_then(|m| m.payloads.first()) else {
            env.ignored(DropReason::Malformed);
            sa.phase = Phase::ExpectMessage2(Box::new(self));
            return Verdict::Alive;
        };
        env.step(Step::MainModeReceived, 0, true, None);
        let Some(agreed) = proposal::accept_ike(&env.config, answer) else {
            return Verdict::Over(Reason::NoProposalChosen);
        };
        sa.cookies.r = header.cookie_r;
        sa.peer = abilities(message.as_ref().map(|m| &m.payloads[..]).unwrap_or_default());
        let dh = DhPrivate::generate(agreed.suite.group, &mut env.secrets);
        let expect = ExpectMessage4 { sa_body: self.sa_body, suite: agreed.suite, dh, nonce: env.nonce() };
        let bytes = second_pair(env, sa, expect.suite, expect.dh.public(), &expect.nonce);
        sa.phase = Phase::ExpectMessage4(Box::new(expect));
        send(sa, env, bytes);
        Verdict::Alive
    }
}

impl ExpectMessage3 {
    /// Reads the initiator's key exchange, answers with this end's; then both have the keys.
    pub fn read(self, sa: &mut Sa, env: &mut Env, datagram: Datagram) -> Verdict {
        let suite = self.agreed.suite;
        let message = Message::parse(&datagram.bytes);
        let payloads = message.as_ref().map(|m| &m.payloads[..]).unwrap_or_default();
        let dh = DhPrivate::generate(suite.group, &mut env.secrets);
        let agreement = exchanged(payloads).and_then(|(public, nonce)| Some((public, nonce, dh.agree(public).ok()?)));
        let Some((public, nonce_i, shared)) = agreement else {
            env.ignored(DropReason::Malformed);
            sa.phase = Phase::ExpectMessage3(Box::new(self));
            return Verdict::Alive;
        };
        env.step(Step::MainModeReceived, 0, false, None);
        let nonce_r = env.nonce();
        let bytes = second_pair(env, sa, suite, dh.public(), &nonce_r);
        if sa.peer.nat_traversal && nat::detect(env, suite.prf, sa.cookies, &mut sa.path, payloads) {
            env.step(Step::NatDetected, 0, false, None);
        }
        let publics = (public.to_vec(), dh.public().to_vec());
        let keys = keys(env, sa.cookies, suite, (nonce_i, &nonce_r), &publics, &shared);
        let proof = Proof { keys, sa_body: self.sa_body, publics, offered: self.agreed.lifetime };
        sa.phase = Phase::ExpectMessage5(Box::new(proof));
        answer_with(sa, env, datagram.bytes, bytes);
        Verdict::Alive
    }
}

impl ExpectMessage4 {
    /// Reads the responder's key exchange; proves who this end is.
    pub fn read(self, sa: &mut Sa, env: &mut Env, datagram: &Datagram) -> Verdict {
        let message = Message::parse(&datagram.bytes);
        let payloads = message.as_ref().map(|m| &m.payloads[..]).unwrap_or_default();
        let agreement =
            exchanged(payloads).and_then(|(public, nonce)| Some((public, nonce, self.dh.agree(public).ok()?)));
        let Some((public, nonce_r, shared)) = agreement else {
            env.ignored(DropReason::Malformed);
            sa.phase = Phase::ExpectMessage4(Box::new(self));
            return Verdict::Alive;
        };
        env.step(Step::MainModeReceived, 0, true, None);
        if sa.peer.nat_traversal && nat::detect(env, self.suite.prf, sa.cookies, &mut sa.path, payloads) {
            env.step(Step::NatDetected, 0, true, None);
            sa.path.float();
        }
        let publics = (self.dh.public().to_vec(), public.to_vec());
        let keys = keys(env, sa.cookies, self.suite, (&self.nonce, nonce_r), &publics, &shared);
        let mut proof = Proof { keys, sa_body: self.sa_body, publics, offered: None };
        let cookies = sa.cookies.octets();
        let contact = Notify { protocol: Protocol::Isakmp, spi: &cookies, kind: NotifyType::InitialContact, data: &[] };
        let contact = env.alone.then_some(contact);
        let bytes = proof.message(env, sa.cookies, contact);
        sa.phase = Phase::ExpectMessage6(Box::new(proof));
        send(sa, env, bytes);
        Verdict::Alive
    }
}

fn keys(
    env: &mut Env,
    cookies: Cookies,
    suite: IkeSuite,
    nonces: (&[u8], &[u8]),
    publics: &(Vec<u8>, Vec<u8>),
    shared: &[u8],
) -> Keys {
    let ingredients = Ingredients {
        psk: env.config.credentials.is_none().then_some(&env.config.psk[..]),
        nonces,
        publics: (&publics.0, &publics.1),
        shared,
        cookies: cookies.pair(),
    };
    let keys = Keys::derive(suite, &ingredients);
    let log = IsakmpKeyLog { cookie_i: cookies.i, suite, encryption: keys.encryption.clone() };
    env.out.push_back(Output::IsakmpKeys(Box::new(log)));
    keys
}

impl Proof {
    /// Responder: the fifth message. Whatever cannot be read is ignored, because anybody can forge it.
    pub fn read_message_5(mut self, sa: &mut Sa, env: &mut Env, header: &Header, datagram: Datagram) -> Verdict {
        let Datagram { local, remote, bytes } = datagram;
        let told = match self.verify(env, sa.cookies, header, &mut bytes.clone()) {
            Ok(told) => told,
            Err(Failure::Unreadable) => {
                let notice = Some(Reason::PayloadMalformed);
                env.step(Step::MainModeReceived, 0, false, notice);
                let back = Path { local_port: local.1, remote, ..sa.path };
                informational::refuse(env, sa.cookies, &back, NotifyType::PayloadMalformed);
                sa.phase = Phase::ExpectMessage5(Box::new(self));
                return Verdict::Alive;
            }
            Err(Failure::Refused(kind, reason)) => {
                env.step(Step::MainModeReceived, 0, false, None);
                sa.path = Path { local_port: local.1, remote, ..sa.path };
                sa.phase = Phase::ExpectMessage5(Box::new(self));
                return informational::refuse_protected(sa, env, kind, reason);
            }
        };
        env.step(Step::MainModeReceived, 0, false, None);
        env.heard();
        // The initiator may have floated (RFC 3947 section 4).
        sa.path = Path { local_port: local.1, remote, ..sa.path };
        let own = env.config.ike_lifetime;
        let mut data = Vec::new();
        emit_attributes(&proposal::responder_lifetime(Which::One, own), &mut data);
        let cookies = sa.cookies.octets();
        let notify =
            Notify { protocol: Protocol::Isakmp, spi: &cookies, kind: NotifyType::ResponderLifetime, data: &data };
        let answer = self.message(env, sa.cookies, self.offered.is_some_and(|offered| offered > own).then_some(notify));
        establish(sa, env, self.keys, self.offered);
        answer_with(sa, env, bytes, answer);
        Verdict::Up(told.initial_contact)
    }

    /// Initiator: the sixth message.
    pub fn read_message_6(mut self, sa: &mut Sa, env: &mut Env, header: &Header, datagram: &Datagram) -> Verdict {
        match self.verify(env, sa.cookies, header, &mut datagram.bytes.clone()) {
            Ok(told) => {
                env.step(Step::MainModeReceived, 0, true, None);
                env.heard();
                sa.outstanding = None;
                establish(sa, env, self.keys, told.lifetime);
                Verdict::Up(told.initial_contact)
            }
            Err(Failure::Unreadable) => {
                env.ignored(DropReason::Malformed);
                sa.phase = Phase::ExpectMessage6(Box::new(self));
                Verdict::Alive
            }
            Err(Failure::Refused(kind, reason)) => {
                env.step(Step::MainModeReceived, 0, true, None);
                sa.phase = Phase::ExpectMessage6(Box::new(self));
                let verdict = informational::refuse_protected(sa, env, kind, reason);
                // The responder believes in an ISAKMP SA.
                informational::delete_isakmp(sa, env);
                verdict
            }
        }
    }
}

fn establish(sa: &mut Sa, env: &mut Env, keys: Keys, told: Option<Duration>) {
    let lifetime = shorter(env.config.ike_lifetime, told);
    let rekey = env.config.rekey;
    let after = rekey.after(lifetime, &mut env.timers);
    sa.phase = Phase::Established(Box::new(Established {
        keys,
        since: env.now,
        expires: env.now + lifetime,
        rekey: rekey.initiates.then_some(env.now + after),
        probe: None,
        // RFC 3706 section 5.2: random, with the highest bit clear.
        sequence: env.secrets.u32() >> 1,
    }));
}

/// Initiator: a message in clear, or protected once there are keys, that refuses what this end asked for.
pub(super) fn read_refusal(sa: &Sa, env: &mut Env, header: &Header, datagram: Datagram) -> Verdict {
    let mut bytes = datagram.bytes;
    let refused = match (header.flags.encryption, sa.keys()) {
        (false, _) => Message::parse(&bytes).ok().and_then(|message| error_in(&message.payloads).map(|(_, r)| r)),
        (true, Some(keys)) => match informational::open(keys, header, &mut bytes) {
            Ok(opened) => error_in(&opened.payloads).map(|(_, reason)| reason),
            Err(_) => {
                // Whoever has sent it: nothing follows from it.
                let notice = Some(Reason::Undecipherable);
                env.step(Step::IsakmpInformationalReceived, header.message_id, false, notice);
                return Verdict::Alive;
            }
        },
        (true, None) => None,
    };
    let Some(reason) = refused else {
        env.ignored(DropReason::UnexpectedMessage);
        return Verdict::Alive;
    };
    env.step(Step::IsakmpInformationalReceived, header.message_id, false, Some(reason));
    Verdict::Over(reason)
}
