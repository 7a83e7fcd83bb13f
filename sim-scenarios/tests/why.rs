//! `vpnsim why` as a property of random worlds, all on common random numbers.
//!
//! - A wait of the critical path that is shortened by less than its slack moves the recovery by exactly that much: the last record of
//!   the path to the nanosecond, and the probe that came through to the instant of its grid that follows from it. A later row that is
//!   tied to an absolute instant moves nothing, and the path names it.
//! - Shortened by more than its slack, it moves the recovery to where the runner-up decides.
//! - A wait beside the path that is shortened, or made longer by less than its slack, changes nothing, unless it set the instant of a
//!   tied step, which is named then.
//!
//! Only parameters are changed that are the wait itself and nothing else: AWS-internal delays, DPD timeouts, and hold times where
//! the keepalive interval is fixed. (A hold time is told in whole seconds, RFC 4271 section 4.2, and holds at both ends.)
//!
//! 10 worlds by default, 500 with `VPNSIM_FULL=1`. A failure prints the world; `SWARM=n` runs world n alone.

use std::collections::BTreeMap;
use std::env;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::Duration;
use sim_scenarios::report::text;
use sim_scenarios::why::document::{Explained, Row, Wait};
use sim_scenarios::why::{self, Subject, tell};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

/// The world, with what is drawn marked by `/*...*/`.
const TEXT: &str = include_str!("studies/why.ron");

/// Hundredths of a second as a value of the language.
fn centis(n: u64) -> String {
    format!("{}.{:02}s", n / 100, n % 100)
}

fn draw(world: u64) -> String {
    let mut dice = Rng::stream(world, "why", Purpose::Test);
    let mut between = |from: u64, to: u64| from + dice.below(to - from + 1);
    // Long after the set-up, and off any grid.
    let strike = between(60_000, 75_000);
    let at = |millis: u64| format!("{}.{:03}s", millis / 1_000, millis % 1_000);
    let single = world % 5 == 3;
    let statics = world % 5 == 4;
    let what = match (world % 5, between(0, 1)) {
        (0 | 3, _) | (1, 0) | (4, 0) => "Blackhole(link: \"path-a\")",
        _ => "PowerLoss(node: \"vpn.a\")",
    };
    let heal = if single { format!(", heal: \"{}\"", at(strike + between(70_000, 90_000))) } else { String::new() };
    let keepalive = between(3, 4);
    let routing = if statics {
        "Static(prefixes: [\"10.1.0.0/16\"])".to_owned()
    } else {
        format!(
            "Bgp(aws: (hold_time: \"{}s\", keepalive: \"{keepalive}s\", idle_hold: \"1s\", connect_retry: \"5s\"), \
             customer: (hold_time: \"{}s\", keepalive: \"{keepalive}s\", idle_hold: \"1s\", connect_retry: \"5s\"))",
            between(18, 36),
            between(18, 36)
        )
    };
    let policy = |words: &str| if statics { String::new() } else { format!("{words}, ") };
    let tunnel_b = format!(
        "\"b\": (outside_address: \"198.51.100.20\", inside_cidr: \"169.254.20.0/30\", dpd_timeout: \"60s\", \
         customer: ({}dpd_timeout: \"60s\")),",
        policy("prepend: 2")
    );
    let tunnel_b = if single { String::new() } else { tunnel_b };
    let path_b = format!("\"path-b\": Path(between: (\"isp\", \"vpn.b\"), delay: \"{}ms\"),", between(1, 60));
    let routes = if single {
        "(prefix: \"10.0.0.0/16\", via: \"vpn.a\")"
    } else {
        "(prefix: \"10.0.0.0/16\", via: \"vpn.a\", distance: 10), (prefix: \"10.0.0.0/16\", via: \"vpn.b\", distance: 20)"
    };
    let probe = match between(0, 3) {
        0 => "UdpOneWay(from: \"app\", to: \"office\"",
        1 => "UdpOneWay(from: \"office\", to: \"app\"",
        _ => "UdpEcho(from: \"office\", to: \"app\"",
    };
    let marks: BTreeMap<&str, String> = BTreeMap::from([
        ("seed", world.to_string()),
        ("duration", if single { "300s" } else { "160s" }.to_owned()),
        ("uplink", format!("{}ms", between(1, 30))),
        ("delay-a", format!("{}ms", between(1, 60))),
        ("path-b", if single { String::new() } else { path_b }),
        (
            "static",
            if statics { format!("static_routes: [{routes}],") } else { "advertise: [\"10.1.0.0/16\"],".into() },
        ),
        ("preferred", if single { String::new() } else { ", preferred_tunnel: \"vpn.a\"".into() }),
        ("routing", routing),
        ("dpd-aws", centis(between(3_000, 4_500))),
        ("dpd-customer", centis(between(2_200, 4_500))),
        ("customer", policy("local_preference: 200")),
        ("tunnel-b", tunnel_b),
        ("probe", format!("{probe}, every: \"{}ms\", start: \"{}\")", between(23, 120), at(strike - 1_000))),
        ("fault", format!("at: \"{}\"{heal}, what: {what}", at(strike))),
        ("programming", centis(between(1, 1_500))),
        ("propagation", centis(between(1, 900))),
        ("health", centis(between(50, 3_000))),
    ]);
    marks.iter().fold(TEXT.to_owned(), |text, (mark, value)| {
        let marked = format!("/*{mark}*/");
        assert!(text.contains(&marked), "{mark} is in the text");
        text.replace(&marked, value)
    })
}

/// Asks why, of the longest outage of the widest direction: there and back if there is a way back.
fn ask(scenario: &Scenario) -> Option<Explained> {
    let mut simulation = Simulation::new(scenario);
    simulation.run_until(simulation.end());
    let observation = simulation.observe();
    let widest = *observation.observed.streams[0].directions().last().expect("a stream has a direction");
    let all = why::outages(&observation);
    let mine = (1..=all.len()).filter(|number| all[number - 1].1.direction == widest);
    let longest = mine.max_by_key(|number| all[number - 1].1.duration(observation.observed.end))?;
    let subject = why::subject(&observation, Some(longest)).expect("there are so many")?;
    drop(observation);
    let heard = Subject::journey(&subject).map(|(journey, until)| {
        let listener = Box::new(journey.clone());
        Simulation::prepare(scenario, |world| world.trace.add_sink(listener)).run_until(until);
        journey
    });
    why::understand(scenario, &simulation, Some(&subject), heard.as_ref()).why.outage
}

/// A parameter that is its wait and nothing else: the least value, and the step in which it may change.
fn is_the_wait(wait: &Wait) -> Option<(Duration, Duration)> {
    let (least, step) = match wait.owner.as_str() {
        "programming_delay" | "propagation_delay" | "endpoint_health" => (Duration::ZERO, Duration::from_nanos(1)),
        "dpd_timeout" if wait.parameter.as_ref()?.path.contains("customer") => {
            // No less than two checks, which are 5 s apart.
            (Duration::from_secs(11), Duration::from_nanos(1))
        }
        "dpd_timeout" => (Duration::from_secs(30), Duration::from_nanos(1)),
        // Three keepalives of 4 s, or they would come faster.
        "hold_timer" => (Duration::from_secs(13), Duration::from_secs(1)),
        _ => return None,
    };
    wait.parameter.as_ref()?;
    Some((least, step))
}

fn value(wait: &Wait) -> Duration {
    let text = &wait.parameter.as_ref().expect("it has one").value;
    sim_scenarios::leaf::duration(text).expect("it is a time")
}

/// A length below `most` in whole steps, not zero; `None` if there is none.
fn some(dice: &mut Rng, most: Duration, step: Duration) -> Option<Duration> {
    let steps = most.as_nanos().saturating_sub(1) / step.as_nanos();
    (steps > 0).then(|| step * (1 + dice.below(steps)))
}

fn arrival(explained: &Explained) -> Duration {
    explained.path.last().expect("it has a path").step.at_s.0
}

/// When the probe that comes through may be sent, if it can be from `ready` on: the instants of the grid pass through `sent`. One
/// that meets a device at the very instant at which that is ready comes first and is lost, as arrivals come before timers
/// (`world/agenda.rs`), unless an arrival made it ready.
fn on_grid(sent: Duration, every: Duration, ready: Duration) -> Vec<Duration> {
    let back = sent.saturating_sub(ready).as_nanos() / every.as_nanos();
    let first = sent - every * back;
    if first == ready { vec![first, first + every] } else { vec![first] }
}

/// What was done to worlds, to know that the property says something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Done(BTreeMap<String, u32>);

impl Done {
    fn count(&mut self, what: &str) {
        *self.0.entry(what.to_owned()).or_default() += 1;
    }
}

/// Checks one world; returns what was done with it.
fn check(world: u64) -> Done {
    let mut done = Done::default();
    let mut dice = Rng::stream(world, "why changes", Purpose::Test);
    let text = draw(world);
    let scenario =
        Scenario::parse("why.ron", &text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
    let Some(before) = ask(&scenario) else { panic!("world {world} has no outage\n{text}") };
    assert!(!before.path.is_empty(), "world {world}: its outage has no path\n{text}\n{before:#?}");
    let changed = |wait: &Wait, to: Duration| {
        let change = format!("{}={to}", wait.parameter.as_ref().expect("it has one").path);
        let after = ask(&scenario.with(&[&change], &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}")));
        (after.unwrap_or_else(|| panic!("world {world} with {change} has no outage")), change)
    };
    let sent = before.outage.end_s.expect("it ended").0;
    let grid = before.path.last().and_then(|row| row.wait.as_ref()).expect("the probe waited");
    let ready = grid.armed_s.expect("it could be sent since then").0;
    let record = |explained: &Explained| explained.path[explained.path.len() - 2].step.at_s.0;
    let told = |change: &str, after: &Explained| {
        format!("world {world}, {change}\n{text}\nbefore: {before:#?}\nafter: {after:#?}")
    };

    let on_path: Vec<&Wait> = before.path.iter().filter_map(|row| row.wait.as_ref()).collect();
    for wait in on_path.iter().copied() {
        let Some((least, step)) = is_the_wait(wait) else { continue };
        let slack = wait.slack_s.expect("a timer has slack").0;
        let most = slack.min(value(wait).saturating_sub(least));
        let Some(by) = some(&mut dice, most, step) else { continue };
        let (after, change) = changed(wait, value(wait) - by);
        let moved = if wait.tied.is_some() { Duration::ZERO } else { by };
        assert_eq!(record(&after), record(&before) - moved, "{}", told(&change, &after));
        let then = after.outage.end_s.expect("it ended").0;
        assert!(on_grid(sent, before.interval_s.0, ready - moved).contains(&then), "{}", told(&change, &after));
        assert_eq!(arrival(&after), arrival(&before) - (sent - then), "{}", told(&change, &after));
        done.count(if wait.tied.is_some() { "tied" } else { &wait.owner });
        // Past its slack the runner-up decides. A hold time holds at both ends, so there both come earlier.
        let more = slack + step + Duration::from_nanos(dice.below(1_000_000_000));
        if wait.runner_up.is_some() && wait.tied.is_none() && wait.owner != "hold_timer" && value(wait) >= least + more
        {
            let (after, change) = changed(wait, value(wait) - more);
            let then = after.outage.end_s.expect("it ended").0;
            assert!(on_grid(sent, before.interval_s.0, ready - slack).contains(&then), "{}", told(&change, &after));
            done.count("past its slack");
        }
    }

    let shared = |wait: &Wait| on_path.iter().any(|other| other.parameter == wait.parameter);
    for branch in &before.beside {
        let waits = branch.path.iter().filter_map(|row: &Row| row.wait.as_ref());
        // A hold time holds at both ends: it is never beside the path alone. What sets the instant of a tied step is not beside it.
        for wait in waits.filter(|wait| !shared(wait) && wait.owner != "hold_timer" && wait.drives.is_none()) {
            let Some((least, step)) = is_the_wait(wait) else { continue };
            if let Some(by) = some(&mut dice, value(wait).saturating_sub(least), step) {
                let (after, change) = changed(wait, value(wait) - by);
                assert_eq!(arrival(&after), arrival(&before), "{}", told(&change, &after));
                done.count("beside, shorter");
            }
            // What is tied later in the branch may come a whole period later.
            if let Some(by) = some(&mut dice, branch.slack_s.0, step).filter(|_| wait.tied.is_none()) {
                let (after, change) = changed(wait, value(wait) + by);
                assert_eq!(arrival(&after), arrival(&before), "{}", told(&change, &after));
                done.count("beside, longer");
            }
        }
    }
    done
}

#[test]
fn a_wait_moves_the_recovery_by_as_much_as_its_slack_says() {
    let only = env::var_os("SWARM").and_then(|n| n.to_str().and_then(|n| n.parse::<u64>().ok()));
    let full = env::var_os("VPNSIM_FULL").is_some();
    let worlds = match (only, full) {
        (Some(n), _) => n..n + 1,
        (None, true) => 0..500,
        (None, false) => 0..10,
    };
    let all: Vec<Done> = worlds.into_par_iter().map(check).collect();
    let mut done = Done::default();
    for (what, times) in all.into_iter().flat_map(|it| it.0) {
        *done.0.entry(what).or_default() += times;
    }
    if only.is_none() {
        for what in ["hold_timer", "dpd_timeout", "programming_delay", "beside, shorter", "beside, longer"] {
            assert!(done.0.contains_key(what), "no world shows it: {what} of {done:?}");
        }
    }
    if full {
        for what in ["endpoint_health", "propagation_delay", "past its slack"] {
            assert!(done.0.contains_key(what), "no world shows it: {what} of {done:?}");
        }
    }
}

/// active_passive, each number by hand. The hold time is 30 s, and a KEEPALIVE comes at least every 10 s and takes 12 ms: the
/// rest of the hold timer counts, 20 to 30 s. The customer gateway's timer expires after AWS's, so it decides. The probe meets
/// the gateway first and AWS's gateway 14 ms later (uplink 2 ms, path-b 12 ms), so the gateway's timer may shrink until
/// 14 ms after AWS's has expired. (Two packets of some 100 octets at 1 Gbit/s add less than 5 us.) Had it been longer, DPD would
/// have noticed, 40 s after the last packet. The LAN takes 0.1 ms, as a link does that
/// says nothing of its delay, so on its way and back the probe takes 2 * (0.1 + 2 + 12) = 28.2 ms.
#[test]
fn active_passive_is_explained() {
    let ron = include_str!("../../scenarios/active_passive.ron");
    let scenario = Scenario::parse("active_passive.ron", ron, &NoSecrets).unwrap();
    let found = why::ask(&scenario, &NoSecrets, Some(2)).unwrap();
    let explained = found.outage.as_ref().unwrap();
    assert_eq!((explained.outage.direction.as_str(), explained.outage.probe.as_str()), ("round_trip", "app"));
    let strike = explained.path[0].step.at_s.0;
    let row = &explained.path[1];
    let wait = row.wait.as_ref().unwrap();
    assert_eq!((wait.owner.as_str(), row.step.node.as_str()), ("hold_timer", "cgw"));
    let (expired, armed) = (row.step.at_s.0, wait.armed_s.unwrap().0);
    assert_eq!(expired - armed, Duration::from_secs(30));
    assert!(armed < strike && strike - armed < Duration::from_millis(10_012), "armed at {armed}, struck at {strike}");
    assert_eq!(row.step.waited_s.0, expired - strike);

    let beside = &explained.beside[0];
    assert!(beside.needed.text.starts_with("vgw: 10.1.0.0/16 via vpn.b"), "{}", beside.needed.text);
    let slack = wait.slack_s.unwrap().0;
    let (least, most) = (Duration::from_millis(14), Duration::from_micros(14_005));
    let gap = expired - beside.needed.at_s.0;
    assert!(slack >= gap + least && slack <= gap + most, "{slack} of {gap}");
    assert_eq!(beside.slack_s.0, slack);
    assert_eq!(wait.runner_up.as_ref(), Some(&beside.needed));
    let backstop = wait.backstop.as_ref().unwrap();
    assert!(backstop.text.contains("ike vpn.a@cgw: dpd_timeout expired"), "{}", backstop.text);
    let silence = backstop.at_s.0 - strike;
    assert!(silence > Duration::from_secs(39) && silence < Duration::from_millis(40_050), "{silence}");

    let arrival = explained.path.last().unwrap();
    let sent = explained.outage.end_s.unwrap().0;
    assert_eq!(sent.as_nanos() % 20_000_000, 0, "every 20 ms from the start on");
    assert!(sent >= expired && sent - expired < Duration::from_millis(20));
    let way = arrival.step.at_s.0 - sent;
    assert!(way >= Duration::from_micros(28_200) && way < Duration::from_micros(28_210), "{way}");

    // What is left of a hold time of 3 s is 2 to 3 s, of one of 10 s 6.67 to 10 s, plus the grid; the best comes first.
    let best = &explained.changes[0];
    assert_eq!(best.set, ["connections.vpn.routing.customer.hold_time=3s"]);
    let after = |place: usize| explained.changes[place].after_s.unwrap().0;
    assert!(after(0) > Duration::from_millis(1_950) && after(0) < Duration::from_millis(3_060), "{}", after(0));
    assert!(after(1) > Duration::from_millis(6_600) && after(1) < Duration::from_millis(10_060), "{}", after(1));
    let told = text::render_sections(&tell::tell(&found), text::Layout { width: 400, styled: false });
    for says in [
        format!("Slack {}: vgw: 10.1.0.0/16 via vpn.b", wait.slack_s.unwrap()),
        format!("armed at {}", wait.armed_s.unwrap()),
        "documented: AWS documents a hold time of 30 s".into(),
    ] {
        assert!(told.contains(&says), "{says}: {told}");
    }
}

/// The backup router has been master for long when a switch forwards the VLAN again, and the probe came through no sooner for it: it
/// waited for the VLAN, 30 s, and then for at most one interval and its way.
#[test]
fn what_only_the_healing_ends_waits_for_the_healing() {
    let ron = include_str!("../../scenarios/vrrp_ip_sla.ron");
    let scenario = Scenario::parse("vrrp_ip_sla.ron", ron, &NoSecrets).unwrap();
    let found = why::ask(&scenario, &NoSecrets, None).unwrap();
    let explained = found.outage.as_ref().unwrap();
    assert_eq!(explained.outage.fault.as_deref(), Some("no_vlan"));
    let [.., healed, arrival] = &explained.path[..] else { panic!("{:?}", explained.path) };
    assert_eq!(healed.wait.as_ref().unwrap().owner, "repair");
    assert_eq!(healed.step.at_s.0, explained.path[0].step.at_s.0 + Duration::from_secs(30));
    let interval = explained.interval_s.0;
    assert!(arrival.step.waited_s.0 < interval + Duration::from_millis(40), "{:?}", arrival.step);
}
