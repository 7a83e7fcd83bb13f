//! Faults: they act on the world, never on a protocol's state; machines notice by themselves.

use super::{World, lane};
use crate::id::{FaultId, LinkId, NodeId, RecordId};
use crate::net::link::{DirectionConfig, Jitter, Loss};
use crate::node::Command;
use crate::reason::DropReason;
use crate::time::{Duration, Instant};
use crate::trace::{Phase, Way, What};

/// A named entry of the timeline.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its name in the scenario.
    pub name: String,
    /// In words, for reports.
    pub what: String,
    /// What it hits, in words.
    pub target: String,
    /// What it does while it lasts.
    pub actions: Vec<Action>,
    /// When it strikes and heals; several occasions make a flapping fault.
    pub occasions: Vec<Occasion>,
}

/// One strike and its healing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occasion {
    /// When it strikes.
    pub strike: Instant,
    /// When it heals, if it does.
    pub heal: Option<Instant>,
}

/// What a fault does to the world while it is active.
#[derive(Clone, Debug)]
pub enum Action {
    /// Packets sent in these directions vanish silently.
    Blackhole {
        /// Which link.
        link: LinkId,
        /// Forward, reverse.
        ways: [bool; 2],
    },
    /// The link is cut; its ends notice if it has a carrier.
    LinkDown {
        /// Which link.
        link: LinkId,
    },
    /// Properties of a link change.
    Impair {
        /// Which link.
        link: LinkId,
        /// Forward, reverse.
        ways: [bool; 2],
        /// To what.
        change: Impairment,
    },
    /// The device has no power.
    PowerLoss {
        /// Which device.
        node: NodeId,
    },
    /// An operator types a command when the fault strikes, and perhaps another when it heals.
    Operator {
        /// At which device.
        node: NodeId,
        /// At the strike.
        strike: Command,
        /// At the healing.
        heal: Option<Command>,
    },
}

/// Properties of a link direction that a fault replaces; what is `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Impairment {
    /// Loss model.
    pub loss: Option<Loss>,
    /// Propagation delay.
    pub delay: Option<Duration>,
    /// Delay variation.
    pub jitter: Option<Jitter>,
    /// Rate in bits per second.
    pub rate: Option<u64>,
    /// Whether IP fragments are dropped.
    pub drops_fragments: Option<bool>,
}

impl Impairment {
    fn apply(&self, config: &mut DirectionConfig) {
        if let Some(loss) = self.loss {
            config.loss = loss;
        }
        if let Some(delay) = self.delay {
            config.delay = delay;
        }
        if let Some(jitter) = self.jitter {
            config.jitter = jitter;
        }
        if let Some(rate) = self.rate {
            config.rate = Some(rate);
        }
        if let Some(drops_fragments) = self.drops_fragments {
            config.drops_fragments = drops_fragments;
        }
    }
}

impl World {
    pub(super) fn strike_or_heal(&mut self, fault: FaultId, phase: Phase) {
        let record = self.keep(RecordId::GENESIS, NodeId(u32::MAX), What::Fault { fault, phase });
        self.active.retain(|&f| f != fault);
        if phase == Phase::Strike {
            self.active.push(fault);
        }
        for action in self.faults[fault.index()].actions.clone() {
            match action {
                Action::Blackhole { link, .. } | Action::LinkDown { link } | Action::Impair { link, .. } => {
                    self.settle_link(link, record);
                }
                Action::PowerLoss { node } => self.settle_power(node, record),
                Action::Operator { node, strike, heal } => {
                    let command = if phase == Phase::Strike { Some(strike) } else { heal };
                    if let Some(command) = command.filter(|_| self.slots[node.index()].up) {
                        self.touch(node, record, |device, cx| {
                            cx.rearm();
                            device.command(cx, command);
                        });
                    }
                }
            }
        }
    }

    fn active_actions(&self) -> impl Iterator<Item = &Action> {
        self.active.iter().flat_map(|f| &self.faults[f.index()].actions)
    }

    /// Recomputes a link from its configuration and the faults active now, the later ones winning.
    fn settle_link(&mut self, link: LinkId, by: RecordId) {
        let mut config = self.links[link.index()].base;
        let mut blackhole = [false; 2];
        let mut up = true;
        for action in self.active_actions() {
            match action {
                Action::Blackhole { link: l, ways } if *l == link => {
                    Way::BOTH.into_iter().for_each(|w| blackhole[w.index()] |= ways[w.index()]);
                }
                Action::LinkDown { link: l } if *l == link => up = false,
                Action::Impair { link: l, ways, change } if *l == link => {
                    let hit = Way::BOTH.into_iter().filter(|w| ways[w.index()]);
                    hit.for_each(|w| change.apply(&mut config[w.index()]));
                }
                Action::Blackhole { .. }
                | Action::LinkDown { .. }
                | Action::Impair { .. }
                | Action::PowerLoss { .. }
                | Action::Operator { .. } => {}
            }
        }
        let line = &mut self.links[link.index()];
        let was_up = line.up;
        line.up = up;
        for (way, config) in Way::BOTH.into_iter().zip(config) {
            let direction = &mut self.lanes[lane(link, way)].direction;
            if *direction.config() != config {
                direction.set_config(config, by);
            }
            if direction.is_blackhole() != blackhole[way.index()] {
                direction.set_blackhole(blackhole[way.index()], by);
            }
            direction.set_up(up, by);
        }
        if was_up != up && self.links[link.index()].carrier {
            for (node, port) in self.ends(link) {
                self.tell_carrier(node, port, up, by);
            }
        }
    }

    fn settle_power(&mut self, node: NodeId, by: RecordId) {
        let on = !self.active_actions().any(|a| matches!(a, Action::PowerLoss { node: n } if *n == node));
        if self.slots[node.index()].up == on {
            return;
        }
        let record = self.keep(by, node, What::Power { on });
        let slot = &mut self.slots[node.index()];
        slot.up = on;
        slot.power_by = record;
        self.touch(node, record, |device, cx| {
            cx.rearm();
            if on {
                return device.start(cx);
            }
            device.held().into_iter().for_each(|packet| cx.drop(packet, DropReason::NodeDown, record));
            device.stop();
        });
        let neighbours: Vec<_> = self
            .link_ends()
            .filter(|(link, _)| self.links[link.index()].carrier && self.links[link.index()].up)
            .flat_map(|(_, [one, other])| [(one.0, other), (other.0, one)])
            .filter_map(|(this, other)| (this == node).then_some(other))
            .collect();
        for (neighbour, port) in neighbours {
            self.tell_carrier(neighbour, port, on, record);
        }
    }

    fn tell_carrier(&mut self, node: NodeId, port: crate::id::Port, up: bool, by: RecordId) {
        if self.slots[node.index()].up {
            self.touch(node, by, |device, cx| {
                cx.rearm();
                device.carrier(cx, port, up);
            });
        }
    }
}
