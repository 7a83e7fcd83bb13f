//! CHILD_SAs: pairs of ESP SAs that Quick Mode has made. They belong to the tunnel, not to the ISAKMP SA that protected the
//! Quick Mode (RFC 2408 section 2.1), and go when no ISAKMP SA with the peer is left.
//!
//! IKEv1 has no word for rekeying: a second Quick Mode for the same traffic makes a second pair, and both ends send on the
//! younger one. The old one receives until its lifetime ends, so nothing is lost. Nothing answers the third message of a Quick
//! Mode, though, and a responder that installs the pair when it arrives loses what overtakes it; RFC 2408 section 3.1 has
//! the commit bit against that, which few set. So the initiator stays on the old pair until it hears the peer on the new one,
//! or for [`SWITCH`].

use super::sa::shorter;
use crate::proto::ike::config::{Config, Startup};
use crate::proto::ike::env::Env;
use crate::proto::ike::{ChildSa, DirectionKeys, Encapsulation, EspSuite, Output, SaKind};
use crate::reason::{Reason, State};
use crate::time::{Duration, Instant};
use crate::wire::ike::TrafficSelector;

/// How long the initiator of a rekey sends on the old pair, if it hears nothing on the new one (assumed: more than any path
/// takes, and less than the shortest rekey margin).
pub(super) const SWITCH: Duration = Duration::from_millis(500);

/// What this end remembers of a CHILD_SA; its keys live with ESP.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub spi_in: u32,
    pub spi_out: u32,
    pub phase: ChildPhase,
    pub born: Instant,
    /// When this end rekeys it, if it does.
    pub rekey: Option<Instant>,
    /// When this end sends on it, whether it has heard the peer on it or not.
    pub switch: Option<Instant>,
    pub expires: Instant,
    /// The policy of this end that it is for. If this end is route-based, a number of the peer's.
    pub policy: u8,
    /// What is behind this end, and behind the peer.
    pub selectors: (TrafficSelector, TrafficSelector),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ChildPhase {
    /// It receives; it sends once the other end is known to have installed it.
    Unconfirmed,
    Up,
    /// This end's Quick Mode for its successor is on its way.
    Rekeying,
    /// Another one sends.
    Replaced,
}

/// All CHILD_SAs of the tunnel: of each policy one that sends, those that it has replaced, and those that will replace it.
#[derive(Clone, Debug, Default)]
pub(super) struct Children {
    pub all: Vec<Child>,
    /// Since when and until when this end waits before it tries again to get one.
    pub retry: Option<(Instant, Instant)>,
}

/// When a new one sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sends {
    AtOnce,
    /// When the peer is heard on it.
    WhenHeard,
    /// When the peer is heard on it, or has had the time to install it.
    WhenSettled,
}

/// A CHILD_SA on which both ends agree.
#[derive(Clone, Debug)]
pub(super) struct Agreed {
    pub spi_in: u32,
    pub spi_out: u32,
    pub suite: EspSuite,
    pub inbound: DirectionKeys,
    pub outbound: DirectionKeys,
    pub encapsulation: Option<Encapsulation>,
    pub local_ts: TrafficSelector,
    pub remote_ts: TrafficSelector,
    /// As of [`Child`].
    pub policy: u8,
    /// The lifetime that the peer has told.
    pub told: Option<Duration>,
    /// Inbound SPI of the one that it follows.
    pub replaces: Option<u32>,
}

impl Child {
    fn sends(&self) -> bool {
        matches!(self.phase, ChildPhase::Up | ChildPhase::Rekeying)
    }
}

impl Children {
    /// One that sends.
    pub fn current(&self) -> Option<&Child> {
        self.all.iter().find(|child| child.sends())
    }

    /// The one that sends what is of this policy.
    pub fn current_of(&self, policy: u8) -> Option<&Child> {
        self.all.iter().find(|child| child.policy == policy && child.sends())
    }

    pub fn find(&mut self, spi_in: u32) -> Option<&mut Child> {
        self.all.iter_mut().find(|child| child.spi_in == spi_in)
    }

    /// True if it waits to be confirmed.
    pub fn awaits(&self, spi_in: u32) -> bool {
        self.all.iter().any(|child| child.spi_in == spi_in && child.phase == ChildPhase::Unconfirmed)
    }

    /// Installs one, to receive; and to send when `sends` says.
    pub fn install(&mut self, env: &mut Env, agreed: &Agreed, sends: Sends) {
        let confirmed = sends == Sends::AtOnce;
        let reason = agreed.replaces.map_or(Reason::Authenticated, |_| Reason::Rekeyed);
        if confirmed {
            self.step_back(agreed.policy);
            env.because = reason;
            env.enter(SaKind::Child, State::Up, reason);
        }
        let lifetime = shorter(env.config.child_lifetime, agreed.told);
        let rekey = env.config.rekey;
        let after = rekey.after(lifetime, &mut env.timers);
        self.all.push(Child {
            spi_in: agreed.spi_in,
            spi_out: agreed.spi_out,
            phase: if confirmed { ChildPhase::Up } else { ChildPhase::Unconfirmed },
            born: env.now,
            rekey: rekey.initiates.then_some(env.now + after),
            switch: (sends == Sends::WhenSettled).then_some(env.now + SWITCH),
            expires: env.now + lifetime,
            policy: agreed.policy,
            selectors: (agreed.local_ts, agreed.remote_ts),
        });
        self.retry = None;
        env.out.push_back(Output::ChildUp(Box::new(ChildSa {
            spi_in: agreed.spi_in,
            spi_out: agreed.spi_out,
            suite: agreed.suite,
            inbound: agreed.inbound.clone(),
            outbound: agreed.outbound.clone(),
            local_ts: vec![agreed.local_ts],
            remote_ts: vec![agreed.remote_ts],
            policy: agreed.policy,
            encapsulation: agreed.encapsulation,
            remote: None,
            rekeys: agreed.replaces,
            send_now: confirmed,
        })));
    }

    /// The initiator has installed it too: from now on it sends. Installs it, if it was not there.
    pub fn confirm(&mut self, env: &mut Env, agreed: &Agreed) {
        match self.find(agreed.spi_in) {
            None => self.install(env, agreed, Sends::AtOnce),
            Some(_) => self.heard(env, agreed.spi_in),
        }
    }

    /// The other end sends on it, or has had the time to: if it was not confirmed, it is.
    pub fn heard(&mut self, env: &mut Env, spi_in: u32) {
        let Some(policy) =
            self.find(spi_in).filter(|child| child.phase == ChildPhase::Unconfirmed).map(|child| child.policy)
        else {
            return;
        };
        let old = self.current_of(policy).map(|child| child.spi_in);
        self.step_back(policy);
        if let Some(child) = self.find(spi_in) {
            child.phase = ChildPhase::Up;
            child.switch = None;
        }
        env.because = Reason::Rekeyed;
        env.enter(SaKind::Child, State::Up, Reason::Rekeyed);
        if let Some(old_spi_in) = old {
            env.out.push_back(Output::ChildRekeyed { old_spi_in, new_spi_in: spi_in });
        }
    }

    /// Those for other traffic than the youngest is for.
    pub fn beside(&self, youngest: u32) -> Vec<u32> {
        let Some(young) = self.all.iter().find(|child| child.spi_in == youngest) else { return Vec::new() };
        let others = self.all.iter().filter(|child| child.selectors != young.selectors);
        others.map(|child| child.spi_in).collect()
    }

    /// The one that sends makes room for a younger one.
    fn step_back(&mut self, policy: u8) {
        for child in self.all.iter_mut().filter(|child| child.policy == policy && child.sends()) {
            child.phase = ChildPhase::Replaced;
        }
    }

    /// Removes one.
    pub fn down(&mut self, env: &mut Env, spi_in: u32, reason: Reason) {
        let Some(at) = self.all.iter().position(|child| child.spi_in == spi_in) else {
            return;
        };
        let child = self.all.remove(at);
        if child.switch.is_some() {
            // The one that it was to replace goes on.
            self.unreplaced(env, child.policy, env.config.retry.first);
        }
        let replaced = child.phase == ChildPhase::Replaced;
        let reason = if replaced && reason != Reason::PeerDead { Reason::Rekeyed } else { reason };
        env.because = reason;
        env.out.push_back(Output::ChildDown { spi_in, reason });
        // If the one that sends is gone, the youngest that is left of its policy takes over; one that was never confirmed only if there
        // is no other.
        let left = |heir: &Child| heir.policy == child.policy;
        let confirmed = |heir: &Child| left(heir) && heir.phase == ChildPhase::Replaced;
        let heir = self.all.iter().rposition(confirmed).or_else(|| self.all.iter().rposition(left));
        if self.current_of(child.policy).is_none()
            && let Some(heir) = heir.map(|at| &mut self.all[at])
        {
            heir.phase = ChildPhase::Up;
            heir.switch = None;
            heir.rekey = env.config.rekey.initiates.then_some(env.now + env.config.retry.first);
            env.out.push_back(Output::ChildRekeyed { old_spi_in: spi_in, new_spi_in: heir.spi_in });
        }
    }

    /// The one that sends is not being replaced after all, and is rekeyed again after `wait`.
    fn unreplaced(&mut self, env: &Env, policy: u8, wait: Duration) {
        let rekeying = |child: &&mut Child| child.policy == policy && child.phase == ChildPhase::Rekeying;
        if let Some(old) = self.all.iter_mut().find(rekeying) {
            old.phase = ChildPhase::Up;
            old.rekey = env.config.rekey.initiates.then_some(env.now + wait);
        }
    }

    /// Removes all.
    pub fn all_down(&mut self, env: &mut Env, reason: Reason) {
        for child in self.all.drain(..) {
            env.out.push_back(Output::ChildDown { spi_in: child.spi_in, reason });
        }
        self.retry = None;
    }

    /// The ends do not agree in a Quick Mode of this end. Traffic of its policy does not ask again at once.
    pub fn refused(&mut self, env: &mut Env, replaces: Option<u32>, reason: Reason) {
        if replaces.is_none() {
            env.denied = Some(env.now);
        }
        self.failed(env, replaces, reason);
    }

    /// A Quick Mode of this end came to nothing.
    pub fn failed(&mut self, env: &mut Env, replaces: Option<u32>, reason: Reason) {
        env.because = reason;
        if let Some(old) = replaces.and_then(|spi_in| self.find(spi_in))
            && old.phase == ChildPhase::Rekeying
        {
            old.phase = ChildPhase::Up;
            old.rekey = env.config.rekey.initiates.then_some(env.now + env.config.retry.cap);
        }
        self.retry_later(&env.config, env.now);
    }

    /// There is none: another attempt follows, if this end is to keep the tunnel up.
    fn retry_later(&mut self, config: &Config, now: Instant) {
        let wanted = config.startup == Startup::Start && self.current().is_none();
        self.retry = wanted.then_some((now, now + config.retry.cap));
    }

    /// What is to be reported.
    pub fn state(&self) -> State {
        match self.current().map(|child| child.phase) {
            Some(ChildPhase::Rekeying) => State::Rekeying,
            Some(ChildPhase::Up | ChildPhase::Unconfirmed | ChildPhase::Replaced) => State::Up,
            None => State::Down,
        }
    }
}
