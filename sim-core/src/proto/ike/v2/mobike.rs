//! MOBIKE (RFC 4555): the addresses of both ends change under a living IKE_SA.
//!
//! ```text
//! HDR, SK {N(UPDATE_SA_ADDRESSES), N(NATD) x 2}  -->      from and to the addresses to be used from now on
//!                                                <--  HDR, SK {N(NATD) x 2}
//!                                                <--  HDR, SK {N(COOKIE2)}      does somebody receive there?
//! HDR, SK {N(COOKIE2)}                           -->
//! ```
//!
//! Only the end that initiated the first of a series of rekeyed IKE_SAs, the *initiator* here, decides which pair of addresses
//! is used (section 3.1). It sends ESP between them at once; the responder goes by the IP header of the request (section 3.5), and
//! turns ESP around when the new address has returned a COOKIE2 (section 3.7). A request that is not answered is repeated also
//! between other pairs of addresses, and the pair between which the answer came is used from then on (section 3.10).
//! Each response goes back to where its request came from. Without NAT traversal NO_NATS_ALLOWED forbids translation (section 3.9).
//!
//! An end whose address changes and whose peer has not announced MOBIKE begins anew, as strongSwan does.
//!
//! Left out: windows above 1; to look at the addresses of ESP packets before they count as a sign of life (section 3.12); longer
//! patience of responders (section 3.11), which is a matter of configuration; to ask for a changed NAT mapping while ESP is
//! flowing (section 3.8), of which ESP itself tells the responder.

use core::net::IpAddr;

use subtle::ConstantTimeEq as _;

use super::env::Env;
use super::fragment::Outgoing;
use super::nat;
use super::sa::{Path, Sa, Verdict, error_in, reason_of};
use super::task::{Job, Task};
use super::transition::SaState;
use super::window::Window;
use crate::proto::ike::config::NatTraversal;
use crate::proto::ike::mobility::{Ends, Mobility};
use crate::proto::ike::{Moved, NAT_PORT, Output, PORT};
use crate::reason::{Reason, Step};
use crate::wire::ike::mobike::{COOKIE2_LEN, NoNatsAllowed, additional_address, told_address};
use crate::wire::ike::{ExchangeType, Notify, NotifyType, Payload};

const EXCHANGE: ExchangeType = ExchangeType::Informational;

/// How often in a row an update may be refused before the IKE_SA is given up (section 3.9: "several times"; assumed).
const MAX_REFUSALS: u8 = 3;

/// A COOKIE2 of this end.
type Cookie = [u8; 16];

/// Which end this one is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Role {
    /// It decides.
    Initiator,
    Responder,
}

/// Something to ask or tell about addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Wish {
    /// UPDATE_SA_ADDRESSES for the pair in use.
    Update,
    /// COOKIE2 to the peer's address in use.
    Check,
    /// The addresses of this end.
    Tell,
}

/// What was asked.
#[derive(Clone, Hash, Debug)]
pub(super) enum Asked {
    /// UPDATE_SA_ADDRESSES for this pair.
    Update { pair: (IpAddr, IpAddr), cookie: Option<Cookie> },
    /// COOKIE2 to this address.
    Check { remote: (IpAddr, u16), cookie: Cookie },
}

/// Notifications with their data.
#[derive(Default)]
pub(super) struct Notices(Vec<(NotifyType, Vec<u8>)>);

impl Notices {
    fn add(&mut self, kind: NotifyType, data: impl Into<Vec<u8>>) {
        self.0.push((kind, data.into()));
    }

    fn addresses(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        self.0.extend(addresses.map(additional_address));
    }

    fn nat_detection(&mut self, hashes: Option<[nat::Hash; 2]>) {
        if let Some([source, destination]) = hashes {
            self.add(NotifyType::NatDetectionSourceIp, source);
            self.add(NotifyType::NatDetectionDestinationIp, destination);
        }
    }

    /// Section 3.9: in whatever can change addresses, if this end does not look for NATs.
    fn no_nats(&mut self, env: &Env, path: &Path) {
        if env.config.nat == NatTraversal::Off {
            let said = NoNatsAllowed { source: (env.local, path.local_port), destination: path.remote };
            self.add(NotifyType::NoNatsAllowed, said.octets());
        }
    }

    pub fn payloads(&self) -> impl Iterator<Item = Payload<'_>> {
        self.0.iter().map(|(kind, data)| Payload::Notify(Notify::new(*kind, data)))
    }
}

fn notices<'a>(payloads: &'a [Payload<'a>], kind: NotifyType) -> impl Iterator<Item = &'a Notify<'a>> {
    payloads.iter().filter_map(move |payload| match payload {
        Payload::Notify(n) if n.kind == kind => Some(n),
        _ => None,
    })
}

fn has(payloads: &[Payload<'_>], kind: NotifyType) -> bool {
    notices(payloads, kind).next().is_some()
}

// IKE_AUTH (sections 3.2 to 3.4).

/// What this end says of itself in IKE_AUTH; as responder, if both have announced it.
pub(super) fn announce(sa: &Sa, env: &Env, request: bool) -> Notices {
    let mut said = Notices::default();
    if let Some(own) = env.mobility.as_deref().filter(|_| request || sa.mobike.is_some()) {
        said.add(NotifyType::MobikeSupported, []);
        said.addresses(own.additional(env.local));
        if request {
            said.no_nats(env, &sa.path);
        }
    }
    said
}

/// Reads what the peer says of itself in IKE_AUTH.
pub(super) fn agree(sa: &mut Sa, env: &mut Env, role: Role, payloads: &[Payload<'_>]) {
    if let Some(own) = env.mobility.as_deref_mut().filter(|_| has(payloads, NotifyType::MobikeSupported)) {
        sa.mobike = Some(role);
        own.remote = addresses_in(payloads);
        (own.tried, own.refused) = (0, 0);
    }
}

/// True if a message of the peer forbids NATs and has met one, on the IKE_SA's path.
pub(super) fn is_translated(sa: &Sa, env: &Env, payloads: &[Payload<'_>]) -> bool {
    let ends = Ends { local: (env.local, sa.path.local_port), remote: sa.path.remote };
    sa.mobike.is_some() && meets_nat(&ends, payloads)
}

fn meets_nat(ends: &Ends, payloads: &[Payload<'_>]) -> bool {
    let expected = NoNatsAllowed { source: ends.remote, destination: ends.local };
    notices(payloads, NotifyType::NoNatsAllowed).any(|n| NoNatsAllowed::parse(n.data) != Some(expected))
}

fn addresses_in(payloads: &[Payload<'_>]) -> Vec<IpAddr> {
    /// More is not kept of what a peer may say (assumed).
    const MOST: usize = 16;
    let told = payloads.iter().filter_map(|payload| match payload {
        Payload::Notify(n) => told_address(n),
        _ => None,
    });
    told.take(MOST).collect()
}

/// How the responder sees this end (section 3.8).
pub(super) fn note_own_address(env: &mut Env, payloads: &[Payload<'_>]) {
    if let (Some(own), Some(seen)) = (&mut env.mobility, seen_in(payloads)) {
        own.seen = Some(seen);
    }
}

fn seen_in(payloads: &[Payload<'_>]) -> Option<nat::Hash> {
    notices(payloads, NotifyType::NatDetectionDestinationIp).find_map(|n| n.data.try_into().ok())
}

// Where messages go.

/// A request has arrived there: so its response goes there.
pub(super) fn note_request(sa: &Sa, env: &mut Env, ends: &Ends) {
    if let Some(own) = env.mobility.as_deref_mut().filter(|_| sa.mobike.is_some()) {
        own.reply = Some(*ends);
    }
}

/// The request is answered, or was not worth an answer.
pub(super) fn answered(env: &mut Env) {
    if let Some(own) = &mut env.mobility {
        own.reply = None;
    }
}

/// Sends a response: along `path`, or back to where its request came from.
pub(super) fn send_response(env: &mut Env, message: &Outgoing, path: &Path) {
    match env.mobility.as_deref_mut().and_then(|own| own.reply.take()) {
        Some(Ends { local, remote }) => {
            send_from(env, message, local.0, &Path { local_port: local.1, remote, ..*path });
        }
        None => message.send(env, path),
    }
}

fn send_from(env: &mut Env, message: &Outgoing, local: IpAddr, path: &Path) {
    set_from(env, Some(local));
    message.send(env, path);
    set_from(env, None);
}

fn set_from(env: &mut Env, from: Option<IpAddr>) {
    if let Some(own) = &mut env.mobility {
        own.from = from;
    }
}

/// A request is repeated: also between another pair of addresses, in turn (section 3.10).
pub(super) fn send_elsewhere(sa: &Sa, env: &mut Env, message: &Outgoing) {
    if sa.mobike != Some(Role::Initiator) {
        return;
    }
    let in_use = (env.local, sa.path.remote.0);
    if let Some((local, remote)) = env.mobility.as_deref_mut().and_then(|own| own.next_pair(in_use)) {
        send_from(env, message, local, &Path { remote: at(remote, &sa.path), ..sa.path });
    }
}

/// Another address of the peer: it is behind no NAT there, as far as this end knows.
fn at(remote: IpAddr, path: &Path) -> (IpAddr, u16) {
    let floated = path.local_port == NAT_PORT;
    (remote, if floated { NAT_PORT } else { PORT })
}

/// A response has come between these addresses: if they are not those in use, they are from now on.
pub(super) fn came_by(sa: &mut Sa, env: &mut Env, ends: &Ends) {
    let (pair, in_use) = ((ends.local.0, ends.remote.0), (env.local, sa.path.remote.0));
    let Some(own) = env.mobility.as_deref_mut().filter(|_| sa.mobike == Some(Role::Initiator)) else { return };
    own.tried = 0;
    let known = own.local.contains(&pair.0) && (own.remote.contains(&pair.1) || pair.1 == in_use.1);
    if pair != in_use && known && sa.state() == SaState::Established {
        use_pair(sa, env, pair);
    }
}

/// Goes over to another pair of addresses. ESP to another address of the peer waits, if the peer is to be checked there.
fn use_pair(sa: &mut Sa, env: &mut Env, (local, remote): (IpAddr, IpAddr)) {
    let before = sa.path.remote.0;
    env.local = local;
    if before != remote {
        sa.path.remote = at(remote, &sa.path);
        if let Some(own) = &mut env.mobility {
            own.remote.retain(|address| *address != remote);
            own.remote.push(before);
        }
    }
    let unchecked = before != remote && checks_return(env);
    match env.mobility.as_deref_mut().filter(|_| unchecked) {
        Some(own) => own.unchecked = true,
        None => commit(sa, env),
    }
    enqueue(sa, Wish::Update);
}

/// True while ESP waits for a COOKIE2.
fn is_unchecked(env: &Env) -> bool {
    env.mobility.as_deref().is_some_and(|own| own.unchecked)
}

fn checks_return(env: &Env) -> bool {
    env.config.mobike.as_ref().is_some_and(|own| own.checks_return)
}

/// ESP goes where IKE goes.
fn commit(sa: &Sa, env: &mut Env) {
    env.mobility.iter_mut().for_each(|own| own.unchecked = false);
    let (local, remote, encapsulation) = (env.local, sa.path.remote.0, sa.encapsulation());
    env.out.push_back(Output::Moved(Box::new(Moved { local, remote, encapsulation })));
}

fn enqueue(sa: &mut Sa, wish: Wish) {
    let job = Job::Mobike(wish);
    if !sa.window.queue.contains(&job) {
        sa.window.queue.push_front(job);
    }
}

// This end's address changes (section 3.5).

/// The address of this end has changed to the one in `env`. False if the IKE_SA cannot follow. One that is replaced is updated as
/// well: the peer may not have read yet that it is.
pub(super) fn moved_here(sa: &mut Sa, env: &mut Env) -> bool {
    let Some(role) = sa.mobike else { return false };
    match sa.state() {
        SaState::Established if !is_unchecked(env) => commit(sa, env),
        SaState::Established | SaState::Replaced => {}
        SaState::ExpectInitResponse
        | SaState::ExpectIntermediateResponse
        | SaState::ExpectAuthResponse
        | SaState::ExpectIntermediateRequest
        | SaState::ExpectAuthRequest
        | SaState::Deleting
        | SaState::Lingering => return true,
    }
    if let Some(request) = &sa.window.outstanding {
        // What is under way is repeated from the new address.
        env.step(Step::Retransmitted, request.id, false, None);
        request.message.send(env, &sa.path);
    }
    enqueue(sa, if role == Role::Initiator { Wish::Update } else { Wish::Tell });
    sa.pump(env);
    true
}

/// The further addresses of this end have changed (section 3.6).
pub(super) fn tell(sa: &mut Sa, env: &mut Env) {
    if sa.mobike.is_some() && sa.state() == SaState::Established {
        enqueue(sa, Wish::Tell);
        sa.pump(env);
    }
}

/// The window of an IKE_SA that replaces `old`: what was asked there and not answered is asked again, because the peer may have
/// made its end of the new one with the old addresses.
pub(super) fn window_of_heir(old: &Sa) -> Window {
    let mut window = Window::default();
    if let Some(Task::Mobike(asked)) = old.window.outstanding.as_ref().map(|request| &request.task) {
        window.queue.push_back(Job::Mobike(match **asked {
            Asked::Update { .. } => Wish::Update,
            Asked::Check { .. } => Wish::Check,
        }));
    }
    window
}

/// Sends a request about addresses.
pub(super) fn ask(sa: &mut Sa, env: &mut Env, wish: Wish) {
    let mut said = Notices::default();
    let task = match wish {
        Wish::Update => {
            let pair = (env.local, sa.path.remote.0);
            let cookie = is_unchecked(env).then(|| cookie(env));
            said.add(NotifyType::UpdateSaAddresses, []);
            said.nat_detection(nat::hashes(env, (sa.ids.spi_i, sa.ids.spi_r), &sa.path));
            said.no_nats(env, &sa.path);
            cookie.iter().for_each(|cookie| said.add(NotifyType::Cookie2, *cookie));
            Task::Mobike(Box::new(Asked::Update { pair, cookie }))
        }
        Wish::Check => {
            let cookie = cookie(env);
            said.add(NotifyType::Cookie2, cookie);
            Task::Mobike(Box::new(Asked::Check { remote: sa.path.remote, cookie }))
        }
        Wish::Tell => {
            said.addresses(env.mobility.iter().flat_map(|own| own.additional(env.local)));
            if said.0.is_empty() {
                said.add(NotifyType::NoAdditionalAddresses, []);
            }
            said.no_nats(env, &sa.path);
            Task::Notice
        }
    };
    let payloads: Vec<Payload<'_>> = said.payloads().collect();
    sa.request(env, EXCHANGE, task, &payloads);
}

fn cookie(env: &mut Env) -> Cookie {
    let mut cookie = Cookie::default();
    env.secrets.fill(&mut cookie);
    cookie
}

/// Reads the response to [`ask`].
pub(super) fn read(sa: &mut Sa, env: &mut Env, asked: Asked, payloads: &[Payload<'_>]) -> Verdict {
    let returned = |cookie: &Cookie| {
        notices(payloads, NotifyType::Cookie2).any(|n| n.data.len() == cookie.len() && bool::from(cookie.ct_eq(n.data)))
    };
    match asked {
        // Section 3.7: the IKE_SA must be closed.
        Asked::Update { cookie: Some(cookie), .. } | Asked::Check { cookie, .. } if !returned(&cookie) => {
            give_up(sa, Reason::ReturnRoutability);
        }
        // If the peer has moved since, another check waits in the queue.
        Asked::Check { remote, .. } if remote == sa.path.remote => commit(sa, env),
        Asked::Check { .. } => {}
        Asked::Update { pair, cookie } if pair == (env.local, sa.path.remote.0) => match error_in(payloads) {
            Some((notify, _)) => refused(sa, env, notify.kind),
            None => updated(sa, env, cookie.is_some(), payloads),
        },
        // This end has moved since, and another update waits in the queue.
        Asked::Update { .. } => {}
    }
    Verdict::Alive
}

/// The responder has updated its end.
fn updated(sa: &mut Sa, env: &mut Env, was_checked: bool, payloads: &[Payload<'_>]) {
    let before = sa.path;
    look_for_nats(sa, env, payloads);
    if let Some(own) = &mut env.mobility {
        own.refused = 0;
        own.seen = seen_in(payloads);
    }
    if was_checked || (sa.path != before && !is_unchecked(env)) {
        commit(sa, env);
    }
}

/// Who is behind a NAT on the path in use, if the message says so (section 3.5).
fn look_for_nats(sa: &mut Sa, env: &Env, payloads: &[Payload<'_>]) {
    if has(payloads, NotifyType::NatDetectionSourceIp) {
        (sa.path.local_nat, sa.path.remote_nat) = (false, false);
        nat::detect(env, (sa.ids.spi_i, sa.ids.spi_r), &mut sa.path, payloads);
    }
}

/// The responder has not updated its end: another pair of addresses, if there is one; a NAT may be gone the next time.
fn refused(sa: &mut Sa, env: &mut Env, kind: NotifyType) {
    let in_use = (env.local, sa.path.remote.0);
    let Some(own) = env.mobility.as_deref_mut() else { return };
    own.refused += 1;
    let other = own.next_pair(in_use);
    match other {
        _ if own.refused == MAX_REFUSALS => give_up(sa, reason_of(kind)),
        Some(pair) => use_pair(sa, env, pair),
        None if kind == NotifyType::UnexpectedNatDetected => enqueue(sa, Wish::Update),
        None => give_up(sa, reason_of(kind)),
    }
}

fn give_up(sa: &mut Sa, reason: Reason) {
    sa.window.queue.clear();
    sa.window.queue.push_front(Job::DeleteIke(reason));
}

/// Sends a liveness check. An initiator behind a NAT asks how it is seen (section 3.8).
pub(super) fn probe(sa: &mut Sa, env: &mut Env) {
    let mut said = Notices::default();
    if sa.mobike == Some(Role::Initiator) && sa.path.local_nat {
        said.nat_detection(nat::hashes(env, (sa.ids.spi_i, sa.ids.spi_r), &sa.path));
    }
    let payloads: Vec<Payload<'_>> = said.payloads().collect();
    sa.request(env, EXCHANGE, Task::Liveness, &payloads);
}

/// Reads the response to [`probe`]: if the NAT has made another mapping, the responder must be told.
pub(super) fn probed(sa: &mut Sa, env: &mut Env, payloads: &[Payload<'_>]) -> Verdict {
    let Some(own) = env.mobility.as_deref_mut().filter(|_| sa.mobike == Some(Role::Initiator)) else {
        return Verdict::Alive;
    };
    let seen = seen_in(payloads);
    if seen.is_some() && own.seen != seen {
        own.seen = seen;
        enqueue(sa, Wish::Update);
    }
    Verdict::Alive
}

// The peer's addresses change.

/// Answers an INFORMATIONAL request that deletes nothing.
pub(super) fn answer(sa: &mut Sa, env: &mut Env, id: u32, ends: &Ends, payloads: &[Payload<'_>]) {
    let mut said = Notices::default();
    let updates = sa.mobike == Some(Role::Responder) && has(payloads, NotifyType::UpdateSaAddresses);
    let told = addresses_in(payloads);
    let lists = !told.is_empty() || has(payloads, NotifyType::NoAdditionalAddresses);
    let before = sa.path;
    let local_before = env.local;
    let refusal = match () {
        () if (updates || lists) && meets_nat(ends, payloads) => Some(NotifyType::UnexpectedNatDetected),
        () if updates && !is_acceptable(env, ends) => Some(NotifyType::UnacceptableAddresses),
        () => None,
    };
    match refusal {
        Some(kind) => said.add(kind, []),
        None => {
            if let Some(own) = env.mobility.as_deref_mut().filter(|_| lists) {
                own.remote.clone_from(&told);
            }
            if updates {
                env.local = ends.local.0;
                (sa.path.local_port, sa.path.remote) = (ends.local.1, ends.remote);
                look_for_nats(sa, env, payloads);
            }
            if has(payloads, NotifyType::NatDetectionSourceIp) {
                said.nat_detection(nat::hashes_between(env, (sa.ids.spi_i, sa.ids.spi_r), ends));
            }
        }
    }
    let cookies = notices(payloads, NotifyType::Cookie2).filter(|n| COOKIE2_LEN.contains(&n.data.len()));
    cookies.for_each(|n| said.add(NotifyType::Cookie2, n.data));
    let answer: Vec<Payload<'_>> = said.payloads().collect();
    sa.respond(env, EXCHANGE, id, &answer);
    if (sa.path, env.local) != (before, local_before) {
        if checks_return(env) && sa.path.remote.0 != before.remote.0 {
            enqueue(sa, Wish::Check);
        } else {
            commit(sa, env);
        }
    }
    let listed = |address: IpAddr| address == ends.remote.0 || told.contains(&address);
    let decides = sa.mobike == Some(Role::Initiator) && sa.state() == SaState::Established;
    if decides && lists && refusal.is_none() && !listed(sa.path.remote.0) {
        // The responder has lost the address in use; it has the one that it writes from.
        use_pair(sa, env, (env.local, ends.remote.0));
        if let Some(own) = &mut env.mobility {
            own.remote = told;
        }
    }
}

/// True if the peer may be there, and this end is where it was asked.
fn is_acceptable(env: &Env, ends: &Ends) -> bool {
    let own = |mobility: &Mobility| mobility.local.contains(&ends.local.0);
    let networks = env.config.mobike.iter().flat_map(|own| &own.acceptable);
    let mut networks = networks.peekable();
    let anywhere = networks.peek().is_none();
    env.mobility.as_deref().is_some_and(own) && (anywhere || networks.any(|net| net.contains(&ends.remote.0)))
}
