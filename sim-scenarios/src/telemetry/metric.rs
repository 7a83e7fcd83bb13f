//! Metrics: samples of each minute, datapoints of each period.
//!
//! Sources: Site-to-Site VPN User Guide, "Monitor Site-to-Site VPN tunnels using Amazon CloudWatch" (`AWS/VPN`; TunnelState of a
//! tunnel with BGP is 1 while the session is ESTABLISHED, of one with static routes while it is up; by VpnId it is the mean of
//! both, 0.5 with one of two up); Transit Gateway guide, "CloudWatch metrics" (`AWS/TransitGateway`, every 60 s); CloudWatch User
//! Guide, "Metric stream output in JSON format" (the form of a line).
//!
//! What AWS does not state is how often it publishes `AWS/VPN`: `assume.vpn_metric_period`. A period's datapoint is of one sample for
//! each minute and tunnel, and stands at the period's beginning. No datapoint is published of a period that is not over.
//!
//! `AWS/DX` (Direct Connect User Guide, "Monitor with Amazon CloudWatch"; the metrics of BGP are of 2026) has two samples a minute. Rates
//! are of what a virtual interface forwards, without BGP's and BFD's own packets. Each member of a LAG is a connection with a state of its
//! own; the LAG is up while as many of them are as it needs. Left out: the rates of a member, and, because nothing of it is
//! modelled, ConnectionErrorCount, light levels, encryption state.
//!
//! `PacketLoss` and `TunnelLatency` are ours, in a namespace of our own: AWS has no such metrics. The first counts what both ends
//! sealed and the other did not open, minute by minute; what is under way when a minute ends counts in the next. The second is the
//! time from an IKE request of AWS's end to its answer, and has no datapoint where AWS asked nothing.

use std::ops::Range;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sim_core::id::NodeId;
use sim_core::reason::Step;
use sim_core::time::{Duration, Instant};
use sim_core::trace::What;

use super::meter::{DirectReading, HALF, InterfaceReading, Meter, Reading, TunnelReading, lag, links, tunnels};
use super::{ACCOUNT, MINUTE, REGION};
use crate::build::Built;
use crate::plan::{Metered, Metric, NodeKind, Plan, Statistic, TunnelId};

/// The datapoints of one metric of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Which metric.
    pub metric: Metric,
    /// Of what.
    pub of: Metered,
    /// CloudWatch's dimensions.
    pub dimensions: Vec<(&'static str, String)>,
    /// How often a datapoint comes.
    pub period: Duration,
    /// The datapoints, in order of time.
    pub points: Vec<Point>,
}

/// A datapoint: what CloudWatch keeps of the samples of a period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// When its period begins.
    #[serde(skip)]
    pub start: Instant,
    /// How many samples.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The largest.
    pub max: f64,
    /// The smallest.
    pub min: f64,
}

impl Point {
    fn of(start: Instant, samples: &[f64]) -> Option<Self> {
        let (first, rest) = samples.split_first()?;
        let one = Self { start, count: 1.0, sum: *first, max: *first, min: *first };
        Some(rest.iter().fold(one, |p, s| Self {
            count: p.count + 1.0,
            sum: p.sum + s,
            max: p.max.max(*s),
            min: p.min.min(*s),
            ..p
        }))
    }

    /// Several datapoints as one.
    pub fn merge(points: &[Self]) -> Option<Self> {
        points.iter().copied().reduce(|a, b| Self {
            start: a.start.min(b.start),
            count: a.count + b.count,
            sum: a.sum + b.sum,
            max: a.max.max(b.max),
            min: a.min.min(b.min),
        })
    }

    /// A statistic of it.
    pub fn statistic(&self, statistic: Statistic) -> f64 {
        match statistic {
            Statistic::SampleCount => self.count,
            Statistic::Average => self.sum / self.count,
            Statistic::Sum => self.sum,
            Statistic::Minimum => self.min,
            Statistic::Maximum => self.max,
        }
    }
}

impl Series {
    /// The statistic of all datapoints that begin from one moment to another and are over at `now`; `None` if there are none.
    pub fn over(&self, statistic: Statistic, from: Instant, until: Instant, now: Instant) -> Option<f64> {
        let within = |p: &&Point| p.start >= from && p.start < until && p.start + self.period <= now;
        let points: Vec<Point> = self.points.iter().filter(within).copied().collect();
        Point::merge(&points).map(|point| point.statistic(statistic))
    }
}

/// How often a metric comes.
pub fn period(metric: Metric, plan: &Plan) -> Duration {
    match metric {
        Metric::TunnelState | Metric::TunnelDataIn | Metric::TunnelDataOut => plan.assume.vpn_metric_period,
        _ => MINUTE,
    }
}

/// All metrics of a run.
pub fn series(plan: &Plan, built: &Built, meter: &Meter) -> Vec<Series> {
    let mut all = Vec::new();
    let ids: Vec<TunnelId> = tunnels(plan).collect();
    let of_tunnel = |metric: Metric, place: usize| match metric {
        Metric::TunnelLatency => latency(built, ids[place]),
        _ => samples(meter, |reading| &reading.tunnels[place], metric),
    };
    for metric in Metric::OF_TUNNELS {
        let mut places = ids.iter().enumerate();
        for (connection, planned) in plan.connections.iter().enumerate() {
            let mut both: Vec<Vec<f64>> = Vec::new();
            for (place, id) in places.by_ref().take(planned.tunnels.len()) {
                let minutes = of_tunnel(metric, place);
                both.resize(both.len().max(minutes.len()), Vec::new());
                both.iter_mut().zip(&minutes).for_each(|(all, own)| all.extend(own));
                let address = plan.tunnel(*id).aws_outside.to_string();
                let dimensions = vec![("VpnId", planned.name.clone()), ("TunnelIpAddress", address)];
                all.push(made(metric, Metered::Tunnel(*id), dimensions, minutes, plan));
            }
            let dimensions = vec![("VpnId", planned.name.clone())];
            all.push(made(metric, Metered::Connection(connection), dimensions, both, plan));
        }
    }
    let mut first = 0;
    for (node, id) in plan.nodes.iter().zip(0..) {
        let NodeKind::TransitGateway(gateway) = &node.kind else { continue };
        let attachments = crate::make::transit::attachments(plan, NodeId(id), gateway);
        for metric in Metric::OF_GATEWAYS {
            let mut total: Vec<Vec<f64>> = Vec::new();
            for (place, attachment) in attachments.iter().enumerate() {
                let minutes = of_attachment(meter, first + place, metric);
                total.resize(total.len().max(minutes.len()), Vec::new());
                total.iter_mut().zip(&minutes).for_each(|(all, own)| all.extend(own));
                let name = plan.attachment_name(*attachment).to_owned();
                let dimensions = vec![("TransitGateway", node.name.clone()), ("TransitGatewayAttachment", name)];
                all.push(made(metric, Metered::Attachment(NodeId(id), *attachment), dimensions, minutes, plan));
            }
            let dimensions = vec![("TransitGateway", node.name.clone())];
            all.push(made(metric, Metered::Gateway(NodeId(id)), dimensions, total, plan));
        }
        first += attachments.len();
    }
    direct_connect(plan, meter, &mut all);
    all
}

/// `AWS/DX`, by connection and by virtual interface.
fn direct_connect(plan: &Plan, meter: &Meter, all: &mut Vec<Series>) {
    let mut first = 0;
    for (number, line) in plan.direct_connects.iter().enumerate() {
        let places = first..first + line.virtual_interfaces.len();
        first = places.end;
        let connection = ("ConnectionId", line.name.clone());
        for metric in Metric::OF_LINES {
            let lag = lag(plan, line);
            let least = lag.map_or(1, |lag| lag.minimum_links.max(1));
            let is_up = |it: &DirectReading| it.lines[number].iter().filter(|up| **up).count() >= least;
            let minutes = match metric {
                Metric::ConnectionState => states(meter, |it| f64::from(u8::from(is_up(it)))),
                _ => rates(meter, places.clone(), metric),
            };
            all.push(made(metric, Metered::Line(number), vec![connection.clone()], minutes, plan));
        }
        if lag(plan, line).is_some() {
            for (place, id) in links(plan, line).enumerate() {
                let member = vec![("ConnectionId", plan.links[id.index()].name.clone())];
                let minutes = states(meter, |it| f64::from(u8::from(it.lines[number][place])));
                all.push(made(Metric::ConnectionState, Metered::Member(id), member, minutes, plan));
            }
        }
        for (id, place) in line.virtual_interfaces.iter().zip(places) {
            let interface = ("VirtualInterfaceId", plan.nodes[id.index()].name.clone());
            for metric in Metric::OF_INTERFACES {
                let mut dimensions = vec![connection.clone(), interface.clone()];
                let state = |of: &dyn Fn(&InterfaceReading) -> f64| states(meter, |it| of(&it.interfaces[place]));
                let minutes = match metric {
                    Metric::VirtualInterfaceBgpStatus => state(&|it| f64::from(u8::from(it.established))),
                    Metric::VirtualInterfaceBgpPrefixesAccepted => state(&|it| it.prefixes[0] as f64),
                    Metric::VirtualInterfaceBgpPrefixesAdvertised => state(&|it| it.prefixes[1] as f64),
                    _ => rates(meter, place..place + 1, metric),
                };
                if metric.name().contains("Bgp") {
                    dimensions.push(("IpAddressFamily", "ipv4".into()));
                }
                all.push(made(metric, Metered::Interface(*id), dimensions, minutes, plan));
            }
        }
    }
}

/// The samples of each minute of Direct Connect.
fn states(meter: &Meter, of: impl FnMut(&DirectReading) -> f64) -> Vec<Vec<f64>> {
    let samples: Vec<f64> = meter.direct.iter().map(of).collect();
    samples.chunks_exact((MINUTE.as_nanos() / HALF.as_nanos()) as usize).map(<[f64]>::to_vec).collect()
}

/// Bits or packets per second, minute by minute, of some virtual interfaces together.
fn rates(meter: &Meter, places: Range<usize>, metric: Metric) -> Vec<Vec<f64>> {
    let mut before = 0;
    states(meter, |reading| {
        let counts = reading.interfaces[places.clone()].iter().map(|it| match metric {
            Metric::ConnectionBpsEgress | Metric::VirtualInterfaceBpsEgress => 8 * it.traffic.sent.octets,
            Metric::ConnectionBpsIngress | Metric::VirtualInterfaceBpsIngress => 8 * it.traffic.received.octets,
            Metric::ConnectionPpsEgress | Metric::VirtualInterfacePpsEgress => it.traffic.sent.packets,
            Metric::ConnectionPpsIngress | Metric::VirtualInterfacePpsIngress => it.traffic.received.packets,
            _ => 0,
        });
        let now = counts.sum();
        (now - core::mem::replace(&mut before, now)) as f64 / HALF.as_secs_f64()
    })
}

fn made(
    metric: Metric,
    of: Metered,
    dimensions: Vec<(&'static str, String)>,
    minutes: Vec<Vec<f64>>,
    plan: &Plan,
) -> Series {
    let period = period(metric, plan);
    let each = (period.as_nanos() / MINUTE.as_nanos()).max(1) as usize;
    let point = |(n, minutes): (usize, &[Vec<f64>])| {
        let samples: Vec<f64> = minutes.iter().flatten().copied().collect();
        Point::of(Instant::START + period * n as u64, &samples)
    };
    Series {
        metric,
        of,
        dimensions,
        period,
        points: minutes.chunks_exact(each).enumerate().filter_map(point).collect(),
    }
}

/// The samples of each minute: one, or none where the metric has none.
fn samples<'m>(meter: &'m Meter, of: impl Fn(&'m Reading) -> &'m TunnelReading, metric: Metric) -> Vec<Vec<f64>> {
    let mut before = TunnelReading::default();
    let minute = |reading: &'m Reading| {
        let now = *of(reading);
        let then = core::mem::replace(&mut before, now);
        let sample = match metric {
            Metric::TunnelState => Some(f64::from(u8::from(now.up))),
            Metric::TunnelDataIn => Some((now.aws.received.octets - then.aws.received.octets) as f64),
            Metric::TunnelDataOut => Some((now.aws.sent.octets - then.aws.sent.octets) as f64),
            Metric::PacketLoss => loss(&then, &now),
            _ => None,
        };
        sample.into_iter().collect()
    };
    meter.readings.iter().map(minute).collect()
}

/// In percent; `None` if nothing was sent.
fn loss(then: &TunnelReading, now: &TunnelReading) -> Option<f64> {
    let sent = |r: &TunnelReading| r.aws.sent.packets + r.customer.sent.packets;
    let received = |r: &TunnelReading| r.aws.received.packets + r.customer.received.packets;
    let (sent, received) = (sent(now) - sent(then), received(now) - received(then));
    (sent > 0).then(|| 100.0 * sent.saturating_sub(received) as f64 / sent as f64)
}

fn of_attachment(meter: &Meter, place: usize, metric: Metric) -> Vec<Vec<f64>> {
    let mut before = 0;
    let minute = |reading: &Reading| {
        let now = &reading.attachments[place];
        let now = match metric {
            Metric::BytesIn => now.received.octets,
            Metric::BytesOut => now.sent.octets,
            Metric::PacketsIn => now.received.packets,
            Metric::PacketsOut => now.sent.packets,
            Metric::PacketDropCountBlackhole => now.blackhole.packets,
            Metric::PacketDropCountNoRoute => now.no_route.packets,
            Metric::BytesDropCountBlackhole => now.blackhole.octets,
            Metric::BytesDropCountNoRoute => now.no_route.octets,
            _ => 0,
        };
        vec![(now - core::mem::replace(&mut before, now)) as f64]
    };
    meter.readings.iter().map(minute).collect()
}

/// Round-trip times of the IKE exchanges that AWS's end began, in milliseconds, by the minute in which the answer came.
fn latency(built: &Built, id: TunnelId) -> Vec<Vec<f64>> {
    let whole = (built.world.now().since_start().as_nanos() / MINUTE.as_nanos()) as usize;
    let mut minutes = vec![Vec::new(); whole];
    let mut asked: Option<(u32, Instant)> = None;
    for (_, record) in built.world.trace.session_records(built.tunnel(id).ike[0]) {
        let What::Step { step, detail, response, .. } = record.what else { continue };
        if step == Step::Retransmitted {
            // Which of several it is that was answered, nobody knows (RFC 6298 section 3 says why that is no measurement).
            asked = None;
        } else if step.is_sent() && !response {
            asked = Some((detail, record.at));
        } else if response
            && !step.is_sent()
            && let Some((_, at)) = asked.take_if(|(message, _)| *message == detail)
            && let Some(minute) = minutes.get_mut((record.at.since_start().as_nanos() / MINUTE.as_nanos()) as usize)
        {
            minute.push(record.at.since(at).as_nanos() as f64 / 1e6);
        }
    }
    minutes
}

/// Datapoints as a metric stream in JSON delivers them, by time.
pub fn lines(series: &[Series], begins: Duration) -> String {
    let mut all: Vec<(Instant, usize, &Point)> = series
        .iter()
        .enumerate()
        .flat_map(|(number, s)| s.points.iter().map(move |point| (point.start + s.period, number, point)))
        .collect();
    all.sort_by_key(|(at, number, _)| (*at, *number));
    let line = |(_, number, point): &(Instant, usize, &Point)| {
        let Series { metric, dimensions, .. } = &series[*number];
        let dimensions: Map<String, Value> =
            dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let value = json!({
            "metric_stream_name": "vpnsim",
            "account_id": ACCOUNT,
            "region": REGION,
            "namespace": metric.namespace(),
            "metric_name": metric.name(),
            "dimensions": dimensions,
            "timestamp": (begins + point.start.since_start()).as_nanos() / 1_000_000,
            "value": point,
            "unit": metric.unit(),
        });
        value.to_string() + "\n"
    };
    all.iter().map(line).collect()
}
