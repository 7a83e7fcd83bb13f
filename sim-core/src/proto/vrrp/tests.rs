//! Moments and ladders of VRRP, each after its section of RFC 5798.

use super::*;

const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);

fn at(ms: u64) -> Instant {
    Instant::START + Duration::from_millis(ms)
}

fn config(last: u8, priority: u8) -> Config {
    let primary = Ipv4Addr::new(10, 1, 0, last);
    Config { vrid: 10, priority, addresses: vec![VIRTUAL], primary, interval: 100, preempt: true, accept: false }
}

fn drain(router: &mut VirtualRouter) -> Vec<Output> {
    core::iter::from_fn(|| router.poll()).collect()
}

/// The messages among what it wants, read by the wire's own parser.
fn sent(outputs: &[Output], primary: Ipv4Addr) -> Vec<Advertisement> {
    let read = |output: &Output| match output {
        Output::Transmit(octets) => Some(Advertisement::parse(primary, octets).expect("it is well-formed")),
        Output::Announce | Output::Released | Output::Expired(_) | Output::Moved(..) | Output::Ignored(_) => None,
    };
    outputs.iter().filter_map(read).collect()
}

fn hear(router: &mut VirtualRouter, now: Instant, from: &Config, priority: u8, interval: u16) -> Vec<Output> {
    let said = Advertisement { vrid: from.vrid, priority, interval, addresses: vec![VIRTUAL] };
    let octets = said.emit(from.primary);
    router.handle(now, Input::Message { source: from.primary, ttl: 255, octets: &octets });
    drain(router)
}

fn started(config: Config) -> VirtualRouter {
    let mut router = VirtualRouter::new(config);
    router.handle(at(0), Input::Startup(Reason::Configured));
    router
}

fn due(router: &VirtualRouter) -> Instant {
    router.wake().expect("it waits").0
}

/// Section 6.1: three intervals and ((256 - priority) * interval) / 256.
#[test]
fn a_backup_waits_three_intervals_and_its_skew_time() {
    let skew = |priority| VirtualRouter::new(config(2, priority)).skew_time();
    assert_eq!(skew(100), Duration::from_nanos(609_375_000), "156/256 s");
    assert_eq!(skew(254), Duration::from_nanos(7_812_500), "2/256 s");
    let mut router = started(config(2, 100));
    assert_eq!(due(&router), at(3000) + Duration::from_nanos(609_375_000));
    let outputs = drain(&mut router);
    assert_eq!(outputs, [Output::Moved(State::Initialize, State::Backup, Reason::Configured)]);
}

/// Section 6.4.1, (110) to (125): the owner is master at once, and says so.
#[test]
fn an_owner_begins_as_master() {
    let mut router = started(config(1, OWNER));
    let outputs = drain(&mut router);
    assert_eq!(outputs[0], Output::Moved(State::Initialize, State::Master, Reason::Configured));
    assert_eq!(sent(&outputs, VIRTUAL)[0].priority, 255);
    assert_eq!(outputs[2], Output::Announce);
    assert_eq!(router.wake(), Some((at(1000), TimerKind::VrrpAdvertisement)));
    // (7.1) It hears nobody, whatever that one's priority.
    let other = config(3, 255);
    assert_eq!(hear(&mut router, at(500), &other, 255, 100), [Output::Ignored(DropReason::VrrpNotHeard)]);
    assert_eq!(router.state(), State::Master);
}

/// Section 6.4.2: the timer of a backup ends in an advertisement, a gratuitous ARP and the Master state.
#[test]
fn who_hears_no_master_becomes_one() {
    let mut router = started(config(2, 100));
    drain(&mut router);
    assert_eq!(hear(&mut router, at(1000), &config(1, 200), 200, 100), []);
    let end = at(4000) + Duration::from_nanos(609_375_000);
    assert_eq!(router.wake(), Some((end, TimerKind::VrrpMasterDown)));
    router.handle_timeout(at(4000));
    assert_eq!(drain(&mut router), [], "not yet");
    router.handle_timeout(end);
    let outputs = drain(&mut router);
    assert_eq!(outputs[0], Output::Expired(at(1000)));
    assert_eq!(outputs[1], Output::Moved(State::Backup, State::Master, Reason::VrrpMasterDown));
    let said = Advertisement { vrid: 10, priority: 100, interval: 100, addresses: vec![VIRTUAL] };
    assert_eq!(sent(&outputs, Ipv4Addr::new(10, 1, 0, 2)), [said]);
    assert_eq!(outputs[3], Output::Announce);
    assert_eq!(due(&router), end + Duration::from_secs(1));
}

/// Section 6.4.2: priority 0 means that the master goes; only Skew_Time is waited. Section 6.4.3: a master that shuts down says so.
#[test]
fn a_master_that_goes_says_so() {
    let mut master = started(config(1, 200));
    master.handle_timeout(due(&master));
    drain(&mut master);
    master.handle(at(4000), Input::Shutdown(Reason::AdminDown));
    let outputs = drain(&mut master);
    assert_eq!(sent(&outputs, Ipv4Addr::new(10, 1, 0, 1))[0].priority, 0);
    assert_eq!(outputs[1], Output::Moved(State::Master, State::Initialize, Reason::AdminDown));
    assert_eq!(master.wake(), None);
    let mut backup = started(config(2, 100));
    drain(&mut backup);
    assert_eq!(hear(&mut backup, at(2000), &config(1, 200), 0, 100), [Output::Released]);
    assert_eq!(due(&backup), at(2000) + Duration::from_nanos(609_375_000));
    // Section 6.4.3: another master answers it with an advertisement of its own.
    let mut other = started(config(3, OWNER - 1));
    other.handle_timeout(due(&other));
    drain(&mut other);
    let outputs = hear(&mut other, at(5000), &config(1, 200), 0, 100);
    assert_eq!((sent(&outputs, Ipv4Addr::new(10, 1, 0, 3)).len(), due(&other)), (1, at(6000)));
}

/// Section 6.4.2, "If Preempt_Mode is False, or if the Priority ... is greater than or equal".
#[test]
fn a_lower_master_is_preempted_only_if_that_is_wished() {
    for preempt in [true, false] {
        let mut router = started(Config { preempt, ..config(1, 200) });
        drain(&mut router);
        let before = due(&router);
        hear(&mut router, at(1000), &config(2, 100), 100, 100);
        let reset = at(1000) + router.master_down_interval();
        assert_eq!(due(&router), if preempt { before } else { reset });
    }
}

/// Section 6.4.2: Master_Adver_Interval is what the master says, and Skew_Time follows it.
#[test]
fn a_backup_takes_over_the_interval_of_the_master() {
    let mut router = started(config(2, 128));
    hear(&mut router, at(0), &config(1, 200), 200, 300);
    assert_eq!(router.master_down_interval(), Duration::from_millis(9000 + 1500));
}

/// Section 6.4.3: a higher priority, or the same with a higher address, makes a master a backup; nothing else does.
#[test]
fn of_two_masters_the_higher_stays() {
    for (last, priority, yields) in [(3, 101, true), (3, 100, true), (1, 100, false), (3, 99, false)] {
        let mut router = started(config(2, 100));
        router.handle_timeout(due(&router));
        drain(&mut router);
        let outputs = hear(&mut router, at(5000), &config(last, priority), priority, 100);
        let moved = Output::Moved(State::Master, State::Backup, Reason::VrrpHigherPriority);
        assert_eq!(outputs.contains(&moved), yields, "{last} with {priority}");
    }
}

/// Section 7.1: a message that has passed a router, is damaged, or is for another virtual router.
#[test]
fn what_is_no_advertisement_from_this_link_is_refused() {
    let mut router = started(config(2, 100));
    drain(&mut router);
    let (other, before) = (config(1, 200), due(&router));
    let said =
        |vrid| Advertisement { vrid, priority: 200, interval: 100, addresses: vec![VIRTUAL] }.emit(other.primary);
    let mut damaged = said(10);
    damaged[2] ^= 1;
    let cases = [
        (254, said(10), DropReason::TtlTooLow),
        (255, damaged, DropReason::BadChecksum),
        (255, said(11), DropReason::VrrpNotHeard),
        (255, vec![0x21; 12], DropReason::Malformed),
    ];
    for (ttl, octets, reason) in cases {
        router.handle(at(1000), Input::Message { source: other.primary, ttl, octets: &octets });
        assert_eq!((drain(&mut router), due(&router)), (vec![Output::Ignored(reason)], before));
    }
}

/// What a router tracks has failed: a backup with a higher priority takes over after Master_Down_Interval, and the master yields.
#[test]
fn a_lowered_priority_lets_another_take_over() {
    let (mut master, mut backup) = (started(config(1, 200)), started(config(2, 100)));
    master.handle_timeout(due(&master));
    let first = due(&master);
    hear(&mut backup, first, &config(1, 200), 200, 100);
    master.handle(first, Input::Priority(50));
    drain(&mut master);
    master.handle_timeout(first);
    let said = sent(&drain(&mut master), Ipv4Addr::new(10, 1, 0, 1));
    assert_eq!(said[0].priority, 50);
    hear(&mut backup, first + Duration::from_secs(1), &config(1, 200), 50, 100);
    let end = due(&backup);
    assert_eq!(end, first + backup.master_down_interval(), "nothing since has put it off");
    backup.handle_timeout(end);
    assert_eq!(backup.state(), State::Master);
    hear(&mut master, end, &config(2, 100), 100, 100);
    assert_eq!(master.state(), State::Backup);
}

/// Every state and every input, as section 6.4 has them.
#[test]
fn nothing_moves_a_router_but_what_the_rfc_says() {
    let mut router = VirtualRouter::new(config(2, 100));
    router.handle(at(0), Input::Shutdown(Reason::AdminDown));
    hear(&mut router, at(0), &config(1, 200), 200, 100);
    assert_eq!((router.state(), router.wake()), (State::Initialize, None));
    router.handle(at(0), Input::Startup(Reason::Configured));
    router.handle(at(5), Input::Startup(Reason::Configured));
    assert_eq!((router.state(), due(&router)), (State::Backup, at(0) + router.master_down_interval()));
    router.handle(at(10), Input::Shutdown(Reason::LinkLost));
    let outputs = drain(&mut router);
    assert!(sent(&outputs, config(2, 100).primary).is_empty(), "a backup goes without a word");
    assert_eq!(router.state(), State::Initialize);
}
