//! Links of a chain, told: whose each wait is, what armed it, which setting is behind it, and what else would have ended it.

use std::collections::BTreeMap;

use sim_core::id::{RecordId, StreamId};
use sim_core::time::Duration;
use sim_core::trace::{self, Phase, Record, SessionKind, What};

use super::document::{Branch, Event, Row, Wait};
use super::parameter::{self, Behind};
use super::slack::{self, Link, RunnerUp, Slack};
use super::{Beside, Weighed};
use crate::detect;
use crate::measure::StepKind;
use crate::measure::outage::Direction;
use crate::observe::Observation;
use crate::report::model::{PathStep, Seconds};
use crate::report::{path_step, story};
use crate::scenario::Scenario;

/// No RTO is shorter (Linux's TCP_RTO_MIN), so no wait below this is a retransmission of TCP.
const SHORTEST_RTO: Duration = Duration::from_millis(200);

/// What telling a chain needs.
pub(super) struct Telling<'a> {
    pub scenario: &'a Scenario,
    pub observation: &'a Observation<'a>,
    pub stream: StreamId,
    pub direction: Direction,
}

impl Telling<'_> {
    /// The critical path, up to the probe that came through. Adds what is known of each setting behind it, the longest wait's first.
    pub fn path(&self, weighed: &Weighed, settings: &mut Vec<Behind>) -> Vec<Row> {
        let mut behind = Vec::new();
        let mut link = |(link, slack): (&Link, &Slack)| {
            let mut row = self.row(link);
            let (mut wait, setting) = self.wait(link)?;
            behind.push((link.waited, setting));
            wait.slack_s = Some(Seconds(slack.shrinks_by));
            wait.runner_up = match slack.runner_up {
                RunnerUp::Nothing => None,
                RunnerUp::Record(record) => Some(self.event(record)),
            };
            wait.drives = weighed.drivers.get(&link.record).map(|tied| self.event(*tied));
            wait.tied = slack.tied_at.map(|place| self.event(weighed.chain[place].record));
            wait.backstop = self.backstop(weighed, link);
            row.wait = Some(wait);
            Some(row)
        };
        let told = weighed.chain.iter().zip(&weighed.slacks);
        let mut rows: Vec<Row> = told.map(|both| link(both).unwrap_or_else(|| self.row(both.0))).collect();
        rows.push(self.arrival(weighed));
        behind.sort_by_key(|(waited, _)| core::cmp::Reverse(*waited));
        settings.extend(behind.into_iter().map(|(_, setting)| setting));
        rows
    }

    /// A chain beside the path. `drivers` are the records that set instants of tied links, with those.
    pub fn branch(&self, beside: &Beside, drivers: &BTreeMap<RecordId, RecordId>) -> Branch {
        let row = |(place, link): (usize, &Link)| {
            let later = &beside.chain[place + 1..];
            let wait = self.wait(link).map(|(wait, _)| Wait {
                tied: later.iter().find(|later| later.tied).map(|later| self.event(later.record)),
                drives: drivers.get(&link.record).map(|tied| self.event(*tied)),
                ..wait
            });
            Row { wait, ..self.row(link) }
        };
        let last = beside.chain.last().expect("a branch has a record");
        Branch {
            needed: self.event(last.record),
            slack_s: Seconds(beside.slack),
            path: beside.chain.iter().enumerate().map(row).collect(),
        }
    }

    fn record(&self, id: RecordId) -> &Record {
        self.observation.world().trace.kept(id)
    }

    fn step(&self, id: RecordId, waited: Duration) -> PathStep {
        let record = self.record(id);
        let wait = trace::Wait { record: id, at: record.at, node: record.node, waited };
        let node = self.observation.world().node_name(record.node).to_owned();
        match (&record.what, self.observation.step(&wait)) {
            (What::Fault { fault, .. }, Some(step)) => {
                let target = &self.observation.world().fault(*fault).target;
                PathStep { node: target.clone(), ..path_step(&step) }
            }
            (_, Some(step)) => path_step(&step),
            (what, None) => PathStep {
                at_s: record.at.into(),
                event: "power".into(),
                subject: node.clone(),
                node,
                reason: if matches!(what, What::Power { on: true }) { "on" } else { "off" }.into(),
                waited_s: waited.into(),
            },
        }
    }

    fn row(&self, link: &Link) -> Row {
        Row { step: self.step(link.record, link.waited), wait: None }
    }

    /// A record in one line.
    pub fn event(&self, id: RecordId) -> Event {
        let step = self.step(id, Duration::ZERO);
        Event { at_s: step.at_s, text: format!("{}: {}", step.node, story::step_text(&step)) }
    }

    /// Whose the wait before a link is. `None` if there was none.
    fn wait(&self, link: &Link) -> Option<(Wait, Behind)> {
        if link.waited.is_zero() {
            return None;
        }
        let (world, plan) = (self.observation.world(), self.observation.plan());
        let record = self.record(link.record);
        let mut armed = (None, None);
        let (owner, text, behind) = match &record.what {
            What::Expired { session, timer, armed_at, .. } => {
                let by = record.cause;
                armed = (
                    Some(Seconds::from(*armed_at)),
                    (by != RecordId::GENESIS && self.record(by).at == *armed_at).then(|| self.event(by).text),
                );
                let behind = parameter::behind_timer(self.scenario, plan, &world.trace, *session, record.node, *timer);
                (timer.code(), timer.text().to_owned(), behind)
            }
            What::Fault { fault, phase } => {
                let name = &world.fault(*fault).name;
                let text = match phase {
                    Phase::Heal => format!("until {name} healed"),
                    Phase::Strike => format!("until {name} struck"),
                };
                ("repair", text, Behind::default())
            }
            what if self.is_retransmission(what, link.waited) => {
                ("tcp_retransmission", "a TCP segment was lost and sent again".to_owned(), Behind::default())
            }
            _ => ("flight", "a message was on its way".to_owned(), Behind::default()),
        };
        let (armed_s, armed_by) = armed;
        let wait = Wait {
            owner: owner.into(),
            text,
            armed_s,
            armed_by,
            parameter: behind.parameter.clone(),
            slack_s: None,
            runner_up: None,
            tied: None,
            drives: None,
            backstop: None,
        };
        Some((wait, behind))
    }

    /// True if a message of BGP took longer than three ways through the whole drawing and the shortest RTO.
    fn is_retransmission(&self, what: &What, waited: Duration) -> bool {
        let (world, plan) = (self.observation.world(), self.observation.plan());
        let is_bgp = what.session().is_some_and(|id| world.trace.sessions()[id.index()].kind == SessionKind::Bgp);
        let slowest = plan.links.iter().map(|link| {
            let way = |it: &crate::plan::Conditions| it.delay + it.jitter;
            way(&link.forward).max(way(&link.reverse))
        });
        let whole = slowest.fold(Duration::ZERO, |sum, next| sum + next);
        is_bgp && waited >= SHORTEST_RTO && waited > whole * 3
    }

    /// What would have ended the wait for an expired timer if that had been longer: another session of the same device with the
    /// same peer that fell by itself, or the healing.
    fn backstop(&self, weighed: &Weighed, link: &Link) -> Option<Event> {
        let trace = &self.observation.world().trace;
        let expired = self.record(link.record);
        let What::Expired { session: Some(session), timer, .. } = expired.what else { return None };
        if !timer.waits_for_peer() {
            return None;
        }
        let strike = weighed.chain[0].record;
        let name = |id: sim_core::id::SessionId| &trace.sessions()[id.index()].name;
        let struck = match self.record(strike).what {
            What::Fault { fault, .. } => Some(fault),
            _ => None,
        };
        let same = |record: &Record| match record.what {
            What::State { session: other, from, to, .. } => {
                let falls = detect::works(from) && !detect::works(to);
                falls && other != session && record.node == expired.node && name(other) == name(session)
            }
            What::Fault { fault, phase: Phase::Heal } => Some(fault) == struck,
            _ => false,
        };
        let later = trace.records().filter(|(id, record)| *id > link.record && same(record));
        let by_itself = |id: RecordId| {
            let is_heal = matches!(self.record(id).what, What::Fault { .. });
            let links = slack::chain(trace, strike, id);
            is_heal || (!links.is_empty() && links.iter().all(|other| other.record != link.record))
        };
        let (id, record) = later.into_iter().find(|(id, _)| by_itself(*id))?;
        // The timer says more than the state that it led to.
        let timer = matches!(self.record(record.cause).what, What::Expired { .. });
        Some(self.event(if timer && self.record(record.cause).at == record.at { record.cause } else { id }))
    }

    /// The first probe that came through: sent at the first instant of its grid at which it could be, then on its way.
    fn arrival(&self, weighed: &Weighed) -> Row {
        let log = &self.observation.observed.streams[self.stream.index()];
        let [prober, responder] = &log.ends;
        let last = weighed.chain.last().expect("a path has a record");
        let waited = weighed.arrived.since(last.at.min(weighed.arrived));
        let grid = Duration::from_nanos(weighed.sent.as_nanos().saturating_sub(weighed.ready.as_nanos()));
        let step = PathStep {
            at_s: weighed.arrived.into(),
            node: if self.direction == Direction::Forward { responder } else { prober }.clone(),
            event: StepKind::ProbeArrived.code().into(),
            subject: format!("probe {}", log.name),
            reason: self.direction.code().into(),
            waited_s: waited.into(),
        };
        let every = log.interval;
        let path = format!("probes.{}.every", log.name);
        let sent = Event {
            at_s: weighed.sent.into(),
            text: format!(
                "{prober}: probe {}, one every {every}, was sent {} after it could have been",
                log.name,
                Seconds(grid)
            ),
        };
        let wait = Wait {
            owner: "probe_grid".into(),
            text: "the next probe, and its way".into(),
            armed_s: Some(weighed.ready.into()),
            armed_by: None,
            parameter: Some(parameter::parameter(self.scenario, path, every.to_string(), None)),
            slack_s: None,
            runner_up: None,
            tied: Some(sent),
            drives: None,
            backstop: None,
        };
        Row { step, wait: Some(wait) }
    }
}
