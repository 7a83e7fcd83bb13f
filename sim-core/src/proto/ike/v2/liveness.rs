//! When an IKE_SA's timers are due: liveness (RFC 7296 section 2.4), retransmission, lifetimes.
//!
//! A probe is an empty INFORMATIONAL, sent after silence only, or, if so configured, to a peer behind a NAT whenever it has sent
//! no IKE message for so long. Since a window holds one request, "the next probe" is the same
//! request again. While any request is outstanding it is the probe.

use super::child::ChildPhase;
use super::env::Env;
use super::sa::{Phase, Sa};
use super::task::Task;
use crate::proto::ike::Config;
use crate::proto::ike::config::{DpdAction, DpdModel, Retransmission};
use crate::reason::TimerKind;
use crate::time::Instant;

/// A timer of an IKE_SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Timer {
    pub due: Instant,
    pub what: What,
    pub armed_at: Instant,
}

/// What a timer is for; CHILD_SAs by inbound SPI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Retransmission,
    DpdTimeout,
    HalfOpen,
    IkeRekey,
    IkeLifetime,
    Reauthentication,
    DpdIdle,
    ChildRekey(u32),
    ChildLifetime(u32),
    ChildRetry,
}

impl What {
    /// The name in the trace.
    pub fn kind(self) -> TimerKind {
        match self {
            Self::Retransmission => TimerKind::Retransmission,
            Self::DpdTimeout => TimerKind::DpdTimeout,
            Self::HalfOpen => TimerKind::HalfOpen,
            Self::IkeRekey => TimerKind::IkeRekey,
            Self::IkeLifetime => TimerKind::IkeLifetime,
            Self::Reauthentication => TimerKind::Reauthentication,
            Self::DpdIdle => TimerKind::DpdIdle,
            Self::ChildRekey(_) => TimerKind::ChildRekey,
            Self::ChildLifetime(_) => TimerKind::ChildLifetime,
            Self::ChildRetry => TimerKind::IkeRetry,
        }
    }
}

/// How the request of a task is retransmitted.
pub(super) fn schedule(config: &Config, task: &Task) -> Retransmission {
    match (task, config.dpd.model) {
        (Task::Liveness, DpdModel::Timeout { .. }) => config.probes(),
        (
            Task::Handshake
            | Task::CreateChild(_)
            | Task::RekeyIke(_)
            | Task::DeleteChild { .. }
            | Task::DeleteIke(_)
            | Task::Liveness
            | Task::Mobike(_)
            | Task::Notice,
            DpdModel::Timeout { .. } | DpdModel::RetransmissionSeries,
        ) => config.retransmission,
    }
}

impl Sa {
    /// The timer that is due first. Of several due at once, the one that ends more comes first.
    pub fn next_timer(&self, env: &Env) -> Option<Timer> {
        let mut first: Option<Timer> = None;
        self.timers(env, &mut |timer| {
            if first.is_none_or(|f| timer.due < f.due) {
                first = Some(timer);
            }
        });
        first
    }

    fn timers(&self, env: &Env, with: &mut impl FnMut(Timer)) {
        let timer = |what, armed_at, due| Timer { due, what, armed_at };
        match &self.phase {
            Phase::ExpectInitResponse(_) | Phase::ExpectIntermediateResponse(_) | Phase::ExpectAuthResponse(_) => {}
            Phase::ExpectIntermediateRequest(_) | Phase::ExpectAuthRequest(_) | Phase::Lingering(_) | Phase::Over => {
                let due = self.begun + env.config.half_open;
                with(timer(What::HalfOpen, self.begun, due));
            }
            Phase::Established(e) | Phase::Replaced(e) | Phase::Deleting(e) => {
                let (armed_at, due) = self.silence(env, e.since);
                if let Some(due) = due {
                    with(timer(What::DpdTimeout, armed_at, due));
                }
            }
        }
        if let Phase::Replaced(e) = &self.phase {
            with(timer(What::IkeLifetime, e.since, e.expires));
        }
        if let Phase::Established(e) = &self.phase {
            if let Some(due) = e.rekey {
                with(timer(What::IkeRekey, e.since, due));
            }
            if !self.wants_delete() {
                with(timer(What::IkeLifetime, e.since, e.expires));
                if let Some(due) = e.reauth {
                    with(timer(What::Reauthentication, e.since, due));
                }
            }
            for child in &e.children {
                let spi = child.spi_in;
                let lifetime = timer(What::ChildLifetime(spi), child.born, child.expires);
                match child.phase {
                    ChildPhase::Up => {
                        with(lifetime);
                        if let Some(due) = child.rekey {
                            with(timer(What::ChildRekey(spi), child.born, due));
                        }
                    }
                    ChildPhase::Rekeying | ChildPhase::Replaced => {
                        with(lifetime);
                    }
                    ChildPhase::Deleting(_) => {}
                }
            }
            if let Some(due) = e.retry_child {
                with(timer(What::ChildRetry, e.since, due));
            }
            let is_periodic = env.config.dpd.periodic_for_nat && self.path.remote_nat;
            let life = if is_periodic { env.last_message } else { env.last_inbound }.max(e.since);
            if env.config.dpd.action != DpdAction::None && self.window.outstanding.is_none() {
                with(timer(What::DpdIdle, life, life + env.config.dpd.idle));
            }
        }
        if let Some(request) = &self.window.outstanding {
            with(timer(What::Retransmission, request.series.sent, request.series.due));
        }
    }

    /// From when the peer's silence counts, and when it means death.
    fn silence(&self, env: &Env, since: Instant) -> (Instant, Option<Instant>) {
        let life = env.last_inbound.max(since);
        let request = self.window.outstanding.as_ref().filter(|_| env.config.dpd.action != DpdAction::None);
        let silence = request.and_then(|request| env.config.silence(life, request.series.first_sent));
        silence.map_or((life, None), |(from, due)| (from, Some(due)))
    }
}
