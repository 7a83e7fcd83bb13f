//! What must hold, in words and for the machine, and the controls that show that it can fail.

use ipnet::IpNet;
use sim_core::crypto::dh::DhGroup;
use sim_core::id::{FaultId, NodeId, StreamId};
use sim_core::reason::Rule;
use sim_core::rng::Chance;
use sim_core::time::Duration;

use crate::build::forwarding;
use crate::leaf::{Encryption, Integrity, Name, Number, Percent};
use crate::place::At;
use crate::plan::{
    CameTo, Cause, Control, Detector, EcmpShare, Expectation, ExpectationKind, Judged, Metric, Plan, ProbeKind,
    SessionKind, SessionRef, Statistic,
};
use crate::schema;

use super::Names;
use super::firewall::one_of;
use super::ipv6::whole;
use super::judge::{Judge, did_you_mean, positive};
use super::telemetry::{alarm_and_state, watched, whole_minutes};
use super::timeline::{before_end, link, moment, speaks_bgp, tunnel};
use super::transit::table;
use super::vpc::interface;

pub(super) fn make(scenario: &schema::Scenario, names: &Names, plan: &mut Plan, j: &mut Judge) {
    for (name, (_, schema)) in names.expectations.iter().zip(&scenario.expect.0) {
        let mut maker = Maker { names, plan, j };
        let (kind, text) = maker.expectation(schema);
        plan.expectations.push(Expectation { name: name.clone(), text, kind });
    }
    for control in &scenario.control {
        let change: Vec<String> = control.change.iter().filter_map(|at| j.read(at)).collect();
        if control.change.is_empty() {
            j.wrong(control.fails.place, "this control changes nothing", None);
        }
        let fails = j.find(&control.fails, "expectation", &names.expectations).unwrap_or(0);
        plan.controls.push(Control { change, fails });
    }
}

struct Maker<'m, 'j> {
    names: &'m Names,
    plan: &'m Plan,
    j: &'m mut Judge<'j>,
}

impl Maker<'_, '_> {
    fn expectation(&mut self, schema: &schema::Expect) -> (ExpectationKind, String) {
        match schema {
            schema::Expect::OutageBetween(it) => self.outage_between(it),
            schema::Expect::NoOutage(it) => self.no_outage(it),
            schema::Expect::DetectedBy(it) => self.detected_by(it),
            schema::Expect::DropsBetween(it) => self.drops_between(it),
            schema::Expect::EstablishedWithin(it) => self.established_within(it),
            schema::Expect::SuiteAtLeast(it) => self.suite_at_least(it),
            schema::Expect::RoutePresent(it) => self.route(it, true),
            schema::Expect::RouteAbsent(it) => self.route(it, false),
            schema::Expect::RouteDecidedBy(it) => self.route_decided_by(it),
            schema::Expect::ConvergedWithin(it) => self.converged_within(it),
            schema::Expect::LossBetween(it) => self.loss_between(it),
            schema::Expect::EstablishedTimes(it) => self.established_times(it),
            schema::Expect::RekeysBetween(it) => self.rekeys_between(it),
            schema::Expect::LogLinesBetween(it) => self.log_lines_between(it),
            schema::Expect::AlarmWithin(it) => self.alarm_within(it),
            schema::Expect::AlarmTimes(it) => self.alarm_times(it),
            schema::Expect::MetricBetween(it) => self.metric_between(it),
            schema::Expect::FlowRecordsBetween(it) => super::flow_logs::records(it, self.names, self.plan, self.j),
            schema::Expect::EcmpBetween(it) => self.ecmp_between(it),
            schema::Expect::FlowsBetween(it) => self.flows_between(it),
            schema::Expect::ApplicationOutageBetween(it) => self.application_outage_between(it),
        }
    }

    fn outage_between(&mut self, it: &schema::OutageBetween) -> (ExpectationKind, String) {
        let (probe, name) = self.probe(&it.probe);
        let direction = self.direction(probe, &it.direction);
        let fault = it.fault.as_ref().and_then(|at| self.cause(at));
        let min = self.j.need(&it.min, Duration::ZERO);
        let max = self.at_least(&it.max, min);
        let because = it.fault.as_ref().and_then(|at| at.value.as_ref().ok());
        let because = because.map_or_else(String::new, |Name(fault)| format!(" because of {fault}"));
        let text = format!("{name} is dark for {min} to {max}, {}{because}", way(direction));
        (ExpectationKind::OutageBetween { probe, direction, fault, min, max }, text)
    }

    fn no_outage(&mut self, it: &schema::NoOutage) -> (ExpectationKind, String) {
        let (probe, name) = self.probe(&it.probe);
        let direction = self.direction(probe, &it.direction);
        let from = self.j.lawful_or(&it.from, Duration::ZERO, |t| before_end(*t, self.plan));
        let until = self.j.lawful_or(&it.until, self.plan.duration, |until| {
            before_end(*until, self.plan)?;
            if *until > from { Ok(()) } else { Err(format!("this is not after {from}")) }
        });
        let text = format!("{name} has no outage from {from} to {until}, {}", way(direction));
        (ExpectationKind::NoOutage { probe, direction, from: moment(from), until: moment(until) }, text)
    }

    fn detected_by(&mut self, it: &schema::DetectedBy) -> (ExpectationKind, String) {
        let fault = self.fault(&it.fault);
        let node = it.node.as_ref().and_then(|at| self.node(at));
        let detector = self.j.read(&it.detector);
        let within = it.within.as_ref().and_then(|at| self.j.lawful(at, |t| positive(*t, "this time")));
        let code = match detector {
            Some(Detector::Timer(timer)) => timer.code(),
            Some(Detector::Reason(reason)) => reason.code(),
            None => "",
        };
        let place = node.as_ref().map_or_else(String::new, |(_, name)| format!(" at {name}"));
        let time = within.map_or_else(String::new, |within| format!(" within {within}"));
        let text = format!("{} is first noticed by {code}{place}{time}", named(&it.fault));
        let detector = detector.unwrap_or(Detector::Reason(sim_core::reason::Reason::Configured));
        (ExpectationKind::DetectedBy { fault, node: node.map(|(id, _)| id), detector, within }, text)
    }

    fn drops_between(&mut self, it: &schema::DropsBetween) -> (ExpectationKind, String) {
        let reason = self.j.read(&it.reason).unwrap_or(sim_core::reason::DropReason::Loss);
        let node = it.node.as_ref().and_then(|at| self.node(at));
        let on = it.link.as_ref().map(|at| link(at, self.names, self.j));
        let min = self.j.or(&it.min, 0);
        let max = self.j.lawful_or(&it.max, u64::MAX, |max| {
            if *max >= min { Ok(()) } else { Err(format!("the most is less than the fewest, {min}")) }
        });
        if it.min.is_none() && it.max.is_none() {
            self.j.wrong(it.reason.place, "this always holds: give `min`, `max` or both", None);
        }
        let at = node.as_ref().map_or_else(String::new, |(_, name)| format!(" at {name}"));
        let along = it.link.as_ref().map_or_else(String::new, |at| format!(" on {}", named(at)));
        let most = if max == u64::MAX { "any number of".to_owned() } else { max.to_string() };
        let text = format!("{min} to {most} packets are dropped{at}{along} for {reason}");
        (ExpectationKind::DropsBetween { reason, node: node.map(|(id, _)| id), link: on, min, max }, text)
    }

    fn established_within(&mut self, it: &schema::EstablishedWithin) -> (ExpectationKind, String) {
        let session = self.session(&it.session);
        let after = self.j.lawful_or(&it.after, Duration::ZERO, |t| before_end(*t, self.plan));
        let within = self.j.lawful(&it.within, |within| {
            positive(*within, "this time")?;
            before_end(after + *within, self.plan)
        });
        let within = within.unwrap_or_default();
        let text = format!("{} is established within {within} after {after}", named(&it.session));
        (ExpectationKind::EstablishedWithin { session, after: moment(after), within }, text)
    }

    fn suite_at_least(&mut self, it: &schema::SuiteAtLeast) -> (ExpectationKind, String) {
        let tunnel = tunnel(&it.tunnel, self.names, self.j);
        let encryption = self.j.need(&it.encryption, Encryption::Aes128);
        let integrity = self.j.need(&it.integrity, Integrity::Sha1);
        let numbered = |n: &u64| u16::try_from(*n).ok().and_then(DhGroup::from_id);
        let dh_group = self.j.lawful(&it.dh_group, |n| match numbered(n) {
            Some(_) => Ok(()),
            None => Err(format!("there is no Diffie-Hellman group {n} here: 2, 5, 14 to 24 or 31")),
        });
        let dh_group = dh_group.as_ref().and_then(numbered).unwrap_or(DhGroup::Modp1024);
        let group = dh_group.id();
        let text = format!("{} negotiates at least {encryption}, {integrity} and group {group}", named(&it.tunnel));
        (ExpectationKind::SuiteAtLeast { tunnel, encryption, integrity, dh_group }, text)
    }

    fn route(&mut self, it: &schema::Route, present: bool) -> (ExpectationKind, String) {
        let node = self.node(&it.node);
        let prefix = self.j.lawful(&it.prefix, whole).unwrap_or(IpNet::V4(Default::default()));
        let via = it.via.as_ref().and_then(|at| self.way(at, node.as_ref().map(|(id, _)| *id)));
        let at = self.j.lawful(&it.at, |t| before_end(*t, self.plan)).unwrap_or_default();
        let through = it.via.as_ref().map_or_else(String::new, |at| format!(" through {}", named(at)));
        let verb = if present { "uses" } else { "does not use" };
        let table = table(it.route_table.as_ref(), node.as_ref().map(|(id, _)| *id), self.plan, self.j);
        let inside = it.route_table.as_ref().map_or_else(String::new, |at| format!(" in {}", named(at)));
        let text = format!("{} {verb} a route to {prefix}{through}{inside} at {at}", named(&it.node));
        let node = node.map(|(id, _)| id).unwrap_or_default();
        (ExpectationKind::RoutePresent { node, prefix, via, table, at: moment(at), present }, text)
    }

    fn route_decided_by(&mut self, it: &schema::RouteDecidedBy) -> (ExpectationKind, String) {
        let node = self.node(&it.node);
        let prefix = self.j.lawful(&it.prefix, whole).unwrap_or(IpNet::V4(Default::default()));
        let rule = self.j.need(&it.rule, Rule::OnlyRoute);
        let at = self.j.lawful(&it.at, |t| before_end(*t, self.plan)).unwrap_or_default();
        let table = table(it.route_table.as_ref(), node.as_ref().map(|(id, _)| *id), self.plan, self.j);
        let inside = it.route_table.as_ref().map_or_else(String::new, |at| format!(" in {}", named(at)));
        let text = format!("{} decides about {prefix}{inside} by {rule} at {at}", named(&it.node));
        let node = node.map(|(id, _)| id).unwrap_or_default();
        (ExpectationKind::RouteDecidedBy { node, prefix, rule, table, at: moment(at) }, text)
    }

    fn converged_within(&mut self, it: &schema::ConvergedWithin) -> (ExpectationKind, String) {
        let fault = self.cause(&it.fault).unwrap_or(Cause::Fault(FaultId(0)));
        let within = self.j.lawful(&it.within, |t| positive(*t, "this time")).unwrap_or_default();
        let text = format!("routes have settled within {within} of {}", named(&it.fault));
        (ExpectationKind::ConvergedWithin { fault, within }, text)
    }

    fn loss_between(&mut self, it: &schema::LossBetween) -> (ExpectationKind, String) {
        let (probe, name) = self.probe(&it.probe);
        let direction = self.direction(probe, &it.direction);
        let low = self.j.or(&it.min, Percent(0));
        let high = self.j.lawful(&it.max, |high| {
            if *high >= low { Ok(()) } else { Err(format!("the largest is less than the smallest, {low}")) }
        });
        let high = high.unwrap_or(Percent(0));
        let text = format!("{name} loses {low} to {high} of its packets, {}", way(direction));
        let (min, max): (Chance, Chance) = (low.chance(), high.chance());
        (ExpectationKind::LossBetween { probe, direction, min, max }, text)
    }

    fn ecmp_between(&mut self, it: &schema::EcmpBetween) -> (ExpectationKind, String) {
        let (node, name) = self.node(&it.node).unwrap_or_default();
        let kind = self.plan.nodes.get(node.index()).and_then(|node| forwarding(&node.kind));
        if !name.is_empty() && kind.is_none_or(|(it, _)| it.firewall.is_none() && it.ecmp.is_none()) {
            self.j.wrong(it.node.place, format!("`{name}` has neither a firewall nor equal routes"), None);
        }
        let share = one_of(&it.share, &EcmpShare::WORDS, "share", self.j).unwrap_or(EcmpShare::FailedFlows);
        let low = self.j.or(&it.min, Percent(0));
        let high = self.j.lawful(&it.max, |high| {
            if *high >= low { Ok(()) } else { Err(format!("the largest is less than the smallest, {low}")) }
        });
        let (min, high) = (low.chance(), high.unwrap_or(Percent(0)));
        let member = it.member.as_ref().and_then(|at| self.j.read(at)).map(|Name(name)| name);
        let by = member.as_ref().map_or_else(String::new, |member| format!(" by {member}"));
        let what = match share {
            EcmpShare::FailedFlows => "flows failed",
            EcmpShare::AsymmetricFlows => "flows came back another way",
            EcmpShare::Dropped => "packets of flows were dropped",
        };
        let text = format!("{low} to {high} of {what} at {name}{by}");
        (ExpectationKind::EcmpBetween { node, member, share, min, max: high.chance() }, text)
    }

    fn application(&mut self, at: &At<Name>) -> (usize, String) {
        let names: Vec<String> = self.plan.applications.iter().map(|it| it.name.clone()).collect();
        (self.j.find(at, "application", &names).unwrap_or(0), named(at))
    }

    fn flows_between(&mut self, it: &schema::FlowsBetween) -> (ExpectationKind, String) {
        let (application, name) = self.application(&it.application);
        let came_to = one_of(&it.came_to, &CameTo::WORDS, "outcome of a flow", self.j).unwrap_or(CameTo::Failed);
        let min = self.j.or(&it.min, 0);
        let max = self.j.lawful_or(&it.max, u64::MAX, |max| {
            if *max >= min { Ok(()) } else { Err(format!("the most is less than the fewest, {min}")) }
        });
        if it.min.is_none() && it.max.is_none() {
            self.j.wrong(it.application.place, "this always holds: give `min`, `max` or both", None);
        }
        let most = if max == u64::MAX { "any number of".to_owned() } else { max.to_string() };
        let text = format!("{min} to {most} flows of {name} are {}", named(&it.came_to).replace('_', " "));
        (ExpectationKind::FlowsBetween { application, came_to, min, max }, text)
    }

    fn application_outage_between(&mut self, it: &schema::ApplicationOutageBetween) -> (ExpectationKind, String) {
        let (application, name) = self.application(&it.application);
        let min = self.j.need(&it.min, Duration::ZERO);
        let max = self.at_least(&it.max, min);
        let text = format!("the flow of {name} that waited longest and came through waited {min} to {max}");
        (ExpectationKind::ApplicationOutageBetween { application, min, max }, text)
    }

    fn established_times(&mut self, it: &schema::EstablishedTimes) -> (ExpectationKind, String) {
        let session = self.session(&it.session);
        let min = self.j.need(&it.min, 0);
        let max = self.j.lawful(&it.max, |max| {
            if *max >= min { Ok(()) } else { Err(format!("the most is less than the fewest, {min}")) }
        });
        let max = max.unwrap_or(min);
        let name = named(&it.session);
        let text = match max {
            0 => format!("{name} never comes up"),
            max => format!("{name} comes up {min} to {max} times"),
        };
        (ExpectationKind::EstablishedTimes { session, min, max }, text)
    }

    fn rekeys_between(&mut self, it: &schema::RekeysBetween) -> (ExpectationKind, String) {
        let tunnel = tunnel(&it.tunnel, self.names, self.j);
        let min = self.j.need(&it.min, 0);
        let max = self.j.lawful(&it.max, |max| {
            if *max >= min { Ok(()) } else { Err(format!("the most is less than the fewest, {min}")) }
        });
        let max = max.unwrap_or(min);
        let phase = self.j.number(&it.phase, 2, 1, 2, "a phase");
        let sa = if phase == 1 { "IKE_SA" } else { "CHILD_SA" };
        let text = format!("{} replaces its {sa} {min} to {max} times", named(&it.tunnel));
        (ExpectationKind::RekeysBetween { tunnel, phase, min, max }, text)
    }

    fn log_lines_between(&mut self, it: &schema::LogLinesBetween) -> (ExpectationKind, String) {
        let tunnel = tunnel(&it.tunnel, self.names, self.j);
        let some = |text: &String| if text.is_empty() { Err("every line begins like this".into()) } else { Ok(()) };
        let details = self.j.lawful(&it.details, some).unwrap_or_default();
        let within = |t: &Duration| before_end(*t, self.plan);
        let from = self.j.lawful_or(&it.from, Duration::ZERO, within);
        let until = self.j.lawful_or(&it.until, self.plan.duration, |until| {
            before_end(*until, self.plan)?;
            if *until > from { Ok(()) } else { Err(format!("it must be later than {from}")) }
        });
        let min = self.j.need(&it.min, 0);
        let max = self.j.lawful(&it.max, |max| {
            if *max >= min { Ok(()) } else { Err(format!("the most is less than the fewest, {min}")) }
        });
        let max = max.unwrap_or(min);
        let span = match (&it.from, &it.until) {
            (None, None) => String::new(),
            (Some(_), None) => format!(" from {from} on"),
            (None, Some(_)) => format!(" before {until}"),
            (Some(_), Some(_)) => format!(" from {from} to {until}"),
        };
        let text = format!("AWS logs `{details}` for {} {min} to {max} times{span}", named(&it.tunnel));
        let (from, until) = (moment(from), moment(until));
        (ExpectationKind::LogLinesBetween { tunnel, details, from, until, min, max }, text)
    }

    fn alarm_within(&mut self, it: &schema::AlarmWithin) -> (ExpectationKind, String) {
        let (alarm, state) = alarm_and_state(&it.alarm, &it.state, self.names, self.j);
        let after = self.j.lawful_or(&it.after, Duration::ZERO, |t| before_end(*t, self.plan));
        let not_before = self.j.or(&it.not_before, Duration::ZERO);
        let within = self.j.lawful(&it.within, |within| {
            positive(*within, "this time")?;
            before_end(after + *within, self.plan)?;
            if *within >= not_before { Ok(()) } else { Err(format!("this is less than {not_before}")) }
        });
        let (within, word) = (within.unwrap_or_default(), state.word());
        let text = format!("alarm {} is {word} {not_before} to {within} after {after}", named(&it.alarm));
        (ExpectationKind::AlarmWithin { alarm, state, after: moment(after), not_before, within }, text)
    }

    fn alarm_times(&mut self, it: &schema::AlarmTimes) -> (ExpectationKind, String) {
        let (alarm, state) = alarm_and_state(&it.alarm, &it.state, self.names, self.j);
        let min = self.j.need(&it.min, 0);
        let max = self.j.lawful(&it.max, |max| {
            if *max >= min { Ok(()) } else { Err(format!("the most is less than the fewest, {min}")) }
        });
        let max = max.unwrap_or(min);
        let text = format!("alarm {} goes to {} {min} to {max} times", named(&it.alarm), state.word());
        (ExpectationKind::AlarmTimes { alarm, state, min, max }, text)
    }

    fn metric_between(&mut self, it: &schema::MetricBetween) -> (ExpectationKind, String) {
        let metric = self.j.read(&it.metric);
        let of = watched(metric, &it.of, self.plan, self.j);
        let statistic = self.j.or(&it.statistic, Statistic::Average);
        let period = self.j.lawful_or(&it.period, Duration::from_secs(300), whole_minutes);
        let at = self.j.lawful(&it.at, |at| {
            before_end(*at, self.plan)?;
            let whole = !at.is_zero() && at.as_nanos().is_multiple_of(period.as_nanos().max(1));
            if whole { Ok(()) } else { Err(format!("no period of {period} ends at {at}")) }
        });
        let at = at.unwrap_or(period);
        let Number(min) = self.j.need(&it.min, Number(0.0));
        let max = self.j.lawful(&it.max, |Number(max)| {
            if *max >= min { Ok(()) } else { Err(format!("the largest is less than the smallest, {min}")) }
        });
        let Number(max) = max.unwrap_or(Number(min));
        let metric = metric.unwrap_or(Metric::TunnelState);
        let (name, of_what) = (metric.name(), named(&it.of));
        let text = format!("{statistic:?} of {name} of {of_what} over the {period} before {at} is {min} to {max}");
        let period = (moment(at.saturating_sub(period)), moment(at));
        (ExpectationKind::MetricBetween { metric, of, statistic, period, min, max }, text)
    }

    fn at_least(&mut self, at: &At<Duration>, min: Duration) -> Duration {
        let max = self.j.lawful(at, |max| {
            if *max >= min { Ok(()) } else { Err(format!("the longest is less than the shortest, {min}")) }
        });
        max.unwrap_or(min)
    }

    fn probe(&mut self, at: &At<Name>) -> (StreamId, String) {
        let found = self.j.find(at, "probe", &self.names.probes);
        (StreamId(found.unwrap_or(0) as u16), named(at))
    }

    /// What of a probe is judged. Nothing of a one-way probe comes back, so no other direction could fail.
    fn direction(&mut self, probe: StreamId, given: &Option<At<Judged>>) -> Judged {
        let probe = self.plan.probes.get(usize::from(probe.0));
        let is_one_way = probe.is_some_and(|probe| probe.kind == ProbeKind::UdpOneWay);
        let Some(at) = given.as_ref().filter(|_| is_one_way) else {
            return self.j.or(given, if is_one_way { Judged::Forward } else { Judged::RoundTrip });
        };
        let rule = |direction: &Judged| match direction {
            Judged::Forward => Ok(()),
            Judged::Reverse | Judged::RoundTrip => Err("this probe is one-way: nothing of it comes back".into()),
        };
        self.j.lawful(at, rule).unwrap_or(Judged::Forward)
    }

    fn node(&mut self, at: &At<Name>) -> Option<(NodeId, String)> {
        let found = self.j.find(at, "node", &self.names.nodes)?;
        Some((NodeId(found as u32), self.names.nodes[found].clone()))
    }

    fn fault(&mut self, at: &At<Name>) -> FaultId {
        let name = named(at);
        if let Some(stem) =
            name.strip_suffix(".heal").filter(|stem| self.names.faults.iter().any(|fault| fault == stem))
        {
            let help = format!("did you mean `{stem}`?");
            self.j.wrong(at.place, format!("`{name}` is a healing, and nothing has to detect it"), Some(help));
            return FaultId(0);
        }
        FaultId(self.j.find(at, "fault", &self.names.faults).unwrap_or(0) as u16)
    }

    /// A fault, or its healing as `FAULT.heal`.
    fn cause(&mut self, at: &At<Name>) -> Option<Cause> {
        let Name(name) = self.j.read(at)?;
        let Some(stem) = name.strip_suffix(".heal") else {
            return Some(Cause::Fault(self.fault(at)));
        };
        match self.names.faults.iter().position(|fault| fault == stem) {
            None => {
                let help = did_you_mean(stem, self.names.faults.iter().map(String::as_str));
                self.j.wrong(at.place, format!("no fault is called `{stem}`"), help);
                None
            }
            Some(fault) => {
                if self.plan.faults.get(fault).is_some_and(|fault| fault.heal.is_none()) {
                    self.j.wrong(at.place, format!("fault `{stem}` does not heal"), None);
                }
                Some(Cause::Healing(FaultId(fault as u16)))
            }
        }
    }

    /// A tunnel, an interface of the node, or what has one in it if it is a VPC.
    fn way(&mut self, at: &At<Name>, node: Option<NodeId>) -> Option<String> {
        let kind = node.and_then(|node| self.plan.nodes.get(node.index())).map(|node| &node.kind);
        let interfaces = kind.and_then(forwarding).map_or(&[][..], |(_, interfaces)| interfaces);
        let interfaces = interfaces.iter().map(|interface| interface.name.clone());
        let direct = node.map(|node| super::dx::ways(self.plan, node)).unwrap_or_default();
        let transit = node.map(|node| super::transit::ways(self.plan, node)).unwrap_or_default();
        let nodes = self.plan.nodes.iter();
        let targets = nodes.filter(|it| interface(&it.kind).is_some_and(|(vpc, ..)| node == Some(vpc)));
        let targets = targets.map(|it| it.name.clone());
        let all = self.names.tunnels.iter().cloned().chain(interfaces).chain(direct).chain(transit).chain(targets);
        let all: Vec<String> = all.collect();
        self.j.find(at, "tunnel or interface of this node", &all).map(|i| all[i].clone())
    }

    /// `CONNECTION.TUNNEL.ike`, `.child` or `.bgp`, or `NODE.NEIGHBOR.bgp` or `.bfd`.
    fn session(&mut self, at: &At<Name>) -> SessionRef {
        let kinds = [("ike", SessionKind::Ike), ("child", SessionKind::Child), ("bgp", SessionKind::Bgp)];
        let all = self.names.tunnels.iter().zip(&self.names.tunnel_ids).flat_map(|(name, id)| {
            kinds.map(|(end, kind)| (format!("{name}.{end}"), SessionRef::Tunnel { tunnel: *id, kind }))
        });
        let (names, sessions): (Vec<_>, Vec<_>) = all.chain(with_neighbors(self.plan)).unzip();
        let session = self.j.find(at, "session", &names).map(|i| sessions[i]);
        if let Some(SessionRef::Tunnel { tunnel, kind: SessionKind::Bgp }) = session {
            speaks_bgp(tunnel, at, self.plan, self.j);
        }
        session.unwrap_or(SessionRef::Tunnel {
            tunnel: crate::plan::TunnelId { connection: usize::MAX, tunnel: 0 },
            kind: SessionKind::Ike,
        })
    }
}

/// The sessions of neighbours by their names.
fn with_neighbors(plan: &Plan) -> Vec<(String, SessionRef)> {
    let mut all = Vec::new();
    for (i, device) in plan.nodes.iter().enumerate() {
        let neighbors = forwarding(&device.kind).map_or(&[][..], |(forwarding, _)| &forwarding.neighbors);
        for (neighbor, end) in neighbors.iter().enumerate() {
            let name = format!("{}.{}", device.name, end.name);
            let session = |bfd| SessionRef::Neighbor { node: NodeId(i as u32), neighbor, bfd };
            all.push((format!("{name}.bgp"), session(false)));
            all.extend(end.bfd.map(|_| (format!("{name}.bfd"), session(true))));
        }
    }
    all
}

fn named(at: &At<Name>) -> String {
    at.value.as_ref().map(|Name(name)| name.clone()).unwrap_or_default()
}

fn way(direction: Judged) -> &'static str {
    match direction {
        Judged::Forward => "there",
        Judged::Reverse => "back",
        Judged::RoundTrip => "there and back",
    }
}
