//! The tunnel's face: one machine per version of IKE behind it, of which usually one is in use.
//!
//! This end initiates in the highest version that it may speak, and answers in the version in which it is spoken to. There can be
//! both at once for a while, when a peer comes back with another configuration; what is reported then is the better state.

use core::net::IpAddr;
use std::sync::Arc;

use super::config::IkeVersion;
use super::env::Env;
use super::{Config, Input, Output, SaKind, v1, v2};
use crate::reason::{DropReason, State, TimerKind};
use crate::rng::Seldom;
use crate::time::Instant;
use crate::wire::ike::{self, HEADER_LEN};

/// One end of a tunnel, in every version of IKE that it may speak. See [`crate::proto`] for how to drive it.
#[derive(Clone, Debug)]
pub struct Peer {
    pub(super) v2: v2::Peer,
    /// Made when it is first needed, because few tunnels need it.
    v1: Option<Box<v1::Peer>>,
    /// What the two machines have reported, and what was reported of both together.
    reported: Reported,
    /// What this layer itself has to tell.
    ignored: Option<DropReason>,
}

#[derive(Clone, Copy, Debug)]
struct Reported {
    v1: States,
    v2: States,
    both: States,
}

#[derive(Clone, Copy, Debug)]
struct States {
    ike: State,
    child: State,
}

impl States {
    const DOWN: Self = Self { ike: State::Down, child: State::Down };

    fn of(&mut self, sa: SaKind) -> &mut State {
        match sa {
            SaKind::Ike => &mut self.ike,
            SaKind::Child => &mut self.child,
        }
    }
}

/// The draw at which IKEv1's part of a stream begins: far beyond what IKEv2 can use up.
const V1_DRAWS: u64 = 1 << 63;

impl Peer {
    /// Fetches what a timer will touch, so many steps behind the device.
    pub(crate) fn foresee(&self, depth: usize) {
        self.v2.foresee(depth);
    }

    /// The end at `local` of the tunnel to `remote`. `secrets` draws SPIs, nonces, private values and IVs, `timers` fuzz and
    /// jitter. Nothing happens until an input comes, not even with startup action *start*.
    pub fn new(
        config: Arc<Config>,
        local: IpAddr,
        remote: IpAddr,
        secrets: Seldom,
        timers: Seldom,
        now: Instant,
    ) -> Self {
        let reported = Reported { v1: States::DOWN, v2: States::DOWN, both: States::DOWN };
        Self { v2: v2::Peer::new(config, local, remote, secrets, timers, now), v1: None, reported, ignored: None }
    }

    /// From now on it has this configuration: SAs that are up stay, what is negotiated anew goes by it.
    pub fn reconfigure(&mut self, config: &Arc<Config>) {
        self.v2.adopt(Arc::clone(config));
        if let Some(v1) = &mut self.v1 {
            v1.adopt(Arc::clone(config));
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Initiate(_) | Input::Demand { .. } => match self.initiates_with() {
                Some(IkeVersion::V2) => self.v2.handle(now, input),
                Some(IkeVersion::V1) => self.v1(now).handle(now, input),
                None => {}
            },
            Input::Datagram(datagram) => match self.version_of(&datagram.bytes) {
                Some(IkeVersion::V2) => self.v2.handle(now, Input::Datagram(datagram)),
                Some(IkeVersion::V1) => self.v1(now).handle(now, Input::Datagram(datagram)),
                None => self.ignored = Some(DropReason::UnexpectedMessage),
            },
            // Whoever has SAs makes use of it.
            Input::InboundTraffic { .. }
            | Input::TrafficFrom { .. }
            | Input::UnknownSpi { .. }
            | Input::RekeyChild { .. }
            | Input::Addresses(_)
            | Input::Close
            | Input::Reset => {
                if let Some(v1) = &mut self.v1 {
                    v1.handle(now, input.clone());
                }
                if input == Input::Reset {
                    self.reported = Reported { v1: States::DOWN, v2: States::DOWN, both: States::DOWN };
                    self.ignored = None;
                }
                self.v2.handle(now, input);
            }
        }
    }

    /// Lets time pass. Does nothing if no timer is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(v1) = &mut self.v1 {
            v1.handle_timeout(now);
        }
        self.v2.handle_timeout(now);
    }

    /// What is to be done or told next.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(reason) = self.ignored.take() {
            return Some(Output::Ignored { reason });
        }
        loop {
            let (version, output) = match self.v1.as_mut().and_then(|v1| v1.poll()) {
                Some(output) => (IkeVersion::V1, output),
                None => (IkeVersion::V2, self.v2.poll()?),
            };
            let Output::State { sa, to, reason, .. } = output else {
                return Some(output);
            };
            let Reported { v1, v2, both } = &mut self.reported;
            *match version {
                IkeVersion::V1 => v1.of(sa),
                IkeVersion::V2 => v2.of(sa),
            } = to;
            let to = better(*v1.of(sa), *v2.of(sa));
            let from = core::mem::replace(both.of(sa), to);
            if from != to {
                return Some(Output::State { sa, from, to, reason });
            }
        }
    }

    /// When to call [`Peer::handle_timeout`], and which timer wants it. It may turn out not to be due: inbound traffic moves
    /// the liveness timer without moving this.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let v1 = self.v1.as_ref().and_then(|v1| v1.wake());
        v1.into_iter().chain(self.v2.wake()).min_by_key(|(due, _)| *due)
    }

    /// The state of the IKE session or of the CHILD_SA lineage.
    pub fn state(&self, sa: SaKind) -> State {
        let v1 = self.v1.as_ref().map_or(State::Down, |v1| v1.state(sa));
        better(v1, self.v2.state(sa))
    }

    /// True if it has an IKE_SA with these SPIs, or an ISAKMP SA with these cookies, whose peer may write from another address
    /// than before (RFC 7296 section 2.23, RFC 3947 section 7).
    pub fn knows(&self, spi_i: u64, spi_r: u64) -> bool {
        self.v2.knows(spi_i, spi_r) || self.v1.as_ref().is_some_and(|v1| v1.knows(spi_i, spi_r))
    }

    /// The machines, to look at.
    pub(super) fn machines(&self) -> (Option<&v1::Peer>, &v2::Peer) {
        (self.v1.as_deref(), &self.v2)
    }

    /// The highest version; but if the tunnel is up in IKEv1, it is the one that has something to do.
    fn initiates_with(&self) -> Option<IkeVersion> {
        let v1_lives = self.v1.as_ref().is_some_and(|v1| v1.state(SaKind::Ike) == State::Up);
        if v1_lives { Some(IkeVersion::V1) } else { self.v2.env().config.versions.iter().copied().max() }
    }

    /// The version of a message, if this end may speak it. What has no version, or a higher one, is IKEv2's to judge
    /// (RFC 7296 section 2.5).
    fn version_of(&self, bytes: &[u8]) -> Option<IkeVersion> {
        let v1 = bytes.len() >= HEADER_LEN && bytes[VERSION_AT] >> 4 == ike::v1::MAJOR;
        let version = if v1 { IkeVersion::V1 } else { IkeVersion::V2 };
        self.v2.env().config.versions.contains(&version).then_some(version)
    }

    fn v1(&mut self, now: Instant) -> &mut v1::Peer {
        let Env { config, local, remote, secrets, timers, .. } = self.v2.env();
        self.v1.get_or_insert_with(|| {
            let (mut secrets, mut timers) = (secrets.clone(), timers.clone());
            secrets.seek_u64(V1_DRAWS);
            timers.seek_u64(V1_DRAWS);
            Box::new(v1::Peer::new(Arc::clone(config), *local, *remote, secrets, timers, now))
        })
    }
}

/// Where the versions are in the fixed header.
const VERSION_AT: usize = 17;

/// The state of a tunnel that two machines serve.
fn better(a: State, b: State) -> State {
    let order = [State::Up, State::Rekeying, State::Connecting, State::Deleting];
    order.into_iter().find(|state| *state == a || *state == b).unwrap_or(State::Down)
}
